"""Matching by words: finds the entries that have a blank on both sides, in text that the rules' spacing cuts into words.

Spaced text is words between single blanks, and so is a padded entry; the entry is in the text where its words stand there
in a row. Two blanks have an empty word between them, which stops a row like any other word that the entry does not have. A trie
over words therefore finds the same as a search for substrings, and touches each word once instead of each byte.

Words of up to 7 bytes are their own key, packed with their length; those of up to 15 are two keys; longer ones are hashed, and
compared byte by byte where the hash is found.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from curate.concepts.native import (
    PADDING,
    blank_mask,
    compiled,
    copy,
    find4,
    load64,
    mark_mask,
    prefetch,
    same4,
    trailing_zeros,
)
from curate.concepts.trie import NONE, ODD, Trie, collect, grow, grown, order, pairs, sets, slot_of, walk

BLOCK_TEXTS, BLOCK_BYTES = 256, 1 << 16
MIX = np.uint64(0xC2B2AE3D27D4EB4F)
WORD = np.uint64(128)
"""Added to the length in a short key, so that even the empty word's is not 0, the key of free places and of text ends."""
LONG = np.uint64(255 << 56)
"""Upper byte of the second key of a word that is hashed; of shorter ones it is the length."""
_0, _1, _32, _56 = (np.uint64(n) for n in (0, 1, 32, 56))


class WordIndex(NamedTuple):
    """Entries by words. A line is one or two cache lines with room for four words; a full one sends others to the next."""

    trie: Trie
    short: np.ndarray
    """uint64, shape (lines, 8): keys of four words of up to 7 bytes, then as uint32 their records, with the bits of NONE flipped."""
    long: np.ndarray
    """uint64, shape (lines, 16): first keys of four longer words, their second keys, then as uint32 their records, flipped as above,
    and where their bytes stand in `pool`."""
    pool: np.ndarray
    """uint8: words of 16 bytes and more, end to end."""


@njit(inline="always")
def _low(length):
    """A mask of the lower `length` bytes, 0 to 7."""
    return (_1 << (np.uint64(length) << np.uint64(3))) - _1


@njit(inline="always")
def _short_key(address, length):
    return (load64(address) & _low(length)) | (WORD | np.uint64(length)) << _56


@compiled
def _long_keys(address, length):
    """Both keys of a word of 8 bytes or more. Up to 15 bytes they are the word: the first can be undone by the second."""
    if length < 16:
        two = (load64(address + 8) & _low(length - 8)) | np.uint64(length) << _56
        return (load64(address) ^ two * ODD) * MIX, two
    key = np.uint64(length)
    for at in range(0, length - 8, 8):
        key = _fold(key ^ load64(address + at), key)
    return _fold(key ^ load64(address + length - 8), key), LONG | np.uint64(length)


@njit(inline="always")
def _fold(one, other):
    return (one * MIX) ^ (other + (one >> _32))


@compiled
def _same(one, other, length):
    """Whether two words of 16 bytes or more are equal."""
    for at in range(0, length - 8, 8):
        if load64(one + at) != load64(other + at):
            return False
    return load64(one + length - 8) == load64(other + length - 8)


@njit(inline="always")
def _find_short(short, key):
    """The record of a key, NONE where it is not."""
    line = slot_of(key, short.shape[0])
    record = find4(short.ctypes.data + (line << 6), key)
    # One branch that is hardly ever taken; two, of which one is a coin's toss, took six times as long.
    while (record == 0) & (short[line, 3] != _0):
        line = (line + 1) & (short.shape[0] - 1)
        record = find4(short.ctypes.data + (line << 6), key)
    return record ^ NONE


