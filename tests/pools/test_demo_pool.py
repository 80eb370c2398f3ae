"""The bundled pool: what was planted is found, in both formats, and nothing else."""

from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from curate.pools import archive
from curate.pools.candidates import Account
from curate.pools.inputs import Input
from curate.recipe import Extract

POOL = Path(__file__).resolve().parents[2] / "demo" / "pool"
ONLY_IN_HTML = {
    ("http://photoblog.example/markup/001.jpg", "A marmot."),  # A lazy address beside a placeholder.
    ("http://photoblog.example/markup/002.jpg?w=2", "Queen. Can move in any direction."),  # The larger of a srcset.
}


def rows_of(file: str) -> tuple[list[dict], Account]:
    account = Account()
    tables = archive.read(Input(str(POOL / file), Path(file).name, 0), Extract(), account)
    return [row for table in tables for row in table.to_pylist()], account


@pytest.fixture(scope="module")
def warc():
    return rows_of("warc/SAMPLE.warc.gz")


@pytest.fixture(scope="module")
def wat():
    return rows_of("wat/SAMPLE.warc.wat.gz")


def test_every_planted_pair_is_found(warc):
    table = pq.read_table(POOL / "pairs.parquet", columns=["url", "caption", "page_url"]).to_pylist()
    planted = {
        (row["url"].partition("#")[0], row["caption"].strip(), row["page_url"]) for row in table if row["caption"]
    }
    planted = {pair for pair in planted if pair[1]}
    found = {(row["url"], row["text"], row["page_url"]) for row in warc[0] if row["kind"] == "alt"}
    assert len(planted) > 4000
    assert planted - found == set()
    assert {pair[:2] for pair in found - planted} == ONLY_IN_HTML


def test_the_two_formats_agree(warc, wat):
    def pairs(rows):
        keys = ("uid", "url", "text", "kind", "page_url", "page_lang", "page_robots")
        # A WAT says nothing of captions.
        return Counter(tuple(row[key] for key in keys) for row in rows if row["kind"] != "figcaption")

    missing = pairs(warc[0]) - pairs(wat[0])
    assert {(url, text) for _, url, text, *_ in missing} == ONLY_IN_HTML
    assert pairs(wat[0]) - pairs(warc[0]) == Counter()


@pytest.mark.parametrize("source", ["warc", "wat"])
def test_every_reference_is_accounted_for(source, request):
    rows, account = request.getfixturevalue(source)
    ledger = account.ledger()
    assert ledger.notes["pages"] == 192
    assert ledger.notes["images"] == 4807
    assert ledger.rows_in == ledger.kept + sum(ledger.dropped.values()) == len(rows) + sum(ledger.dropped.values())
    assert ledger.failed == {}
    assert account.breaks == []


def test_the_opt_out_of_a_page_is_in_its_rows(warc):
    opted = {row["page_url"] for row in warc[0] if row["page_robots"] == "noai,noimageai"}
    assert opted == {"http://optout.example/opt-out.html"}
