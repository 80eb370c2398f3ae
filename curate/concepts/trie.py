"""A trie over symbols (words, or characters) as flat arrays, and the passes that find its entries in a block of texts.

Nodes below the number of entries are entries: the node's number is the entry's place in its list. A symbol has the number of
the node that it leads to from the root. A record is that number with two bits of what may follow from it, so that most places of a
text are done with once their symbols are looked up.

A block of texts goes through in passes, so that the cache misses of one place overlap with those of its neighbours: `pairs` finds
where two symbols stand that may begin an entry (a bitmap keeps away what no edge hashes to), `walk` follows those, and `collect` and
`order` give each text's entries in order. What comes before, cutting the texts into symbols and looking those up, is the business of `words`
and `characters`.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from curate.concepts.native import prefetch, sort8, sort16, sort32, sort64
from curate.kernels import compiled, trailing_zeros

NODE = np.uint32(0x3FFFFFFF)
"""The bits of a record that name a node."""
NONE = NODE
"""The record of a symbol that no entry has, and of what stands between two texts."""
GOES_ON = np.uint32(1 << 30)
"""Some entry has this symbol, or row of symbols, and goes on."""
COMES_TO = np.uint32(1 << 31)
"""Some entry has this symbol behind its first."""
ODD = np.uint64(0x9E3779B97F4A7C15)
BITS = 1 << 23
"""Most bits of a bitmap: a megabyte, which stays in a core's own cache."""
_0, _1, _6, _12, _32, _63 = (np.uint64(n) for n in (0, 1, 6, 12, 32, 63))


class Trie(NamedTuple):
    entries: int
    edges: np.ndarray
    """uint64, shape (slots, 2): (node, symbol's node) + 1, record of the node that the edge leads to."""
    bitmap: np.ndarray
    """uint64: a bit for the hash of each edge."""


@njit(inline="always")
def slot_of(key, slots):
    """Multiplicative hashing: the upper bits, as many as a power of two of slots needs."""
    return np.int64((key * ODD) >> np.uint64(64 - trailing_zeros(np.uint64(slots))))


@njit(inline="always")
def _edge(node, symbol):
    return (np.uint64(node & NODE) << _32 | np.uint64(symbol & NODE)) + _1


@njit(inline="always")
def _find(edges, key):
    """The slot of a key, or the free one where it would go."""
    slot = slot_of(key, edges.shape[0])
    while edges[slot, 0] != key and edges[slot, 0] != _0:
        slot = (slot + 1) & (edges.shape[0] - 1)
    return slot


@njit(inline="always")
def _bit(bitmap, key):
    return (key * ODD) >> np.uint64(58 - trailing_zeros(np.uint64(len(bitmap))))


@njit(inline="always")
def _seen(bitmap, key):
    """Whether the bitmap has the hash of a key: 1 or 0."""
    bit = _bit(bitmap, key)
    return bitmap[bit >> _6] >> (bit & _63) & _1


# -- finding


@compiled
def pairs(trie, records, n, candidates):
    """Where two symbols stand that may begin an entry. Returns their number. Written without branches: none is foreseeable."""
    edges, bitmap, some = trie.edges, trie.bitmap, 0
    for i in range(n - 1):
        candidates[some] = i
        some += np.int64(((records[i] >> np.uint32(30)) & (records[i + 1] >> np.uint32(31))) & np.uint32(1))
    found = 0
    for c in range(some):
        i = candidates[c]
        candidates[found] = i
        found += np.int64(_seen(bitmap, _edge(records[i], records[i + 1])))
    for c in range(found):
        i = candidates[c]
        prefetch(edges.ctypes.data + (slot_of(_edge(records[i], records[i + 1]), edges.shape[0]) << 4))
    return found


@compiled
def walk(trie, records, candidates, found, hits, places):
    """Follows the trie from each candidate. Returns the hits (grown where needed), where they begin, and their number."""
    edges, bitmap, entries, n = trie.edges, trie.bitmap, np.uint32(trie.entries), 0
    for c in range(found):
        at = candidates[c]
        node = records[at]
        while True:
            at += 1
            slot = _find(edges, _edge(node, records[at]))
            if edges[slot, 0] == _0:
                break
            node = np.uint32(edges[slot, 1])
            if node & NODE < entries:
                if n == len(hits):
                    hits, places = grown(hits), grown(places)
                hits[n], places[n] = node & NODE, candidates[c]
                n += 1
            if not (node & GOES_ON and records[at + 1] & COMES_TO and _seen(bitmap, _edge(node, records[at + 1]))):
                break
    return hits, places, n


@compiled
def grown(array):
    """A copy with room for as many again."""
    larger = np.empty(2 * len(array), array.dtype)
    larger[: len(array)] = array
    return larger


