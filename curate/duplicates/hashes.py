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


def close_pairs(hashes: np.ndarray, distance: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices (i, j), i < j, of all hashes (uint64, shape (n,)) at most `distance` bits apart; a block of rows at a time."""
    found_rows, found_columns = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for start in range(0, len(hashes), _BLOCK):
        apart = np.bitwise_count(hashes[start : start + _BLOCK, None] ^ hashes[None, start:])
        rows, columns = np.nonzero(apart <= distance)
        upper = rows < columns
        found_rows.append(rows[upper] + start)
        found_columns.append(columns[upper] + start)
    return np.concatenate(found_rows), np.concatenate(found_columns)


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
