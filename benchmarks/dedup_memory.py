"""The dedup stage with its semantic rule over made-up embeddings of many images: time, and memory (PSS) of all its processes.

python benchmarks/dedup_memory.py [IMAGES] [FOLDER]     # 2,000,000 images of 512 float16 by default, about 2 GB on disk

Embeddings lie around one centre for each 2,048 images, with variances that fall as 1 / rank within; every 20th is the one before it
with a cosine of 0.995. Everything else of an image is by chance, so that bytes and hashes tie nobody.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from harness import Tree, report, row

from curate import schema
from curate.recipe import build
from curate.store import ROW_GROUP, Dataset, Plan, part_name
from jobs import dedup, engine

WIDTH, EVERY, CENTRE, PER_PART = 512, 20, 2048, 250_000
EPSILON = 0.02


def embeddings(draw: np.random.Generator, n: int, centres: np.ndarray) -> np.ndarray:
    scale = np.arange(1.0, WIDTH + 1) ** -0.5
    noise = draw.normal(size=(n, WIDTH)).astype(np.float32) * (0.7 * scale / np.linalg.norm(scale)).astype(np.float32)
    found = centres[draw.integers(0, len(centres), n)] + noise
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    copies = np.arange(EVERY - 1, n, EVERY)
    found[copies] = found[copies - 1] + draw.normal(size=(len(copies), WIDTH)).astype(np.float32) * (0.1 / WIDTH**0.5)
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float16)


def images(draw: np.random.Generator, first: int, n: int) -> pa.Table:
    names = [f"{first + i:032x}" for i in range(n)]
    known = schema.load("images").arrow()
    given = {"uid": names, "image_uid": names, "url": names, "text": names, "kind": ["alt"] * n, "curated": [True] * n,
             "baseline": [True] * n, "state": ["kept"] * n, "width": [64] * n, "height": [64] * n,
             "sha256": names, "phash": [f"{h:016x}" for h in draw.integers(0, 2**64, n, dtype=np.uint64)]}  # fmt: skip
    return pa.table(
        {f.name: pa.array(given[f.name], f.type) if f.name in given else pa.nulls(n, f.type) for f in known}
    )


def write(workdir: str, count: int) -> None:
    draw = np.random.default_rng(0)
    centres = draw.normal(size=(max(count // CENTRE, 1), WIDTH)).astype(np.float32)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    parts = [range(start, min(start + PER_PART, count)) for start in range(0, count, PER_PART)]
    names = tuple(part_name(i) for i in range(len(parts)))
    pool, scores = Dataset(workdir, "images"), Dataset(workdir, "scores/clip")
    plans = [
        Plan(dataset=d.name, stage=s, settings={}, inputs={}, parts=names)
        for d, s in ((pool, "download"), (scores, "score"))
    ]
    for name, part in zip(names, parts, strict=True):
        with pool.write_part(name, plans[0].hash) as one, scores.write_part(name, plans[1].hash) as other:
            for first in range(part.start, part.stop, ROW_GROUP):
                n = min(ROW_GROUP, part.stop - first)
                table, vectors = images(draw, first, n), embeddings(draw, n, centres)
                one.write(table)
                wide = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), WIDTH)
                other.write(
                    pa.table({"uid": table["uid"], "state": table["state"], "reason": pa.nulls(n, pa.string()),
                              "similarity_score": pa.array(draw.random(n, np.float32)), "image_embedding": wide, "text_embedding": pa.nulls(n, wide.type),
                              "image_length": pa.nulls(n, pa.float32()), "text_length": pa.nulls(n, pa.float32())})
                )  # fmt: skip
    for data, plan in zip((pool, scores), plans, strict=True):
        data.begin(plan)
        data.commit(plan)


def main() -> None:
    count = int(sys.argv[1].replace(",", "")) if len(sys.argv) > 1 else 2_000_000
    with tempfile.TemporaryDirectory(dir=sys.argv[2] if len(sys.argv) > 2 else None) as workdir:
        os.environ.setdefault("SPARK_LOCAL_DIRS", f"{workdir}/spark")
        write(workdir, count)
        size = sum(f.stat().st_size for f in Path(workdir).rglob("*.parquet"))
        print(f"{count:,} images written, {size / 1e9:.1f} GB", flush=True)
        settings = {
            "phash_distance": -1,
            "semantic_model": "clip",
            "semantic_epsilon": EPSILON,
            "semantic_rule": "greedy",
        }
        recipe = build({"name": "memory", "extract": {"inputs": []}, "score": {"models": [{"name": "clip", "model": "-"}]},
                        "dedup": settings})  # fmt: skip
        engines, start = engine.Engines(), time.monotonic()
        try:
            with Tree(os.getpid(), every=1.0) as tree:
                dedup.run(engine.Run(recipe, workdir, engines))
                wall, cpu = time.monotonic() - start, tree.cpu_seconds()
        finally:
            engines.stop()
        dropped = Dataset(workdir, "duplicates").require().ledger.dropped.get("semantic", 0)
        planted = sum(n // EVERY for n in group_sizes(count))
        by = ", ".join(f"{name} {mb:,.0f}" for name, mb in sorted(tree.peak_by.items()))
        raw = count * WIDTH * 2 / 1e6
        report("dedup-memory", f"{count:,} images of {WIDTH} float16, planted copies {planted:,}, dropped {dropped:,}, {wall:.0f} s on {os.cpu_count()} cores",
               [row("peak_pss_vs_embeddings", tree.peak_mb, raw, f"MB, all processes ({by})", tree.peak_mb),
                row("images_per_cpu_second", count / cpu, count / cpu, "images / CPU s, all processes", tree.peak_mb)])  # fmt: skip


def group_sizes(count: int) -> list[int]:
    parts = [min(PER_PART, count - start) for start in range(0, count, PER_PART)]
    return [min(ROW_GROUP, part - first) for part in parts for first in range(0, part, ROW_GROUP)]


if __name__ == "__main__":
    main()
