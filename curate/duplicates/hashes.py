"""Pairs of 64-bit perceptual hashes within a Hamming distance k, without comparing all with all.

Multi-index hashing: cut the 64 bits into b blocks. Two hashes that differ in at most k bits agree on at least b - k
whole blocks, so hashing every choice of b - k blocks (C(b, k) tables) puts each such pair into one bucket at least
once (pigeonhole; Manku, Jain and Das Sarma, WWW 2007). b = k + 1 are the plain bands; more blocks make longer keys.
"""

from collections.abc import Sequence
from functools import cache
from itertools import combinations, pairwise
from math import comb

import numpy as np

BITS = 64
BUCKET = 256
"""Hashes that share a key on average, at most, when hashes were spread evenly."""
TABLES = 128
LARGEST = 1 << 16
"""Hashes that are compared with each other at most. Neighbours on both sides of a cut are missed in this table and found in another
one, unless they are cut in all."""
_BLOCK = 1024
_SHORT = 64
"""Runs of at most as many hashes are compared together, longer ones by blocks."""


def parse(texts: Sequence[str]) -> np.ndarray:
    """Hashes written as 16 hex digits, as uint64, shape (n,)."""
    return np.fromiter((int(text, 16) for text in texts), dtype=np.uint64, count=len(texts))


def blocks_for(n: int, distance: int) -> int:
    """The least number of blocks, above `distance`, whose keys spread n hashes over buckets of about BUCKET."""
    blocks = distance + 1
    while n > BUCKET << (BITS * (blocks - distance) // blocks) and comb(blocks + 1, distance) <= TABLES:
        blocks += 1
    return blocks


@cache
def masks(blocks: int, distance: int) -> np.ndarray:
    """The bits of each table's key: one mask for each choice of blocks - distance blocks; uint64, shape (tables,)."""
    edges = [BITS * i // blocks for i in range(blocks + 1)]
    block = [((1 << high) - 1) ^ ((1 << low) - 1) for low, high in pairwise(edges)]
    chosen = combinations(block, blocks - distance)
    return np.array([sum(some) for some in chosen], dtype=np.uint64)


def keys(hashes: np.ndarray, blocks: int, distance: int) -> np.ndarray:
    """The key of each hash in each table: uint64, shape (tables, n)."""
    return hashes[None, :] & masks(blocks, distance)[:, None]


def close_pairs(hashes: np.ndarray, distance: int, cuts: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Indices (i, j), i < j, of all hashes (uint64, shape (n,)) at most `distance` bits apart; both int64.

    `cuts`: only pairs inside hashes[cuts[k] : cuts[k + 1]]; ascending, from 0 to n. Without, all are compared with all.
    """
    cuts = np.array([0, len(hashes)]) if cuts is None else cuts
    sizes = np.diff(cuts)
    found = [
        _block_pairs(hashes, start, cuts[run + 1], distance)
        for run in np.flatnonzero(sizes > _SHORT)
        for start in range(cuts[run], cuts[run + 1], _BLOCK)
    ]
    # Each hash of the short runs with the one `step` further on, of all runs at once, as long as that is in its run.
    ends, rows = np.repeat(np.where(sizes > _SHORT, 0, cuts[1:]), sizes), np.arange(len(hashes))
    for step in range(1, _SHORT):
        rows = rows[rows + step < ends[rows]]
        if not len(rows):
            break
        near = rows[np.bitwise_count(hashes[rows] ^ hashes[rows + step]) <= distance]
        found.append((near, near + step))
    firsts, seconds = zip(*found, strict=True) if found else ([], [])
    return np.concatenate([np.zeros(0, np.int64), *firsts]), np.concatenate([np.zeros(0, np.int64), *seconds])


def _block_pairs(hashes: np.ndarray, start: int, end: int, distance: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of a block of rows of a run with the rows of the run from there to its end."""
    last = min(start + _BLOCK, end)
    apart = np.bitwise_count(hashes[start:last, None] ^ hashes[None, start:end])
    rows, columns = np.nonzero(apart <= distance)
    upper = rows < columns
    return rows[upper] + start, columns[upper] + start


def any_close(hashes: np.ndarray, references: np.ndarray, distance: int) -> np.ndarray:
    """Whether each hash is at most `distance` bits from some reference: bool, shape (n,). Buckets as in the module."""
    close = np.zeros(len(hashes), dtype=bool)
    if not len(references) or not len(hashes):
        return close
    blocks = blocks_for(len(references), distance)
    for mask in masks(blocks, distance):
        known = references[np.argsort(references & mask, kind="stable")]
        key = known & mask
        low, high = np.searchsorted(key, hashes & mask, "left"), np.searchsorted(key, hashes & mask, "right")
        # The i-th reference of every hash's bucket at once: as many steps as the longest bucket has references.
        step = 0
        while (open_ones := np.flatnonzero(~close & (low + step < high))).size:
            distances = np.bitwise_count(hashes[open_ones] ^ known[low[open_ones] + step])
            close[open_ones[distances <= distance]] = True
            step += 1
    return close
