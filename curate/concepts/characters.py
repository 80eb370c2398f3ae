"""Matching by characters: finds entries as substrings of spaced text, wherever they begin.

For the scripts that are written without blanks, and for entries that lack a blank on one side. Spaced text, with its blanks, is
a row of characters; a trie over characters is tried at each place of it.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from curate.concepts.native import PADDING
from curate.concepts.trie import NONE, Trie, collect, grow, grown, order, pairs, sets, walk
from curate.concepts.words import BLOCK_TEXTS, block, block_bytes
from curate.kernels import compiled

POINTS = 0x110000
"""Unicode has that many code points; UTF-8 as Arrow checks it has no others."""
PAGE = 256
BLANK = 32
KIND = np.zeros(128, np.uint8)
"""What an ASCII character becomes: 1 a blank, 2 itself between blanks, 0 itself."""
KIND[[9, 10, 13, 32]] = 1
KIND[list(b",.;:?!`")] = 2


class CharacterIndex(NamedTuple):
    """Entries by characters."""

    trie: Trie
    pages: np.ndarray
    """uint16, one for each 256 code points: which row of `records` has theirs."""
    records: np.ndarray
    """uint32, shape (rows, 256); row 0 is for pages of which no entry has a character."""


@njit(inline="always")
def _record(index, point):
    return index.records[index.pages[point >> 8], point & 255]


@njit(inline="always")
def _decoded(data, at, end):
    """The character of two bytes or more that begins at a byte, and how many it has; 0 where none does.

    Parquet's strings are whatever bytes their writer put there, so that a text may be cut inside a character, or be no UTF-8.
    """
    lead, one = np.int64(data[at]), _continuation(data, at + 1, end)
    if lead < 0xE0:
        return (lead & 0x1F) << 6 | one, 2 if (lead >= 0xC2) & (one < 64) else 0
    two = _continuation(data, at + 2, end)
    if lead < 0xF0:
        point = (lead & 0x0F) << 12 | one << 6 | two
        return point, 3 if ((one | two) < 64) & (point >= 0x800) else 0
    three = _continuation(data, at + 3, end)
    point = (lead & 0x07) << 18 | one << 12 | two << 6 | three
    return point, 4 if ((one | two | three) < 64) & (point >= 0x10000) & (point < POINTS) & (lead < 0xF8) else 0


@njit(inline="always")
def _continuation(data, at, end):
    """The six bits that a later byte of a character adds; 64 or more where there is none."""
    return np.int64(data[at]) ^ 0x80 if at < end else 64


@compiled
def _scan(index, data, offsets, rows, kinds, records, lasts):
    """The records of the spaced texts' characters, NONE behind each text. Returns their number."""
    n, blank = 0, _record(index, BLANK)
    for i in range(len(rows)):
        records[n] = blank
        n += 1
        at, end = offsets[rows[i]], offsets[rows[i] + 1]
        while at < end:
            byte = np.int64(data[at])
            if byte < 0x80:
                kind = kinds[byte]
                records[n] = blank
                n += kind == 2
                records[n] = blank if kind == 1 else _record(index, byte)
                n += 1
                records[n] = blank
                n += kind == 2
                at += 1
                continue
            point, size = _decoded(data, at, end)
            records[n] = _record(index, point) if size else NONE
            n += 1
            at += max(size, 1)
        records[n], records[n + 1] = blank, NONE
        lasts[i] = n + 1
        n += 2
    return n


@compiled
def match(index, data, offsets, rows, kinds):
    """As `words.match`; `kinds` is KIND."""
    most = 3 * block_bytes(offsets, rows)
    records, candidates, lasts = np.empty(most, np.uint32), np.empty(most, np.int64), np.empty(BLOCK_TEXTS, np.int64)
    hits, places = np.empty(1024, np.int32), np.empty(1024, np.int64)
    members, summary = sets(index.trie.entries)
    found, bounds = np.empty(4096, np.int32), np.empty(BLOCK_TEXTS, np.int64)
    out, counts, n, first = np.empty(1024 + 10 * len(rows), np.int32), np.empty(len(rows), np.int64), 0, 0
    while first < len(rows):
        last = block(offsets, rows, first)
        number = _scan(index, data, offsets, rows[first:last], kinds, records, lasts)
        some = pairs(index.trie, records, number, candidates)
        hits, places, n_hits = walk(index.trie, records, candidates, some, hits, places)
        while len(found) < number + n_hits + 64:
            found = grown(found)
        while len(out) - n < number + n_hits + 64:
            out = grown(out)
        ends_here = lasts[: last - first]
        collect(np.uint32(index.trie.entries), records, ends_here, hits, places, n_hits, found, bounds)
        n = order(found, bounds[: last - first], members, summary, out, n, counts[first:last])
        first = last
    return out[:n], counts


# -- building


def build(data: np.ndarray, offsets: np.ndarray, usable: np.ndarray) -> CharacterIndex:
    """The index of padded entries, as UTF-8 bytes (uint8, PADDING spare ones) and offsets (int64); see `words.build`."""
    points, first = _points(data, offsets, usable)
    number = np.zeros(POINTS, np.int64)
    number[points] = 1
    known = np.flatnonzero(number)
    number[known] = np.arange(len(known))
    trie, found = grow(number[points], first, len(known))
    used, row = np.unique(known // PAGE, return_inverse=True)
    pages, records = np.zeros(POINTS // PAGE, np.uint16), np.full((len(used) + 1, PAGE), NONE, np.uint32)
    pages[used] = np.arange(1, len(used) + 1)
    records[row + 1, known % PAGE] = found
    return CharacterIndex(trie, pages, records)


def _points(data: np.ndarray, offsets: np.ndarray, usable: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Code points of all usable entries (int64), and where each entry's begin among them."""
    points = np.frombuffer(data[: len(data) - PADDING].tobytes().decode().encode("utf-32-le"), np.uint32)
    # A character begins at each byte that is not the second or later of one.
    begins = np.concatenate([[0], np.cumsum(data[: offsets[-1]] & 0xC0 != 0x80)])[offsets]
    kept = np.repeat(usable, np.diff(begins))
    first = np.concatenate([[0], np.cumsum(np.where(usable, np.diff(begins), 0))])
    return points[kept].astype(np.int64), first
