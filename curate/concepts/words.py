"""Matching by words: finds the entries that have a blank on both sides, in text that the rules' spacing cuts into words.

Spaced text is words between single blanks, and so is a padded entry; the entry is in the text where its words stand there
in a row. Two blanks have an empty word between them, which stops a row like any other word that the entry does not have. A trie
over words therefore finds the same as a search for substrings, and touches each word once instead of each byte.
The words are looked up in the tables of a `dictionary`.
"""

from typing import NamedTuple

import numpy as np

from curate.concepts.dictionary import WORD, fill, find_long, find_short, lines, long_keys, numbered, short_key
from curate.concepts.native import PADDING, blank_mask, mark_mask, prefetch
from curate.concepts.trie import Trie, collect, grow, grown, order, pairs, sets, slot_of, walk
from curate.kernels import compiled, copy, trailing_zeros

BLOCK_TEXTS, BLOCK_BYTES = 256, 1 << 16
_0, _1, _56 = (np.uint64(n) for n in (0, 1, 56))


class WordIndex(NamedTuple):
    """Entries by words, whose records stand in the tables of a `dictionary`."""

    trie: Trie
    short: np.ndarray
    """uint64, shape (lines, 8): keys of four words of up to 7 bytes, then as uint32 their records, with the bits of NONE flipped."""
    long: np.ndarray
    """uint64, shape (lines, 16): first keys of four longer words, their second keys, then as uint32 their records, flipped as above,
    and where their bytes stand in `pool`."""
    pool: np.ndarray
    """uint8: words of 16 bytes and more, end to end."""


# -- finding


@compiled
def _gather(data, offsets, rows, scratch, ends):
    """Copies texts end to end, each closed by a blank with its bit set in `ends`. Returns the bytes written."""
    place = 0
    for row in rows:
        start = offsets[row]
        length = offsets[row + 1] - start
        copy(scratch.ctypes.data + place, data + start, length)
        place += length
        scratch[place] = 32
        ends[place >> 6] |= _1 << np.uint64(place & 63)
        place += 1
    return place


@compiled
def _scan(index, scratch, size, ends, keys, longs, begins, lengths, lasts):
    """Cuts a block into words, marks and text ends. Returns how many there are, and how many long words.

    Writes `keys` (0 for text ends and long words), for long words where they are among the keys and in the block, and the number
    of each text's end. What a byte is decides what is kept of the writes and not what is written: no branch is foreseeable here.
    """
    base, table, slots = scratch.ctypes.data, index.short.ctypes.data, index.short.shape[0]
    n = begin = text = long = 0
    for word in range((size + 63) >> 6):
        marks, stops = mark_mask(base + 64 * word), ends[word]
        found = marks | blank_mask(base + 64 * word)
        if size - 64 * word < 64:
            found &= (_1 << np.uint64(size - 64 * word)) - _1
        ends[word] = _0
        while found:
            bit = trailing_zeros(found)
            found &= found - _1
            at = 64 * word + bit
            length = at - begin
            key = short_key(base + begin, min(length, 7))
            longs[long], begins[long], lengths[long] = n, begin, length
            long += length > 7
            keys[n] = key if length < 8 else _0
            prefetch(table + (slot_of(key, slots) << 6))
            n += 1
            keys[n] = np.uint64(scratch[at]) | (WORD | _1) << _56
            n += np.int64(marks >> np.uint64(bit) & _1)
            keys[n], lasts[text] = _0, n
            stop = np.int64(stops >> np.uint64(bit) & _1)
            n += stop
            text += stop
            begin = at + 1
    return n, long


@compiled
def _look_up(index, base, keys, n, longs, begins, lengths, n_long, ones, twos, records):
    """The record of each word. `ones` and `twos` are room for the keys of the long ones."""
    short, long, pool = index.short, index.long, index.pool
    for i in range(n_long):
        ones[i], twos[i] = long_keys(base + begins[i], lengths[i])
        prefetch(long.ctypes.data + (slot_of(ones[i], long.shape[0]) << 7))
    for i in range(n):
        records[i] = find_short(short, keys[i])
    for i in range(n_long):
        records[longs[i]] = find_long(long, pool, ones[i], twos[i], base + begins[i])


@compiled
def block(offsets, rows, first):
    """Where the block of texts that begins at rows[first] ends: at a number of texts or of bytes, after one text at least."""
    last, size = first, 0
    while last < len(rows) and last - first < BLOCK_TEXTS:
        size += np.int64(offsets[rows[last] + 1] - offsets[rows[last]])
        if size > BLOCK_BYTES and last > first:
            break
        last += 1
    return last


