"""The extract job on a real local Spark: one shuffle, exact accounts, the same bytes whatever happens on the way."""

from collections import Counter

import pytest

from curate import recipe as recipes
from curate.pools import grouping
from curate.recipe import RecipeError
from curate.store import ROW_GROUP, Dataset, StoreError
from curate.uid import part_of
from jobs import extract
from jobs.engine import Run
from tests.archives import archive, links, members, page

POOL = "[demo/pool/warc/*.warc.gz, demo/pool/wat/*.warc.wat.gz]"


def run(engines, workdir, inputs: str, parts: int = 4, redo: tuple[str, ...] = ()):
    """Runs the stage: the dataset `pairs` of a workdir, and its manifest."""
    settings = recipes.load("demo", [f"extract.inputs={inputs}", f"extract.parts={parts}"])
    extract.run(Run(settings, str(workdir), engines, frozenset(redo)))
    pairs = Dataset(str(workdir), "pairs")
    return pairs, pairs.require()


def small_pool(folder) -> str:
    """Writes a pool of three small files, the first of them broken; its pattern."""
    folder.mkdir()
    shared = '<img src="/shared.jpg" alt="shared" title="shared">'
    pages = [page(f'<img src="/{i}.jpg" alt="number {i}">', shared, url=f"http://news.example/{i}") for i in range(40)]
    broken = members(pages[10:30])
    (folder / "a.warc.gz").write_bytes(b"".join(broken[:5]) + b"\0\0" + b"".join(broken[6:]))
    (folder / "b.warc.gz").write_bytes(archive(*pages[:10]))
    wat = [
        links({"path": "IMG@/src", "url": f"/{i}.jpg", "alt": f"number {i}"}, url=f"http://news.example/{i}")
        for i in range(5, 40)
    ]
    (folder / "c.warc.wat.gz").write_bytes(archive(*wat))
    return f"[{folder}/*.gz]"


@pytest.fixture(scope="module")
def whole(engines, tmp_path_factory):
    """`pairs` of the small pool, made in one go, and its manifest. Not to be written to."""
    folder = tmp_path_factory.mktemp("whole")
    return run(engines, folder / "work", small_pool(folder / "pool"))


@pytest.fixture
def make(engines, tmp_path):
    def make(inputs: str, workdir: str = "work", **how):
        return run(engines, tmp_path / workdir, inputs, **how)

    return make


@pytest.fixture
def small(tmp_path):
    return small_pool(tmp_path / "pool")


def rows_of(pairs: Dataset) -> list[dict]:
    return [row for table in pairs.batches() for row in table.to_pylist()]


def contents(dataset: Dataset) -> dict[str, bytes]:
    return {path: dataset.fs.cat_file(path) for path in dataset.fs.find(dataset.root)}


def named(dataset: Dataset) -> dict[str, bytes]:
    return {path.removeprefix(dataset.root): data for path, data in contents(dataset).items()}


def test_the_bundled_pool_becomes_pairs(make):
    pairs, manifest = make(POOL)
    rows, ledger = rows_of(pairs), manifest.ledger
    assert ledger.rows_in == ledger.kept + sum(ledger.dropped.values()) + sum(ledger.failed.values())
    assert ledger.notes["images"] == 2 * 4807 and ledger.notes["files"] == 2
    assert ledger.dropped["empty_text"] == 2 * 46
    assert ledger.kept == len(rows) == len({row["uid"] for row in rows})
    assert {row["source"] for row in rows} == {"warc"}
    for index, part in enumerate(manifest.parts):
        found = pairs.read_part(part.name).to_pylist()
        assert {part_of(row["image_uid"], 4) for row in found} == {index}
        assert found == sorted(found, key=lambda row: (row["image_uid"], row["uid"]))
    assert manifest.extra == {"quarantine": {"files": 0, "places": 0, "examples": []}}
    left = (pairs.path("_mix.json"), *(f"{pairs.workdir}/{name}" for name in ("pairs-read", "pairs-whole")))
    assert not [path for path in left if pairs.fs.exists(path)]