@njit(inline="always")
def _find_long(long, pool, one, two, address):
    """The record of a word of 8 bytes or more by its keys, NONE where it is not."""
    line = slot_of(one, long.shape[0])
    place = long.ctypes.data + (line << 7)
    found = same4(place, one, two)
    while (found == _0) & (long[line, 7] != _0):
        line = (line + 1) & (long.shape[0] - 1)
        place = long.ctypes.data + (line << 7)
        found = same4(place, one, two)
    at = trailing_zeros(found | np.uint64(8)) & 3
    record = np.uint32(load64(place + 64 + 4 * at)) if found else np.uint32(0)
    if two >= LONG and found:
        start = np.int64(load64(place + 80 + 4 * at) & np.uint64(0xFFFFFFFF))
        if not _same(pool.ctypes.data + start, address, np.int64(two & ~LONG)):
            record = np.uint32(0)
    return record ^ NONE


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
            key = _short_key(base + begin, min(length, 7))
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
        ones[i], twos[i] = _long_keys(base + begins[i], lengths[i])
        prefetch(long.ctypes.data + (slot_of(ones[i], long.shape[0]) << 7))
    for i in range(n):
        records[i] = _find_short(short, keys[i])
    for i in range(n_long):
        records[longs[i]] = _find_long(long, pool, ones[i], twos[i], base + begins[i])


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
    short = _lines(len(np.unique(keys[~is_long])), 8)
    long = _lines(len(np.unique(keys[is_long])), 16)
    pool = np.zeros(int(words[words[:, 1] > 15, 1].sum()) + PADDING, np.uint8)
    symbols, number = _number(data, words, short, long, pool)
    if number < 0:
        raise ValueError("two words of 16 bytes or more have one hash; take an entry of one of them out of the list")
    trie, records = grow(symbols, first, number)
    _fill(short, 8, records)
    _fill(long, 16, records)
    return WordIndex(trie, short, long, pool)


def _lines(number: int, width: int) -> np.ndarray:
    """Free lines with room for four keys each, at least so many."""
    return aligned(1 << max(4, int(number - 1).bit_length()), width)


def aligned(lines: int, width: int) -> np.ndarray:
    """Zeros, uint64, shape (lines, width), at the beginning of a cache line."""
    room = np.zeros(width * lines + 8, np.uint64)
    start = -room.ctypes.data % 64 // 8
    return room[start : start + width * lines].reshape(lines, width)


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
        keys[i] = _short_key(address, length) if length < 8 else _long_keys(address, length)[0]
    return keys


@compiled
def _number(data, words, short, long, pool):
    """Puts the words into the tables, each once, with a number where its record will stand.

    Returns the number of each word, and how many there are; -1 when two different ones have the same keys.
    """
    numbers, number, pooled = np.empty(len(words), np.int64), 0, 0
    for i in range(len(words)):
        start, length = words[i]
        address = data.ctypes.data + start
        if length < 8:
            line, at, new = _place(short, _short_key(address, length), _0)
            table, values = short, 8
        else:
            one, two = _long_keys(address, length)
            line, at, new = _place(long, one, two)
            table, values = long, 16
            if new and two >= LONG:
                _put(long, line, 20 + at, np.uint32(pooled))
                pool[pooled : pooled + length] = data[start : start + length]
                pooled += length
            elif two >= LONG and not _same(pool.ctypes.data + _get(long, line, 20 + at), address, length):
                return numbers, -1
        if new:
            _put(table, line, values + at, np.uint32(number))
            number += 1
        numbers[i] = _get(table, line, values + at)
    return numbers, number


@compiled
def _place(table, one, two):
    """Where a key stands, put there if it was not: its line, its number in it, and whether it is new."""
    line = slot_of(one, table.shape[0])
    while True:
        for at in range(4):
            other = table[line, 4 + at] if two else _0
            if table[line, at] == one and other == two:
                return line, at, False
            if (other if two else table[line, at]) == _0:
                table[line, at] = one
                if two:
                    table[line, 4 + at] = two
                return line, at, True
        line = (line + 1) & (table.shape[0] - 1)


@njit(inline="always")
def _get(table, line, number):
    """The uint32 of that number in a line of uint64."""
    return np.uint32(table[line, number >> 1] >> np.uint64(32 * (number & 1)) & np.uint64(0xFFFFFFFF))


@njit(inline="always")
def _put(table, line, number, value):
    shift = np.uint64(32 * (number & 1))
    rest = table[line, number >> 1] & ~(np.uint64(0xFFFFFFFF) << shift)
    table[line, number >> 1] = rest | np.uint64(value) << shift


@compiled
def _fill(table, values, records):
    """Puts the records where the words' numbers stand."""
    taken = 4 if values == 16 else 0
    for line in range(table.shape[0]):
        for at in range(4):
            if table[line, taken + at]:
                _put(table, line, values + at, records[_get(table, line, values + at)] ^ NONE)
