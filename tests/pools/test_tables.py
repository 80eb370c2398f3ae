"""Tables in the forms in which the field's pools come: each a real file, read to the pairs that it holds."""

import bz2
import csv
import gzip
import io
from functools import partial

import orjson
import pyarrow as pa
import pytest

from curate.pools import readers
from curate.pools.candidates import Account
from curate.pools.inputs import expand
from curate.recipe import Extract
from curate.uid import pair_uid
from tests.pools import page_rows
from tests.pools.page_rows import Image, Page
from tests.pools.reading_tables import URL, facts, msgspec_with, read


def test_a_uid_that_is_none_is_made(tmp_path):
    pool = pa.table({"uid": ["f" * 31, None, "F" * 32], "url": [URL.format(i) for i in range(3)], "text": ["a"] * 3})
    rows, _ = read(tmp_path / "0.parquet", pool)
    assert [row["uid"] for row in rows] == [pair_uid(URL.format(0), "a"), pair_uid(URL.format(1), "a"), "f" * 32]


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "ndjson"])
@pytest.mark.parametrize("packed", ["", ".gz", ".zst", ".bz2"])
def test_text_formats_say_the_same(tmp_path, kind, packed):
    pairs = [{"url": URL.format(i), "text": f'say "{i}", \u00fc\n', "score": i / 4} for i in range(300)]
    if kind in ("csv", "tsv"):
        text = io.StringIO()
        out = csv.DictWriter(text, list(pairs[0]), delimiter={"csv": ",", "tsv": "\t"}[kind])
        out.writeheader()
        out.writerows(pairs)
        data = b"\xef\xbb\xbf" + text.getvalue().encode()
    else:
        data = b"\n\n".join(map(orjson.dumps, pairs))
    # Two members, as appending to a file makes them.
    half = data.index(b"\n", len(data) // 2)
    zstd = partial(pa.Codec("zstd").compress, asbytes=True)
    pack = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".zst": zstd}[packed]
    rows, account = read(tmp_path / f"t.{kind}{packed}", pack(data[:half]) + pack(data[half:]))
    assert [(row["url"], row["text"]) for row in rows] == [(pair["url"], pair["text"].strip()) for pair in pairs]
    assert [facts(row)["score"] for row in rows] == [pair["score"] for pair in pairs] and not account.ledger().failed


def test_rows_are_judged_as_the_images_of_a_page_are(tmp_path):
    addresses = [
        None, "", "  ", URL.format(1), "HTTP://Img.example.com:80/a/../b c.jpg#frag", "//img.example.com/x.jpg", "data:image/gif;base64,R0",
        "https://xn--a.example/", "http://[::1/x", "http://1.2.3/x", "ftp://a.example/b", "http://a.example/" + "x" * 100,
        "https://b\u00fccher.example/\u00fc", "http://a.example", "http://a.example/%2e%2e/x", "javascript:alert(1)",
    ]  # fmt: skip
    sayings = [None, "", "\u3000 \x1f", "fine", "x" * 41, "a\x00b", "\u00a0both ends\u2029"]
    rows = [{"url": url, "alt": text} for url in addresses for text in sayings]
    got, account = read(tmp_path / "t.jsonl", b"\n".join(map(orjson.dumps, rows)), max_text_bytes=40, max_url_bytes=60)
    wanted, expected = [], Account()
    for row in rows:
        url = (row["url"] or "").strip()
        image = Image((url,) if url else (), (("alt", row["alt"]),) if row["alt"] else ())
        page = Page("no address", None, None, None, [image], "table")
        limits = Extract(max_text_bytes=40, max_url_bytes=60)
        wanted += [found.uid for found in page_rows.rows(page, "t", 0, limits, expected)]
    assert [row["uid"] for row in got] == wanted and len(wanted) > 20
    assert account.ledger() == msgspec_with(expected.ledger(), files=1)
    assert set(account.ledger().dropped) == {"no_url", "empty_text", "text_too_long", "url_not_http", "url_too_long"}


def test_a_table_goes_by_its_name(tmp_path):
    for name in ("a.parquet", "b.CSV", "c.tsv.gz", "d.ndjson.zst"):
        (tmp_path / name).write_bytes(b"")
    assert {readers.kind(file) for file in expand(Extract(inputs=(f"{tmp_path}/*",)))} == {"table"}
    assert read(tmp_path / "b.CSV")[0] == []