def test_repeated_rows_collapse_into_the_first(whole):
    rows = rows_of(whole[0])
    where = Counter((row["source"], row["crawl_file"]) for row in rows if row["text"] != "shared")
    assert where == {("warc", "a.warc.gz"): 19, ("warc", "b.warc.gz"): 10, ("wat", "c.warc.wat.gz"): 11}
    shared = [row for row in rows if row["text"] == "shared"]
    assert [(row["kind"], row["crawl_file"], row["record_offset"]) for row in shared] == [("alt", "a.warc.gz", 0)]


def test_what_left_while_files_were_read_is_in_the_account(whole):
    _, manifest = whole
    assert manifest.ledger.failed == {"bad_record": 1}
    assert manifest.ledger.dropped == {"repeated": 28 + 24}
    assert (manifest.ledger.rows_in, manifest.ledger.kept) == (2 * 29 + 35 + 1, 41)
    found = manifest.extra["quarantine"]
    assert (found["files"], found["places"]) == (1, 1)
    assert found["examples"][0]["file"] == "a.warc.gz" and found["examples"][0]["offset"] > 0


@pytest.mark.parametrize("partitions", [1, 3])
def test_the_bytes_do_not_depend_on_partitions(make, small, whole, engines, partitions):
    session = engines.spark()
    before = {key: session.conf.get(key) for key in ("spark.sql.shuffle.partitions", "spark.sql.adaptive.enabled")}
    session.conf.set("spark.sql.shuffle.partitions", str(partitions))
    session.conf.set("spark.sql.adaptive.enabled", "false")
    try:
        assert named(make(small)[0]) == named(whole[0])
    finally:
        for key, value in before.items():
            session.conf.set(key, value)


def test_deleted_parts_come_back_as_they_were(make, small, tmp_path):
    pairs, _ = make(small)
    before = contents(pairs)
    for lost in (
        ["_manifest.json"],
        ["_manifest.json", "part-00000.parquet", "part-00003.parquet"],
    ):
        for file in lost:
            pairs.fs.rm_file(pairs.path(file))
        make(small)
        assert contents(pairs) == before


class Killed(BaseException):
    pass


def test_a_run_that_dies_between_the_steps_goes_on(make, small, whole, tmp_path, monkeypatch):
    shuffle = extract._shuffle

    def die(*_):
        raise Killed

    monkeypatch.setattr(extract, "_shuffle", die)
    with pytest.raises(Killed):
        make(small)
    staged = Dataset(str(tmp_path / "work"), "pairs-read")
    read = contents(staged)
    for file in ("_manifest.json", "part-00000.parquet", "part-00000.breaks.json"):
        staged.fs.rm_file(staged.path(file))
    with pytest.raises(Killed):
        make(small)
    assert contents(staged) == read

    def die_late(*args):
        shuffle(*args)
        raise Killed

    monkeypatch.setattr(extract, "_shuffle", die_late)
    with pytest.raises(Killed):
        make(small)
    monkeypatch.setattr(extract, "_shuffle", shuffle)
    pairs, _ = make(small)
    assert named(pairs) == named(whole[0])
    assert not staged.fs.exists(staged.root)


