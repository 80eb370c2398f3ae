"""Dumps and page views on Spark: split inside a file, and the same list as in one process."""

import bz2
import gzip
import json
import random
import sys
from pathlib import Path
from subprocess import run

import pytest
from typer.testing import CliRunner

from curate.cli import app
from curate.concepts import entries
from curate.concepts.building import files, wikipedia
from curate.concepts.building.assembling import BuildError
from curate.concepts.building.presets import preset
from jobs import build_metadata
from tests.concepts.building import dumps

WANTED = preset("metaclip2", unigram_count=2, bigram_pmi=3, title_views=60)


@pytest.fixture(scope="module")
def dump(tmp_path_factory):
    """A few thousand pages of words that hardly compress, as plain XML, one bzip2 stream, and many."""
    chance, folder = random.Random(0), tmp_path_factory.mktemp("dumps")
    known = ["".join(chance.choices("abcdefghijklmnop", k=6)) for _ in range(4000)]
    # Every hundredth pair of words belongs together.
    texts = [
        " ".join(word if chance.random() < 0.99 else "New York" for word in chance.choices(known, k=150))
        for _ in range(1000)
    ]
    pages = [dumps.page(i, f"Page {i}", text) for i, text in enumerate(texts)]
    pages += [dumps.page(9000 + i, f"Talk:{i}", "elsewhere", ns=1) for i in range(20)]
    (folder / "plain.xml").write_text(dumps.document(pages))
    (folder / "one.xml.bz2").write_bytes(bz2.compress(dumps.document(pages).encode(), 1))
    dumps.multistream(pages, folder / "many.xml.bz2", per_stream=100)
    return folder


@pytest.fixture(scope="module")
def in_process(dump):
    return files.in_process([str(dump / "plain.xml")], "en", WANTED)


@pytest.fixture
def small_splits(engines):
    spark = engines.spark()
    key = "spark.sql.files.maxPartitionBytes"
    before = spark.conf.get(key)
    spark.conf.set(key, "150k")
    yield spark
    spark.conf.set(key, before)


@pytest.mark.parametrize("name", ["plain.xml", "one.xml.bz2", "many.xml.bz2"])
def test_a_dump_that_is_split_gives_what_one_process_counts(dump, in_process, engines, small_splits, name):
    read = small_splits.read.option("lineSep", wikipedia.END).text(str(dump / name))
    assert read.rdd.getNumPartitions() > 2, f"{(dump / name).stat().st_size} bytes are read by one task"
    chosen, fates = build_metadata.on_spark(engines, [str(dump / name)], "en", WANTED)
    assert fates == {"article": 1000, "elsewhere": 20}
    assert (chosen, fates) == in_process
    assert len(chosen["wikipedia-pairs"]) == int(0.4 * len(chosen["wikipedia-words"]))
    assert 100 < len(chosen["wikipedia-words"]) < 4000


