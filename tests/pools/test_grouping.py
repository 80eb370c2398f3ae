"""Small files share a part: by the files alone, each once, in order, and found again by who reads the part."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.pools import grouping, staging
from curate.pools.grouping import FEW, GROUP_BYTES, OPENING, grouped
from curate.pools.inputs import Input
from curate.recipe import Extract, Source
from curate.store import ROW_GROUP, Dataset, Plan, part_name
from tests.archives import archive, page

SIZES = st.one_of(st.none(), st.just(0), st.integers(0, 2 * GROUP_BYTES))


def files(sizes) -> list[Input]:
    return [Input(f"file:///pool/{at:07d}", f"{at:07d}", size) for at, size in enumerate(sizes)]


@given(st.lists(SIZES, max_size=20), st.integers(0, 3 * FEW), SIZES)
def test_every_file_is_in_one_part_in_order_and_no_part_is_too_large(some, more, size):
    pool = files([*some, *([size] * more)])
    groups = grouped(pool)
    assert list(itertools.chain.from_iterable(groups)) == pool and all(groups)
    if len(pool) <= FEW:
        assert len(groups) == len(pool)
    for group in groups:
        assert len(group) == 1 or sum(file.size + OPENING for file in group) <= GROUP_BYTES


def test_many_packages_of_an_article_each_are_few_parts_and_never_too_few():
    # PubMed Central's: about 3 MB each.
    assert 2 * FEW < len(grouped(files([3_000_000] * 200_000))) < 3000
    assert FEW <= len(grouped(files([10_000] * 50_000))) <= 2 * FEW
    assert FEW <= len(grouped(files([0] * 50_000))) <= 2 * FEW
    assert len(grouped(files([None] * 2000))) == 2000


def test_a_part_finds_its_files(tmp_path, monkeypatch):
    monkeypatch.setattr(grouping, "_ROWS", 3)
    source = Source(name="mine", inputs=("x",), weight=2)
    pool = files([1, None, 3, 4, 5, 6, 7, 8])
    pool[3:6] = [Input(file.path, file.name, file.size, source) for file in pool[3:6]]
    groups = [pool[:1], pool[1:5], pool[5:7], pool[7:]]
    target = Dataset(str(tmp_path), "pairs-read")
    settings = Extract(sources=(source,))
    grouping.put(target, groups)
    for at, group in enumerate(groups):
        assert list(grouping.of_part(target, part_name(at), settings)) == group
    first = target.fs.cat_file(target.path(grouping.LIST))
    grouping.put(target, groups)
    assert target.fs.cat_file(target.path(grouping.LIST)) == first


@pytest.mark.parametrize("room", [ROW_GROUP, 3])
def test_files_of_a_part_are_read_apart_and_written_together(tmp_path, monkeypatch, room):
    monkeypatch.setattr(staging, "ROW_GROUP", room)
    paths = [tmp_path / f"{name}.warc.gz" for name in "abcd"]
    for path in paths:
        images = [f"<img src=/{path.stem}{n}.jpg alt=text>" for n in range(2)]
        path.write_bytes(archive(page(*images)))
    paths[1].write_bytes(b"no archive")
    paths[2].unlink()
    target = Dataset(str(tmp_path / "work"), "pairs-read")
    plan = Plan(dataset=target.name, stage="extract", settings={}, inputs={}, parts=(part_name(0),))
    grouping.put(target, [[Input(f"file://{path}", path.name, None) for path in paths]])
    part = staging.read_files(part_name(0), Extract(), target, plan)
    assert part.ledger.kept == part.rows == 4
    assert part.ledger.failed == {"bad_record": 1, "no_file": 1}
    assert part.ledger.notes["files"] == 4 and part.ledger.notes["broken_files"] == 2
    with target.open_part(part.name) as file:
        assert file.num_row_groups == (1 if room == ROW_GROUP else 2)
        assert file.read()["crawl_file"].to_pylist() == ["a.warc.gz"] * 2 + ["d.warc.gz"] * 2
    manifest = target.commit(plan)
    assert [place["file"] for place in staging.quarantine(target, manifest)["examples"]] == ["b.warc.gz", "c.warc.gz"]
