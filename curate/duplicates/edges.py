"""Edges between images that are the same, from one bucket at a time.

A bucket of m like images has m * (m - 1) / 2 pairs; m - 1 edges say the same of what is connected, so each bucket gives
a star: every member tied to one of its connected component.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa

from curate.duplicates import embeddings, hashes, neighbours, rules

EDGE = pa.schema([("a", pa.string()), ("b", pa.string())])
"""An edge: image_uid a is the same picture as image_uid b; of hashes, b < a."""

Bucket = Callable[[pa.Table], pa.Table]


def runs(
    batches: Iterable[pa.RecordBatch], by: Sequence[str], bucket: Bucket, most: int = 1 << 62
) -> Iterator[pa.RecordBatch]:
    """Applies `bucket` to each run of rows that agree in the columns `by`; batches come sorted by them. Yields edges.

    Memory is one batch and the longest run. Runs longer than `most` are cut, and neighbours on both sides of a cut are missed.
    Runs of one row are passed over: nobody is their neighbour.
    """
    for table, cuts in _whole_runs(batches, by, most):
        for start, end in pairwise(cuts):
            if end - start > 1:
                yield from bucket(table.slice(start, end - start)).to_batches()


def perceptual(
    batches: Iterable[pa.RecordBatch], by: Sequence[str], distance: int, most: int = hashes.LARGEST
) -> Iterator[pa.RecordBatch]:
    """Edges by Hamming distance in each run of rows that agree in `by`, as of `runs`, for all runs of a batch at once: most hold two or three.

    Columns phash (int64, the bits of the hash) and image_uid, sorted by `by`.
    """
    for table, cuts in _whole_runs(batches, by, most):
        pairs = hashes.close_pairs(table["phash"].to_numpy().view(np.uint64), distance, cuts)
        yield from star(table["image_uid"].to_numpy(), *pairs).to_batches()


def semantic(bucket: pa.Table, epsilon: float, rule: str, device: str = "cpu") -> pa.Table:
    """Edges (a, b) of one cluster: a is dropped for b, by a rule of `rules.RULES`.

    Columns image_uid, curated, embedding (float16 as bytes), in the order in which images are visited. semdedup has an order of its
    own; images that the curated set has go before others there too, or it would lose them to pictures that it has not.
    """
    vectors, uids = embeddings.unpack(bucket["embedding"]), bucket["image_uid"].to_numpy()
    if rule == "semdedup":
        order = rules.hard_first(vectors)
        order = order[np.argsort(~bucket["curated"].to_numpy()[order], kind="stable")]
        vectors, uids = vectors[order], uids[order]
    root = rules.RULES[rule](neighbours.vectors(vectors, epsilon, neighbours.device_of(device)))
    dropped = root != np.arange(len(root))
    return pa.table([pa.array(uids[dropped], pa.string()), pa.array(uids[root[dropped]], pa.string())], schema=EDGE)


def components(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Ties each node of a graph that fits in memory (all its EDGE batches) to the smallest of its component."""
    table = pa.Table.from_batches(batches, schema=EDGE)
    names, ends = np.unique(np.concatenate([table["a"].to_numpy(), table["b"].to_numpy()]), return_inverse=True)
    yield from star(names, ends[: len(table)], ends[len(table) :]).to_batches()


def star(uids: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> pa.Table:
    """Edges (a, b) that tie each member of a component of the pairs (rows[i], columns[i]) to its smallest uid."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not len(rows):
        return EDGE.empty_table()
    touched, ends = np.unique(np.concatenate([rows, columns]), return_inverse=True)
    half = len(rows)
    graph = coo_array((np.ones(half, bool), (ends[:half], ends[half:])), shape=(len(touched), len(touched)))
    _, label = connected_components(graph, directed=False)
    names = uids[touched]
    order = np.argsort(names, kind="stable")
    first = np.unique(label[order], return_index=True)[1]
    hubs = names[order][first][label]
    leaf = names != hubs
    return pa.table([pa.array(names[leaf], pa.string()), pa.array(hubs[leaf], pa.string())], schema=EDGE)


def _whole_runs(
    batches: Iterable[pa.RecordBatch], by: Sequence[str], most: int
) -> Iterator[tuple[pa.Table, np.ndarray]]:
    """Tables of whole runs (or of `most` rows of a longer one), with where runs begin, and the table's end."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        if not batch.num_rows:
            continue
        held.append(batch)
        same = all(held[0][name][0] == batch[name][batch.num_rows - 1] for name in by)
        if same and sum(map(len, held)) < most:
            continue  # sorted, so all that is held is one run, and it may go on
        table = pa.Table.from_batches(held).combine_chunks()
        last = int(_starts(table, by)[-1])
        whole = last + (len(table) - last) // most * most
        if whole:
            yield table.slice(0, whole), _cuts(table.slice(0, whole), by, most)
        held = table.slice(whole).to_batches()
    if held:
        table = pa.Table.from_batches(held).combine_chunks()
        yield table, _cuts(table, by, most)


def _cuts(table: pa.Table, by: Sequence[str], most: int) -> np.ndarray:
    """Where runs begin, those of more than `most` rows also at every `most`, and the table's length; int64."""
    ends = [*_starts(table, by).tolist(), len(table)]
    return np.array([cut for start, end in pairwise(ends) for cut in range(start, end, most)] + ends[-1:])


def _starts(table: pa.Table, by: Sequence[str]) -> np.ndarray:
    """Indices of the rows at which a run begins, int64."""
    change = np.zeros(len(table), dtype=bool)
    change[:1] = True
    for name in by:
        values = table[name].to_numpy()
        change[1:] |= values[1:] != values[:-1]
    return np.flatnonzero(change)
