"""Named sources with weights and quotas on a real Spark: the same `pairs` whatever the partitions, parts and kills."""

import re
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from curate import recipe as recipes
from curate.cli import app
from curate.explaining import mixing as explaining
from curate.pools import mixing
from curate.store import Dataset
from curate.uid import pair_uid
from jobs import extract
from jobs.engine import Run


def pool(folder) -> None:
    folder.mkdir()
    for name, rows in {"a": range(600), "b": range(500, 900), "c": range(2000, 2030)}.items():
        table = pa.table({"url": [f"http://img.example/{n}.jpg" for n in rows], "text": [f"text {n}" for n in rows]})
        pq.write_table(table, folder / f"{name}.parquet")


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


def test_a_run_that_dies_while_it_mixes_goes_on_whatever_the_partitions(engines, mixed, tmp_path, monkeypatch):
    session, real = engines.spark(), mixing.mix_part
    before = session.conf.get("spark.sql.shuffle.partitions")
    monkeypatch.setattr(mixing, "mix_part", lambda *a, **k: (_ for _ in ()).throw(RuntimeError("killed")))
    try:
        session.conf.set("spark.sql.shuffle.partitions", "7")
        with pytest.raises(Exception, match="killed"):
            run(engines, tmp_path, mixed[0], **MIX)
        pairs = Dataset(str(tmp_path), "pairs")
        cuts = pairs.fs.cat_file(pairs.path(mixing.FILE))
        # As if it had died a step earlier: the cuts are looked for again, over other partitions.
        pairs.fs.rm_file(pairs.path(mixing.FILE))
        monkeypatch.setattr(mixing, "mix_part", real)
        session.conf.set("spark.sql.shuffle.partitions", "1")
        assert named(run(engines, tmp_path, mixed[0], **MIX)[0]) == named(mixed[1])
        assert pairs.fs.cat_file(pairs.path(mixing.FILE)) == cuts
    finally:
        session.conf.set("spark.sql.shuffle.partitions", before)


def test_the_set_does_not_depend_on_parts(engines, mixed, tmp_path):
    other, _ = run(engines, tmp_path, mixed[0], parts=1, **MIX)
    assert {row["uid"] for row in rows_of(other)} == {row["uid"] for row in rows_of(mixed[1])}


def test_it_is_told_why_a_pair_was_not_drawn(mixed):
    _, pairs, manifest = mixed
    rows = {row["uid"]: row for row in rows_of(pairs)}
    seen = Counter()
    for name, numbers in {"a": range(600), "b": range(600, 900), "c": range(2000, 2030)}.items():
        for n in numbers:
            uid = pair_uid(f"http://img.example/{n}.jpg", f"text {n}")
            of = {cut["source"]: cut for cut in explaining.cuts(manifest, uid)}
            taken = name not in of or of[name]["taken"]
            assert taken == (uid in rows) and ("c" in of) is False
            seen[name, taken] += 1
            told = explaining.unseen(manifest, uid)
            assert (f"of {name}: its draw" in told) == (not taken)
            if not taken:
                assert f"above {of[name]['threshold']:.6f}, the greatest" in told
    assert seen == {("a", True): 300, ("a", False): 300, ("b", True): 150, ("b", False): 150, ("c", True): 30}


def test_explain_tells_the_draw_and_the_limits(mixed):
    _, pairs, manifest = mixed

    def said(uid: str) -> str:
        told = CliRunner().invoke(app, ["explain", uid, "-w", pairs.workdir])
        return str(told.exception or told.output)

    rows = rows_of(pairs)
    kept = next(row for row in rows if row["source"] == "b")
    (cut,) = [cut for cut in explaining.cuts(manifest, kept["uid"]) if cut["source"] == "b"]
    share = "150 of 300 distinct pairs of b (weight 1 and quota 150)"
    draw = f"its draw {cut['draw']:.6f} is not above {cut['threshold']:.6f}, the greatest that is taken"
    assert f"{draw}: {share}" in said(kept["uid"])
    assert "greatest that is taken" not in said(next(row["uid"] for row in rows if row["source"] == "c"))
    uids = (pair_uid(f"http://img.example/{n}.jpg", f"text {n}") for n in range(600, 900))
    gone = next(uid for uid in uids if uid not in {row["uid"] for row in rows})
    assert re.search(rf"no pair or image {gone} is in .*it is over_quota: .*of b: its draw 0\.\d+ is above", said(gone))