@compiled
def block_bytes(offsets, rows):
    """Room for the bytes of any block, with one more for each text."""
    longest = 0
    for row in rows:
        longest = max(longest, np.int64(offsets[row + 1] - offsets[row]))
    return max(BLOCK_BYTES, longest) + BLOCK_TEXTS


@compiled
def match(index, data, offsets, rows):
    """Entries of texts: (values int32, number of them for each of `rows` int64).

    `data` is the address of UTF-8 bytes, `offsets` (int32 or int64, one more than texts) cut it, `rows` (int64) says which texts.
    The values are places in the entry list, ascending and each once for a text.
    """
    most = block_bytes(offsets, rows)
    scratch = np.empty(most + PADDING, np.uint8)
    ends, lasts = np.zeros((most >> 6) + 1, np.uint64), np.empty(BLOCK_TEXTS + 1, np.int64)
    keys, records = np.empty(2 * most + 2, np.uint64), np.empty(2 * most + 2, np.uint32)
    candidates = np.empty(2 * most + 2, np.int64)
    longs, begins, lengths = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, np.int64)
    ones, twos = np.empty(most // 8, np.uint64), np.empty(most // 8, np.uint64)
    hits, places = np.empty(1024, np.int32), np.empty(1024, np.int64)
    members, summary = sets(index.trie.entries)
    found, bounds = np.empty(4096, np.int32), np.empty(BLOCK_TEXTS, np.int64)
    out, counts, n, first = np.empty(1024 + 10 * len(rows), np.int32), np.empty(len(rows), np.int64), 0, 0
    while first < len(rows):
        last = block(offsets, rows, first)
        size = _gather(data, offsets, rows[first:last], scratch, ends)
        number, n_long = _scan(index, scratch, size, ends, keys, longs, begins, lengths, lasts)
        _look_up(index, scratch.ctypes.data, keys, number, longs, begins, lengths, n_long, ones, twos, records)
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


def build(data: np.ndarray, offsets: np.ndarray, usable: np.ndarray) -> WordIndex:
    """The index of entries given as UTF-8 bytes (uint8, PADDING spare bytes behind the last) and offsets (int64).

    Only entries that are `usable` (bool) go in; the others keep their places. Raises ValueError when a list is too long.
    """
    words, first = _cut(data, offsets, usable)
    keys, is_long = _keys(data, words), words[:, 1] > 7
    # One word a line on average at most: with two, matching takes a tenth longer.
    short = lines(len(np.unique(keys[~is_long])), 8)
    long = lines(len(np.unique(keys[is_long])), 16)
    pool = np.zeros(int(words[words[:, 1] > 15, 1].sum()) + PADDING, np.uint8)
    if len(pool) >= 1 << 32:
        raise ValueError(f"words of 16 bytes and more are {len(pool):,} bytes, more than {1 << 32:,}; split the list")
    symbols, number = numbered(data, words, short, long, pool)
    if number < 0:
        raise ValueError("two words of 16 bytes or more have one hash; take an entry of one of them out of the list")
    trie, records = grow(symbols, first, number)
    fill(short, records)
    fill(long, records)
    return WordIndex(trie, short, long, pool)


@compiled
def _cut(data, offsets, usable):
    """Words of all usable entries as (start, length), and where each entry's begin among them."""
    total = 0
    for i in range(len(usable)):
        if usable[i]:
            total += 1
            for at in range(offsets[i], offsets[i + 1]):
                total += data[at] == 32
    words, first, n = np.empty((total, 2), np.int64), np.zeros(len(usable) + 1, np.int64), 0
    for i in range(len(usable)):
        if usable[i]:
            begin = offsets[i]
            for at in range(offsets[i], offsets[i + 1] + 1):
                if at == offsets[i + 1] or data[at] == 32:
                    words[n, 0], words[n, 1] = begin, at - begin
                    n += 1
                    begin = at + 1
        first[i + 1] = n
    return words, first


@compiled
def _keys(data, words):
    """A key of each word, equal for equal ones."""
    keys = np.empty(len(words), np.uint64)
    for i in range(len(words)):
        address, length = data.ctypes.data + words[i, 0], words[i, 1]
        keys[i] = short_key(address, length) if length < 8 else long_keys(address, length)[0]
    return keys
