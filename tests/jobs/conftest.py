"""Datasets for the jobs' tests: the bundled pool as `pairs`, and any table as a committed dataset."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate import schema, uid
from curate.store import Dataset, Plan, part_name

POOL = Path(__file__).resolve().parents[2] / "demo" / "pool"


def commit(workdir: str, name: str, parts: Sequence[Sequence[pa.Table]]) -> Dataset:
    """A committed dataset with the given row groups in each part."""
    target = Dataset(str(workdir), name)
    names = tuple(part_name(index) for index in range(len(parts)))
    plan = Plan(dataset=name, stage=schema.load(name).stage, settings={}, inputs={}, parts=names)
    target.begin(plan)
    for part, groups in zip(names, parts, strict=True):
        with target.write_part(part, plan.hash) as out:
            for table in groups:
                out.write(table)
    target.commit(plan)
    return target


def pairs_of_the_pool(parts: int) -> list[list[pa.Table]]:
    """The bundled pool's true pairs as parts of `pairs`, two row groups each."""
    rows = {}
    for row in pq.read_table(POOL / "pairs.parquet").to_pylist():
        if row["caption"] and row["caption"].strip():
            text = row["caption"].strip()
            name = uid.pair_uid(row["url"], text)
            rows.setdefault(name, {
                "uid": name, "image_uid": uid.image_uid(row["url"]), "url": row["url"], "text": text, "kind": "alt",
                "page_url": row["page_url"], "page_robots": None, "page_lang": row["lang"], "source": "warc",
                "crawl_file": "pool", "record_offset": 0,
            })  # fmt: skip
    cut: list[list[dict]] = [[] for _ in range(parts)]
    for row in sorted(rows.values(), key=lambda row: (row["image_uid"], row["uid"])):
        cut[uid.part_of(row["image_uid"], parts)].append(row)
    arrow = schema.load("pairs").arrow()
    halves = [(part[: len(part) // 2], part[len(part) // 2 :]) for part in cut]
    return [[pa.Table.from_pylist(list(half), schema=arrow) for half in pair] for pair in halves]


@pytest.fixture(scope="session")
def pool_pairs(tmp_path_factory):
    """A workdir that holds nothing but the bundled pool's `pairs`, in 3 parts. Not to be written to."""
    workdir = tmp_path_factory.mktemp("pool-pairs")
    commit(workdir, "pairs", pairs_of_the_pool(3))
    return workdir


@pytest.fixture(scope="session")
def make_dataset():
    return commit