@compiled
def _set_and_read(found, first, last, members, summary, out, n):
    """Writes found[first:last] to out[n:], in order and each once, through a set of bits with a summary. Returns the new end.

    `members` has a bit for each value and `summary` one for each word of it; both are 0 before and after.
    """
    for i in range(first, last):
        value = np.uint64(found[i])
        members[value >> _6] |= _1 << (value & _63)
        summary[value >> _12] |= _1 << (value >> _6 & _63)
    for top in range(len(summary)):
        words = summary[top]
        while words:
            word = 64 * top + trailing_zeros(words)
            words &= words - _1
            bits = members[word]
            while bits:
                out[n] = 64 * word + trailing_zeros(bits)
                bits &= bits - _1
                n += 1
            members[word] = _0
        summary[top] = _0
    return n


@compiled
def sets(entries):
    """The two empty bit sets that `order` works with: uint64."""
    tops = (entries >> 12) + 1
    return np.zeros(64 * tops, np.uint64), np.zeros(tops, np.uint64)


@compiled
def collect(entries, records, lasts, hits, places, n_hits, found, bounds):
    """Writes each text's entries to `found`, as they come, and where they end to `bounds`.

    Text i ends before record lasts[i]. There is room for all records and hits.
    """
    begin = hit = n = 0
    for text in range(len(lasts)):
        last = lasts[text]
        for i in range(begin, last):
            node = records[i] & NODE
            found[n] = node
            n += node < entries
        while hit < n_hits and places[hit] < last:
            found[n] = hits[hit]
            n += 1
            hit += 1
        bounds[text] = n
        begin = last + 1


@compiled
def order(found, bounds, members, summary, out, n, counts):
    """Writes each text's entries, ascending and each once, to out[n:]. Returns the new end.

    There is room for all that was found and for 64 values more, here and there. A pass of its own: a vector cannot be loaded
    before the numbers that were stored one by one have left the store buffer.
    """
    first = 0
    for text in range(len(bounds)):
        last, start = bounds[text], n
        number, source, target = last - first, found.ctypes.data + 4 * first, out.ctypes.data + 4 * n
        if number > 64:
            n = _set_and_read(found, first, last, members, summary, out, n)
        elif number > 32:
            n += sort64(source, target, number)
        elif number > 16:
            n += sort32(source, target, number)
        elif number > 8:
            n += sort16(source, target, number)
        elif number > 0:
            n += sort8(source, target, number)
        counts[text] = n - start
        first = last
    return n


# -- building


def grow(symbols: np.ndarray, first: np.ndarray, number: int) -> tuple[Trie, np.ndarray]:
    """The trie of entries, and the record of each symbol (uint32).

    `symbols` (int64, below `number`) are those of all entries end to end; entry i has symbols[first[i]:first[i + 1]], none where
    it is left out. Raises ValueError when there are more nodes than a record can name.
    """
    counts = np.diff(first)
    if len(counts) + number + len(symbols) >= int(NODE):
        raise ValueError(
            f"{len(counts):,} entries of {len(symbols):,} symbols are more than {NODE:,} nodes; split the list"
        )
    edges = int(np.maximum(counts - 1, 0).sum())
    bits = min(max(64, _power(8 * edges)), BITS)
    trie = Trie(len(counts), np.zeros((max(16, _power(2 * edges)), 2), np.uint64), np.zeros(bits // 64, np.uint64))
    # Shorter entries first: a row of symbols that is an entry then has its number before a longer one passes through.
    order = np.argsort(counts, kind="stable")
    return trie, _insert(trie, symbols, first, order, np.full(number, NONE, np.uint32))


def _power(number: int) -> int:
    """The next power of two."""
    return 1 << max(number - 1, 0).bit_length()


@compiled
def _insert(trie, symbols, first, order, records):
    """Adds entries in the given order to an empty trie. Returns the records of the symbols."""
    entries, edges, bitmap = trie
    node = np.int64(entries)
    for entry in order:
        count, slot, here = first[entry + 1] - first[entry], -1, np.uint32(0)
        for i in range(count):
            symbol = symbols[first[entry] + i]
            if records[symbol] & NODE == NONE:
                records[symbol] = np.uint32(entry) if count == 1 else np.uint32(node)
                node += count > 1
            if i == 0:
                here = records[symbol]
                continue
            records[symbol] |= COMES_TO
            if slot < 0:
                records[symbols[first[entry]]] |= GOES_ON
            else:
                edges[slot, 1] |= np.uint64(GOES_ON)
            key = _edge(here, records[symbol])
            slot = _find(edges, key)
            if not edges[slot, 0]:
                last = i == count - 1
                edges[slot, 0], edges[slot, 1] = key, np.uint64(entry) if last else np.uint64(node)
                node += not last
                bit = _bit(bitmap, key)
                bitmap[bit >> _6] |= _1 << (bit & _63)
            here = np.uint32(edges[slot, 1])
    return records
