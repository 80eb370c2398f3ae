"""Rows are found where they are, and nothing else is read on the way."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate import schema
from curate.explaining import finding
from curate.store import Dataset, StoreError, part_name
from curate.uid import image_uid, pair_uid, part_of
from tests.jobs.conftest import commit

PARTS, GROUP = 3, 16


def pair(url: str, text: str) -> dict:
    return {
        "uid": pair_uid(url, text), "image_uid": image_uid(url), "url": url, "text": text, "kind": "alt",
        "page_url": "http://a.example/", "page_robots": None, "page_lang": None, "source": "warc", "crawl_file": "a",
        "record_offset": 0,
    }  # fmt: skip


def rows() -> list[dict]:
    made = [pair(f"http://a.example/{i}", str(text)) for i in range(150) for text in range(1 + i % 3)]
    return sorted(made, key=lambda row: (row["image_uid"], row["uid"]))


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    cut = [[row for row in rows() if part_of(row["image_uid"], PARTS) == i] for i in range(PARTS)]
    tables = [pa.Table.from_pylist(part, schema=schema.load("pairs").arrow()) for part in cut]
    parts = [[table.slice(at, GROUP) for at in range(0, len(table), GROUP)] for table in tables]
    return commit(str(tmp_path_factory.mktemp("finding")), "pairs", parts)


def copied(pairs: Dataset, tmp_path) -> Dataset:
    import shutil

    shutil.copytree(pairs.root, tmp_path / "pairs")
    return Dataset(str(tmp_path), "pairs")


def spoil(data: Dataset, part: str, groups, columns) -> None:
    """Overwrites column chunks with bytes that nothing can read."""
    path = data.path(f"{part}.parquet")
    with pq.ParquetFile(path) as file:
        chunks = [
            file.metadata.row_group(g).column(file.schema_arrow.get_field_index(c)) for g in groups for c in columns
        ]
        spans = [
            (chunk.dictionary_page_offset or chunk.data_page_offset, chunk.total_compressed_size) for chunk in chunks
        ]
    with open(path, "r+b") as file:
        for start, size in spans:
            file.seek(start)
            file.write(b"\xff" * size)


def test_every_pair_is_found_by_its_uid_and_by_its_image(pairs):
    texts = {}
    for row in rows():
        place = finding.of_uid(pairs, row["uid"])
        assert finding.read(pairs, place, ["uid", "text", "url"], row["uid"]) == {
            k: row[k] for k in ("uid", "text", "url")
        }
        texts.setdefault(row["image_uid"], []).append(place)
    for image, places in texts.items():
        assert finding.of_image(pairs, image) == places


def test_what_is_not_there_is_not_found(pairs):
    assert finding.of_uid(pairs, "0" * 32) is None
    assert finding.of_image(pairs, "0" * 32) == finding.of_image(pairs, "f" * 32) == []


def test_an_image_is_found_by_statistics_without_reading_other_row_groups(pairs, tmp_path):
    data, row = copied(pairs, tmp_path), rows()[60]
    place = finding.of_uid(pairs, row["uid"])
    with data.open_part(place.part) as file:
        others = [group for group in range(file.num_row_groups) if group != place.group]
    assert len(others) > 3
    spoil(data, place.part, others, ["image_uid", "uid", "url"])
    assert place in finding.of_image(data, row["image_uid"])
    spoil(data, place.part, [place.group], ["image_uid"])
    with pytest.raises((OSError, pa.ArrowInvalid)):
        finding.of_image(data, row["image_uid"])  # the spoiling itself can be noticed


def test_a_uid_is_sought_in_its_column_alone_and_no_further_than_the_hit(pairs, tmp_path):
    data = copied(pairs, tmp_path)
    with data.open_part(part_name(1)) as file:
        groups = file.num_row_groups
        wanted = file.read_row_group(1, columns=["uid"])["uid"][3].as_py()
    for part in (part_name(0), part_name(1)):
        with data.open_part(part) as file:
            count = file.num_row_groups
        spoil(data, part, range(count), ["url", "text", "image_uid"])
    spoil(data, part_name(1), range(2, groups), ["uid"])
    data.fs.rm_file(data.path(f"{part_name(2)}.parquet"))
    assert finding.of_uid(data, wanted) == finding.Place(part_name(1), 1, 3)


def test_a_dataset_that_is_not_aligned_is_not_believed(pairs):
    place = finding.of_uid(pairs, rows()[0]["uid"])
    with pytest.raises(StoreError, match="not aligned"):
        finding.read(pairs, place, ["uid"], "0" * 32)
    with pytest.raises(StoreError, match="not aligned"):
        finding.read(pairs, finding.Place(place.part, 99, 0), ["uid"], rows()[0]["uid"])
    with pytest.raises(StoreError, match="not aligned"):
        finding.read(pairs, finding.Place(place.part, 0, GROUP), ["uid"], rows()[0]["uid"])


def shards(tmp_path, sizes: list[int]) -> tuple[Dataset, list[str]]:
    """An index of shards of these sizes, in the order of image_uid."""
    images = sorted({row["image_uid"] for row in rows()})[: sum(sizes)]
    arrow, parts, at = schema.load("shards").arrow(), [], 0
    for size in sizes:
        lines = [
            {"key": image, "shard": "x", "uid": image, "image_uid": image, "url": "u", "text": "t", "texts": ["t"],
             "uids": [image], "lang": None, "entries": None, "keep_probability": None, "keep_probabilities": [None],
             "sha256": "0", "width": 1, "height": 1} for image in images[at : at + size]
        ]  # fmt: skip
        parts.append([pa.Table.from_pylist(lines, schema=arrow)])
        at += size
    return commit(str(tmp_path), "shards", parts), images


@pytest.mark.parametrize("sizes", [[10] * 12, [1], [5, 0, 5, 0, 0, 7], [0, 0, 3], [3, 0]])
def test_a_sample_is_found_in_ordered_shards_wherever_they_are_cut(tmp_path, sizes):
    data, images = shards(tmp_path, sizes)
    for image in images:
        (place,) = finding.in_order(data, image)
        assert finding.read(data, place, ["key"])["key"] == image
    for absent in ("0" * 32, "f" * 32, images[0][:-1] + ("0" if images[0][-1] != "0" else "1")):
        assert finding.in_order(data, absent) == []


def test_few_shards_are_opened(tmp_path):
    data, images = shards(tmp_path, [10] * 12)
    wanted = images[-1]
    for part in range(6):  # the lower half cannot have it
        data.fs.rm_file(data.path(f"{part_name(part)}.parquet"))
    assert len(finding.in_order(data, wanted)) == 1