def test_files_that_share_a_part_yield_the_same_and_go_on_alike(make, small, whole, tmp_path, monkeypatch):
    monkeypatch.setattr(grouping, "FEW", 1)
    shuffle = extract._shuffle
    monkeypatch.setattr(extract, "_shuffle", lambda *_: (_ for _ in ()).throw(Killed))
    with pytest.raises(Killed):
        make(small)
    staged = Dataset(str(tmp_path / "work"), "pairs-read")
    (part,) = staged.require().parts
    # One of the three is broken: it costs what it lacks, and the others are whole.
    assert part.ledger.notes["files"] == 3 and part.ledger.notes["broken_files"] == 1
    assert part.ledger.failed == {"bad_record": 1}
    read = contents(staged)
    (tmp_path / "pool").rename(tmp_path / "moved")
    for file in ("_manifest.json", "part-00000.parquet", "_files.parquet"):
        staged.fs.rm_file(staged.path(file))
    with pytest.raises(Killed):
        make(f"[{tmp_path}/moved/*.gz]")
    again = contents(staged)
    assert again.keys() == read.keys()
    assert {path for path in read if again[path] != read[path]} == {staged.path("_files.parquet")}
    monkeypatch.setattr(grouping, "FEW", 2)
    with pytest.raises(StoreError, match=r"pairs-read was made with other .*number of parts was 1, is now 3"):
        make(f"[{tmp_path}/moved/*.gz]")
    monkeypatch.setattr(grouping, "FEW", 1)
    monkeypatch.setattr(extract, "_shuffle", shuffle)
    assert named(make(f"[{tmp_path}/moved/*.gz]")[0]) == named(whole[0])


def test_a_finished_stage_is_skipped_and_what_it_left_is_swept(make, small, capsys):
    pairs, manifest = make(small)
    Dataset(pairs.workdir, "pairs-read").put("_plan.json", b"left by a run that was killed while it cleaned up")
    capsys.readouterr()
    assert make(small)[1] == manifest
    assert "already done, skipped" in capsys.readouterr().out
    assert not pairs.fs.exists(f"{pairs.workdir}/pairs-read")


def test_parts_that_no_row_falls_into_are_there_and_empty(make, small):
    pairs, manifest = make(small, parts=200)
    sizes = {part.name: part.rows for part in manifest.parts}
    assert len(sizes) == 200 and sum(sizes.values()) == 41
    assert min(sizes.values()) == 0
    assert pairs.read_part(min(sizes, key=sizes.get)).schema == pairs.read_part(max(sizes, key=sizes.get)).schema


def test_row_groups_are_whole_and_repetitions_far_apart_collapse(make, tmp_path):
    images = "".join(f"<img src=/{i}.jpg alt='text {i}'>" for i in range(20_000))
    for name in "ab":
        (tmp_path / f"{name}.warc.gz").write_bytes(
            archive(page(images, url=f"http://{name}.example/"), page(images, url="http://a.example/"))
        )
    pairs, manifest = make(f"[{tmp_path}/*.warc.gz]", parts=1)
    with pairs.open_part("part-00000") as file:
        groups = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert groups == [ROW_GROUP] * (40_000 // ROW_GROUP) + [40_000 % ROW_GROUP]
    assert manifest.ledger.dropped == {"repeated": 40_000}
    assert manifest.ledger.rows_in == 80_000


def test_another_pool_or_setting_is_refused(make, small, tmp_path):
    make(small)
    with pytest.raises(StoreError, match="parts was 4, is now 8"):
        make(small, parts=8)
    (tmp_path / "pool" / "d.warc.gz").write_bytes(archive(page("<img src=x alt=new>")))
    with pytest.raises(StoreError, match=r"input pool was '3 files.*is now '4 files"):
        make(small)
    pairs, _ = make(small, redo=("extract",))
    assert "new" in {row["text"] for row in rows_of(pairs)}


def test_a_pool_that_moved_is_the_same_pool(make, small, tmp_path):
    _, manifest = make(small)
    (tmp_path / "pool").rename(tmp_path / "moved")
    assert make(f"[{tmp_path}/moved/*.gz]")[1] == manifest


def test_a_pattern_without_files_stops_before_anything_is_written(make, tmp_path):
    with pytest.raises(RecipeError, match=r"nowhere/\*.warc.gz' matches no file"):
        make(f"['{tmp_path}/nowhere/*.warc.gz']")
    assert not (tmp_path / "work").exists()
