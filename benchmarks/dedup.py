"""The semantic rule against SemDeDup as it is published, and hashes against imagededup, on planted duplicates of real pictures.

python benchmarks/dedup.py [POOL]     # a folder with www/; the demo's pool by default

SemDeDup (Abbas et al. 2023) is written plainly in torch here, since its released code is not free to ship: k-means over all vectors,
then the upper triangle of each cluster's cosines. Ours does what the stage does: k-means on a sample, then blocks. K-means is
included on both sides; on the same clusters both must drop the same images. One thread each: `make bench-dedup` sees to it.
"""

import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from dedup_memory import embeddings as made_up
from dedup_planted import COPIES, Found, imagededup, ours, plant
from harness import measure, report, row

from curate.duplicates import embeddings, neighbours, rules

ROOT = Path(__file__).resolve().parent.parent
IMAGES, CLUSTERS, EPSILON, ITERATIONS = 32_768, 8, 0.03, 20


def semdedup_torch(vectors: np.ndarray, cluster: np.ndarray | None = None) -> np.ndarray:
    """Which vectors (float32, length 1) SemDeDup drops; clusters by k-means where none are given."""
    import torch

    torch.set_num_threads(1)
    x = torch.from_numpy(vectors)
    assigned = kmeans_torch(x) if cluster is None else torch.from_numpy(cluster)
    dropped = np.zeros(len(vectors), bool)
    for number in range(CLUSTERS):
        mine = torch.nonzero(assigned == number)[:, 0]
        order = torch.argsort(x[mine] @ x[mine].mean(0), stable=True)  # the hard ones first
        inside = x[mine[order]]
        cosine = torch.triu(inside @ inside.T, diagonal=1)
        dropped[mine[order].numpy()] = (cosine.max(dim=0).values > 1 - EPSILON).numpy()
    return dropped


def kmeans_torch(x: Any) -> Any:
    import torch

    centres = x[:: len(x) // CLUSTERS][:CLUSTERS].clone()
    for _ in range(ITERATIONS):
        assigned = (x @ centres.T).argmax(dim=1)
        centres = torch.zeros_like(centres).index_add_(0, assigned, x)
        centres = torch.nn.functional.normalize(centres, dim=1)
    return (x @ centres.T).argmax(dim=1)


def semdedup_ours(vectors: np.ndarray, cluster: np.ndarray | None = None, rule: str = "semdedup") -> np.ndarray:
    if cluster is None:
        share = embeddings.sample_share(len(vectors), CLUSTERS)
        sample = np.ascontiguousarray(vectors[:: int(1 / share)])
        cluster = embeddings.assign(vectors, embeddings.centroids(sample, CLUSTERS, seed=0))
    dropped = np.zeros(len(vectors), bool)
    for number in range(CLUSTERS):
        mine = np.flatnonzero(cluster == number)
        inside = vectors[mine]
        order = rules.hard_first(inside)
        root = rules.RULES[rule](neighbours.Vectors(inside[order], EPSILON))
        dropped[mine[order]] = root != np.arange(len(root))
    return dropped


def semantic() -> list[dict[str, Any]]:
    draw = np.random.default_rng(0)
    centres = embeddings.unit(draw.normal(size=(CLUSTERS * 2, 512)))
    vectors = embeddings.unit(made_up(draw, IMAGES, centres))
    cluster = embeddings.assign(vectors, centres[::2])
    same = measure(lambda: (semdedup_torch(vectors, cluster) != semdedup_ours(vectors, cluster)).sum(), runs=1)[2]
    assert same == 0, f"{same} images end otherwise in the same clusters"
    rows = []
    for what, mine in (("semdedup_rate_vs_reference", None), ("semdedup_inside_clusters", cluster)):
        seconds, memory, dropped = measure(lambda mine=mine: int(semdedup_ours(vectors, mine).sum()), runs=3)
        peer, _, expected = measure(lambda mine=mine: int(semdedup_torch(vectors, mine).sum()), runs=2)
        print(f"{what}: {dropped:,} dropped, the reference {expected:,}, of {IMAGES // 20:,} planted", flush=True)
        rows.append(row(what, IMAGES / seconds, IMAGES / peer, "images / CPU s", memory))
    return rows


def planted(pool: Path) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        of = plant(pool, Path(folder))
        seconds, memory, mine = measure(partial(ours, folder), runs=2)
        peer, _, theirs = measure(partial(imagededup, folder), runs=1)
        found, other = Found(mine, of), Found(theirs, of)
        print(
            f"planted: {len(set(of.values())):,} pictures, {len(of):,} files; copies found {found.by_kind()}, by imagededup {other.by_kind()}"
        )
        light = [kind for kind, (_, light) in COPIES.items() if light]
        return [
            row("planted_recall", found.recall(light), other.recall(light), "share of exact and light copies", memory),
            row(
                "planted_precision",
                found.precision(light),
                other.precision(light),
                "share of ties that are right",
                memory,
            ),
            row("vs_imagededup", len(of) / seconds, len(of) / peer, "images / CPU s, hashed and searched", memory),
        ]


def main() -> None:
    pool = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "demo" / "pool"
    corpus = f"{IMAGES:,} made-up vectors of 512 in {CLUSTERS} clusters, epsilon {EPSILON}, k-means on both sides; pictures of {pool.name}"
    report("dedup", corpus, semantic() + planted(pool))


if __name__ == "__main__":
    main()
