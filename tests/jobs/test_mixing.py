"""Named sources with weights and quotas on a real Spark: the same `pairs` whatever the partitions, parts and kills."""

from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate import recipe as recipes
from curate.pools import mixing
from curate.store import Dataset
from jobs import extract
from jobs.engine import Run


def pool(folder) -> None:
    folder.mkdir()
    for name, rows in {"a": range(600), "b": range(500, 900), "c": range(2000, 2030)}.items():
        table = pa.table({"url": [f"http://img.example/{n}.jpg" for n in rows], "text": [f"text {n}" for n in rows]})
        for half in (0, 1):
            pq.write_table(table.slice(half * len(rows) // 2, len(rows) // 2), folder / f"{name}{half}.parquet")


def run(engines, workdir, folder, parts: int = 3, redo=(), **how):
    sources = [{"name": name, "inputs": [f"{folder}/{name}*.parquet"], **how.get(name, {})} for name in "abc"]
    settings = recipes.load("demo", ["extract.inputs=[]", f"extract.sources={sources}", f"extract.parts={parts}"])
    extract.run(Run(settings, str(workdir), engines, frozenset(redo)))
    pairs = Dataset(str(workdir), "pairs")
    return pairs, pairs.require()


def rows_of(pairs: Dataset) -> list[dict]:
    return [row for table in pairs.batches() for row in table.to_pylist()]


def named(data: Dataset) -> dict[str, bytes]:
    return {path.removeprefix(data.root): data.fs.cat_file(path) for path in data.fs.find(data.root)}


MIX = {"a": {"weight": 2}, "b": {"weight": 1, "quota": 150}}


@pytest.fixture(scope="module")
def mixed(engines, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mixed")
    pool(folder / "pool")
    return folder / "pool", *run(engines, folder / "work", folder / "pool", **MIX)


def test_shares_are_those_of_distinct_pairs_and_everything_is_accounted_for(mixed):
    _, pairs, manifest = mixed
    rows = rows_of(pairs)
    # 100 pairs are in both; they are the first source's.
    assert Counter(row["source"] for row in rows) == {"a": 300, "b": 150, "c": 30}
    assert manifest.ledger.dropped == {"over_quota": 300 + 150, "repeated": 100}
    assert (manifest.ledger.rows_in, manifest.ledger.kept) == (600 + 400 + 30, 480)
    mix = manifest.extra["mix"]
    assert {name: (said["found"], said["kept"]) for name, said in mix.items()} == {"a": (600, 300), "b": (300, 150)}
    assert all(0.4 < said["threshold"] < 0.6 for said in mix.values())
    for part in manifest.parts:
        found = pairs.read_part(part.name).to_pylist()
        assert found == sorted(found, key=lambda row: (row["image_uid"], row["uid"]))
        assert part.ledger.kept == len(found)
    assert not [name for name in ("pairs-read", "pairs-whole") if pairs.fs.exists(f"{pairs.workdir}/{name}")]


@pytest.mark.parametrize("partitions", [1, 7])
def test_the_bytes_do_not_depend_on_partitions(engines, mixed, tmp_path, partitions):
    session = engines.spark()
    before = session.conf.get("spark.sql.shuffle.partitions")
    session.conf.set("spark.sql.shuffle.partitions", str(partitions))
    try:
        assert named(run(engines, tmp_path, mixed[0], **MIX)[0]) == named(mixed[1])
    finally:
        session.conf.set("spark.sql.shuffle.partitions", before)


def test_the_set_does_not_depend_on_parts(engines, mixed, tmp_path):
    other, _ = run(engines, tmp_path, mixed[0], parts=1, **MIX)
    assert {row["uid"] for row in rows_of(other)} == {row["uid"] for row in rows_of(mixed[1])}


def test_a_run_that_dies_while_it_mixes_goes_on(engines, mixed, tmp_path, monkeypatch):
    real = mixing.mix_part
    monkeypatch.setattr(mixing, "mix_part", lambda *a, **k: (_ for _ in ()).throw(RuntimeError("killed")))
    with pytest.raises(Exception, match="killed"):
        run(engines, tmp_path, mixed[0], **MIX)
    monkeypatch.setattr(mixing, "mix_part", real)
    assert named(run(engines, tmp_path, mixed[0], **MIX)[0]) == named(mixed[1])


def test_without_weights_and_quotas_nothing_is_made_beside(engines, mixed, tmp_path):
    pairs, manifest = run(engines, tmp_path, mixed[0])
    assert len(rows_of(pairs)) == 930 and set(manifest.extra) == {"quarantine"} and "/_mix.json" not in named(pairs)