@pytest.fixture(scope="module")
def damaged(dump):
    """Dumps that are cut off within a block, a page, the end of a page, and one with a hole."""
    packed, plain = (dump / "many.xml.bz2").read_bytes(), (dump / "plain.xml").read_bytes()
    made = {
        "cut.xml.bz2": packed[: len(packed) * 6 // 10],
        "cut.xml": plain[: len(plain) // 2],
        "almost.xml": plain[: plain.rindex(b"</revision>") + 15],
        "hole.xml.bz2": packed[: len(packed) // 2] + bytes(50) + packed[len(packed) // 2 + 50 :],
    }
    for name, data in made.items():
        (dump / name).write_bytes(data)
    return dump


@pytest.mark.parametrize("name", ["cut.xml.bz2", "cut.xml", "almost.xml", "hole.xml.bz2"])
def test_what_could_be_read_of_a_damaged_dump_is_counted_alike_and_said(damaged, engines, name):
    here = files.in_process([str(damaged / name)], "en", WANTED)
    assert here == build_metadata.on_spark(engines, [str(damaged / name)], "en", WANTED)
    assert here[1]["cut_off"] == 1 and 300 < here[1]["article"] <= 1000


def test_names_are_no_patterns_for_spark(dump, tmp_path, engines, in_process):
    (tmp_path / "wiki [1]{a}*.xml").write_bytes((dump / "plain.xml").read_bytes())
    found = [str(tmp_path / "wiki [1]{a}*.xml")]
    assert build_metadata.on_spark(engines, found, "en", WANTED) == in_process
    (tmp_path / "_wiki.xml").write_bytes((dump / "plain.xml").read_bytes())
    with pytest.raises(BuildError, match=r"begin with '_' or '.': rename .*_wiki.xml"):
        build_metadata.on_spark(engines, [str(tmp_path / "_wiki.xml")], "en", WANTED)


def test_page_views_that_break_off_are_counted_alike_and_said(tmp_path, engines):
    lines = [f"en T{i} {i % 300} 0" for i in range(30_000)]
    packed = gzip.compress("\r\n".join(["en A\rB 90 0", "en " + "x" * 100_000 + " 90 0", *lines]).encode())
    (tmp_path / "cut.gz").write_bytes(packed[: len(packed) // 2])
    (tmp_path / "whole.gz").write_bytes(packed)
    found = [str(tmp_path / "cut.gz"), str(tmp_path / "whole.gz")]
    here = files.views_in_process(found, "en", WANTED)
    assert here == build_metadata.views_on_spark(engines, found, "en", WANTED)
    assert here[1]["cut_off"] == 1 and here[1]["malformed"] == 2 and here[1]["counted"] > 40_000


def test_the_command_builds_one_list_on_either_engine(dump, tmp_path, engines):
    engines.spark()  # The script takes the session that it finds.
    views = tmp_path / "pageviews-20180419-000000.gz"
    views.write_bytes(gzip.compress(b"en New_York 90 0\nen Talk:x 90 0\nen.m New_York 10 0\nen Rare 3 0\n"))
    common = ["--language", "en", "--preset", "metaclip2", "--bigram-pmi", "3", "--title-views", "60"]
    common += ["--wikipedia", f"{dump}/many.xml.bz2", "--pageviews", str(views)]
    said = CliRunner().invoke(app, ["metadata", "build", *common, "--out", str(tmp_path / "build")])
    assert said.exit_code == 0, said.output
    with pytest.raises(SystemExit) as end:
        build_metadata.main([*common, "--out", str(tmp_path / "script")])
    assert not end.value.code and engines.spark().range(1).count() == 1, "a session that was found goes on"
    here, there = (sorted(tmp_path.glob(f"{name}/en/*")) for name in ("build", "script"))
    assert [file.read_bytes() for file in here] == [file.read_bytes() for file in there] and len(here) == 2
    table = entries.load(str(tmp_path / "build"), "en")
    assert set(table["source"].to_pylist()) == {"wikipedia-words", "wikipedia-pairs", "wikipedia-titles", "numbers"}
    account = json.loads((tmp_path / "build" / "en" / "provenance.json").read_text())
    assert account["inputs"]["wikipedia"]["pages"] == {"article": 1000, "elsewhere": 20}
    assert account["inputs"]["pageviews"]["lines"] == {"colon": 1, "counted": 3}
    assert account["offered_by_source"]["wikipedia-titles"] == 1


def test_bytes_that_are_no_text_are_read_alike_on_either_engine(tmp_path, engines):
    views = tmp_path / "pageviews-20180419-000000.gz"
    views.write_bytes(gzip.compress(b"en Caf\xe9_x 90 0\nen Caf\xc3\xa9 80 0\nen \xff\xfe 70 0\n\xff en x 1\n"))
    here = files.views_in_process([str(views)], "en", WANTED)
    assert here == build_metadata.views_on_spark(engines, [str(views)], "en", WANTED)
    assert here[1] == {"counted": 3, "other_domain": 1}
    assert [text for text, _, _ in here[0]["wikipedia-titles"]] == ["Caf\ufffd x", "Café"]  # 76 % of three titles


def test_the_script_runs_as_it_stands(tmp_path):
    script = Path(build_metadata.__file__)
    done = run([sys.executable, str(script), "--help"], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0 and "--bigram-pmi" in done.stdout, done.stderr


def test_several_languages_each_take_their_own_files(tmp_path):
    for language, text in (("de", "ein Haus und ein Hund"), ("fr", "une maison et un chien")):
        (tmp_path / f"{language}wiki.xml").write_text(dumps.document([dumps.page(1, "T", text)] * 3, language))
    arguments = [
        "--language",
        "de,fr",
        "--preset",
        "metaclip1",
        "--unigram-count",
        "3",
        "--wikipedia",
        f"{tmp_path}/{{lang}}wiki.xml",
    ]
    done = CliRunner().invoke(app, ["metadata", "build", *arguments, "--out", str(tmp_path / "lists")])
    assert done.exit_code == 0, done.output
    assert entries.languages(str(tmp_path / "lists")) == ["de", "fr"]
    assert entries.load(str(tmp_path / "lists"), "fr")["text"].to_pylist()[:3] == ["chien", "et", "maison"]


def test_a_pattern_without_files_stops_at_once(tmp_path):
    done = run([sys.executable, "-m", "curate.cli", "metadata", "build", "--wikipedia", f"{tmp_path}/*.bz2", "--out", str(tmp_path)],
               capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 2 and "--wikipedia: no file matches" in done.stderr
