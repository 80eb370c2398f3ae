"""Selection of ten million pairs on local Spark: seconds, CPU seconds, memory.

python benchmarks/selection.py [FOLDER]     # a folder whose tables have texts; the demo's pool by default

The pool is made here: `images`, `duplicates` and two tables of scores in parts of 500,000 rows and row groups of 8,192, as download
writes them, with uids that are hashes and texts of the folder in every length. The rules are DataComp's basic filter, a top fraction
(two more passes over the scores), names of files, stock texts, and a fact of the pixels. Counted from a session that has started to
the committed dataset with its subset file. (Not `select.py`: that would hide Python's own module from all that is here.)
"""

import os
import subprocess
import sys
import tempfile
import time
from binascii import hexlify
from pathlib import Path
from typing import Any

import corpus
import numpy as np
import pyarrow as pa
from harness import Tree, report, row

from curate import schema
from curate.store import Dataset, Plan, part_name

ROOT = Path(__file__).resolve().parent.parent
ROWS, PART, GROUP = 10_000_000, 500_000, 8192
LIMIT, CORES = 60, 2
"""Seconds for ten million rows on two cores. CPU time is shared out over them, so that other work on the machine does not count; wall
time stands beside it."""
RECIPE = """\
name: select
extract: {inputs: [none]}
score:
  models: [{name: clip, model: ViT-B-32}]
  scorers: [{scorer: pixels}]
select:
  preset: basic
  rules:
    - {rule: low_similarity, top_fraction: 0.3}
    - {rule: file_name}
    - {rule: boilerplate}
    - {rule: among, column: pixels.near_constant, values: [false]}
"""


def make_pool(workdir: str, texts: list[str], rows: int) -> None:
    """The datasets that select reads, of so many rows."""
    names = tuple(part_name(i) for i in range(rows // PART))
    settings = {"scores/clip": {"scorer": "clip"}, "scores/pixels": {"scorer": "pixels"}}
    found = {}
    for name in ("images", "duplicates", *settings):
        stage = schema.of(name, settings.get(name, {})).stage
        plan = Plan(dataset=name, stage=stage, settings=settings.get(name, {}), inputs={}, parts=names)
        found[name] = (Dataset(workdir, name), plan)
        found[name][0].begin(plan)
    known = pa.array(texts, pa.string())
    for number, part in enumerate(names):
        columns = facts(np.random.default_rng(number), known)
        for data, plan in found.values():
            with data.write_part(part, plan.hash) as out:
                for start in range(0, PART, GROUP):
                    n = min(GROUP, PART - start)
                    out.write(pa.table({
                        column: columns[column].slice(start, n) if column in columns else pa.nulls(n, kind.type)
                        for column, kind in zip(data.schema.columns, data.schema.arrow(1), strict=True)
                    }))  # fmt: skip
    for data, plan in found.values():
        data.commit(plan)


def facts(chance: np.random.Generator, texts: pa.StringArray) -> dict[str, pa.Array]:
    """The columns of a part, of all its datasets: every row fetched and no duplicate, the hardest case for the rules."""
    width, height = chance.integers(64, 2000, (2, PART), dtype=np.int32)
    uid = hexes(chance)
    return {
        "uid": uid,
        "image_uid": uid,
        "url": pa.array(["-"] * PART),
        "text": texts.take(pa.array(chance.integers(0, len(texts), PART))),
        "kind": pa.array(["alt"] * PART),
        "lang": pa.array(np.where(chance.random(PART) < 0.6, "en", "de")),
        "curated": pa.array(chance.random(PART) < 0.9),
        "baseline": pa.array([True] * PART),
        "state": pa.array(["kept"] * PART),
        "width": pa.array(width),
        "height": pa.array(height),
        "similarity_score": pa.array(chance.normal(0.25, 0.05, PART).astype(np.float32)),
        "frames": pa.array(np.ones(PART, np.int32)),
        "contrast": pa.array(chance.random(PART).astype(np.float32)),
        "near_constant": pa.array(chance.random(PART) < 0.02),
    }


def hexes(chance: np.random.Generator) -> pa.StringArray:
    """So many uids as a part has rows, without a Python object each."""
    offsets = np.arange(0, 32 * PART + 1, 32, dtype=np.int32)
    return pa.StringArray.from_buffers(PART, pa.py_buffer(offsets), pa.py_buffer(hexlify(chance.bytes(16 * PART))))


def run(workdir: str) -> dict[str, Any]:
    """The stage in a process of its own: seconds, CPU seconds and peak memory of it and all that it starts."""
    command = [sys.executable, __file__, "--child", workdir]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as child:
        assert child.stdout is not None
        with Tree(child.pid) as tree:
            marks: list[tuple[float, float]] = []
            for line in child.stdout:
                marks.append((time.monotonic(), tree.cpu_seconds()))
                print(f"  {line.strip()}, {marks[-1][1]:.1f} CPU s", flush=True)
    assert child.returncode == 0, "select failed"
    (begin, before), (end, after) = marks
    return {"seconds": end - begin, "cpu": after - before, "peak_mb": tree.peak_mb}


def child(workdir: str) -> None:
    """Runs the stage on a session that is started first; a word on standard output before and after."""
    from curate import recipe
    from jobs import engine, select

    said = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    made = engine.Run(recipe.load(f"{workdir}/select.yaml"), workdir, engine.Engines())
    made.engines.spark().range(1).count()
    said.write("started\n")
    select.run(made)
    said.write("selected\n")
    made.engines.stop()


def main() -> None:
    pool = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "demo" / "pool"
    with tempfile.TemporaryDirectory() as folder:
        texts = corpus.any_texts(pool)
        Path(folder, "select.yaml").write_text(RECIPE)
        make_pool(folder, texts, ROWS)
        found = run(folder)
        kept = Dataset(folder, "selection").require().ledger.kept
    rows = [
        row("seconds_10m", found["cpu"] / CORES, LIMIT, f"CPU s of all processes / {CORES} cores", found["peak_mb"]),
        row("wall_seconds_10m", found["seconds"], LIMIT, "s, beside whatever else ran", found["peak_mb"]),
    ]
    report("select", f"{pool.name}: {ROWS:,} pairs of {len(texts):,} texts, {kept:,} selected", rows)


if __name__ == "__main__":
    child(sys.argv[2]) if sys.argv[1:2] == ["--child"] else main()
