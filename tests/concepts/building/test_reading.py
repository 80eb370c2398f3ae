"""Files of sources: found once, read up to where they break, added up."""

import bz2
import gzip
from collections import Counter

import fsspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.concepts.building import files, reading
from curate.concepts.building.assembling import BuildError
from curate.concepts.building.presets import preset
from tests.concepts.building import dumps

COUNTS = pa.schema([("word", pa.string()), ("count", pa.int64())])


@settings(deadline=None)
@given(
    st.lists(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), max_size=5), max_size=9), st.integers(0, 9)
)
def test_sums_are_the_same_whenever_they_are_added_up(batches, waiting):
    expected = Counter[str]()
    for word, count in (row for batch in batches for row in batch):
        expected[word] += count
    tables = [pa.table([[w for w, _ in b], [c for _, c in b]], schema=COUNTS) for b in batches]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "WAITING", waiting)
        found = reading.summed(tables, COUNTS)
    assert found.schema == COUNTS and {row["word"]: row["count"] for row in found.to_pylist()} == dict(expected)
    assert len(found) == len(expected)


@settings(deadline=None)
@given(st.lists(st.text("ab\u732b<", max_size=30), max_size=8), st.integers(1, 40))
def test_text_is_cut_at_its_ends_however_it_is_read(tmp_path_factory, parts, piece):
    file = tmp_path_factory.mktemp("read") / "f"
    file.write_text("</x>".join(parts))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "PIECE", piece)
        found = list(reading.separated(str(file), b"</x>", 1000))
    assert found == (parts[:-1] + [part for part in parts[-1:] if part])


@pytest.mark.parametrize("pack", [bz2.compress, gzip.compress, bytes])
def test_packed_files_are_read_by_their_names_and_files_in_stores_too(pack, tmp_path):
    end = {bz2.compress: ".bz2", gzip.compress: ".gz"}.get(pack, "")
    (tmp_path / f"f{end}").write_bytes(pack(b"one|two"))
    assert list(reading.separated(str(tmp_path / f"f{end}"), b"|", 9)) == ["one", "two"]
    with fsspec.open(f"memory://reading/f{end}", "wb") as stream:
        stream.write(pack(b"one|two"))
    assert reading.found(["memory://reading/f*"], "--x")[-1].endswith(f"/reading/f{end}")
    assert list(reading.separated(f"memory://reading/f{end}", b"|", 9)) == ["one", "two"]
    fsspec.filesystem("memory").rm("/reading", recursive=True)


def test_a_file_that_several_patterns_match_is_found_once(tmp_path):
    for name in ("b.xml", "a.xml", "c[1].xml"):
        (tmp_path / name).touch()
    (tmp_path / "d.xml").mkdir()
    names = [
        file.rpartition("/")[2]
        for file in reading.found([f"{tmp_path}/b.xml", f"{tmp_path}/*.xml", f"{tmp_path}/c[1].xml"], "--x")
    ]
    assert names == ["b.xml", "a.xml", "c[1].xml"]
    for pattern in (f"{tmp_path}/none*", f"{tmp_path}/none.xml", str(tmp_path), "memory://none/x.xml", "nothing://x"):
        with pytest.raises(BuildError, match="--x: "):
            reading.found([pattern], "--x")


def test_a_dump_in_a_store_counts_as_one_on_disk(tmp_path):
    text = dumps.document([dumps.page(1, "T", "one cat one dog")] * 3).encode()
    (tmp_path / "d.xml").write_bytes(text)
    with fsspec.open("memory://dumps/d.xml.bz2", "wb") as stream:
        stream.write(bz2.compress(text))
    wanted = preset("metaclip1", unigram_count=2, bigram_pmi=0)
    here, there = (files.counted("en", wanted, [at], []) for at in (f"{tmp_path}/d.xml", "memory://dumps/d.xml.bz2"))
    assert here[0] == there[0] and here[1]["wikipedia"]["pages"] == {"article": 3}
    assert here[1]["wikipedia"]["files"]["d.xml"]["bytes"] == len(text) and there[1]["wikipedia"]["files"] == {
        "d.xml.bz2": {}
    }


def test_files_of_one_name_stand_apart_in_the_account(tmp_path):
    for folder in "ab":
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "wn.tab").write_text(folder)
    both = [str(tmp_path / folder / "wn.tab") for folder in "ab"]
    assert len({mark["xxh3_128"] for mark in files.marks(both).values()}) == len(files.marks(both)) == 2
    assert list(files.marks(both[:1])) == ["wn.tab"]
