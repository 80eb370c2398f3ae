"""Words and their records in two hash tables, one for short words and one for long ones.

A table is lines, of one cache line or two, with room for four words each; a full one sends others to the next. Words of up to 7 bytes are their own key, packed with their length; those of up to 15 are two keys; longer ones are hashed, and
compared byte by byte where the hash is found.
"""

import numpy as np
from numba import njit

from curate.concepts.native import find4, same4
from curate.concepts.trie import NONE, ODD, slot_of
from curate.kernels import compiled, load64, trailing_zeros

MIX = np.uint64(0xC2B2AE3D27D4EB4F)
WORD = np.uint64(128)
"""Added to the length in a short key, so that even the empty word's is not 0, the key of free places and of text ends."""
LONG = np.uint64(255 << 56)
"""Upper byte of the second key of a word that is hashed; of shorter ones it is the length."""
_0, _1, _32, _56 = (np.uint64(n) for n in (0, 1, 32, 56))


@njit(inline="always")
def _low(length):
    """A mask of the lower `length` bytes, 0 to 7."""
    return (_1 << (np.uint64(length) << np.uint64(3))) - _1


@njit(inline="always")
def short_key(address, length):
    """The key of a word of up to 7 bytes: its bytes, and above them its length. Reads 8."""
    return (load64(address) & _low(length)) | (WORD | np.uint64(length)) << _56


@compiled
def long_keys(address, length):
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
    """One step of the hash: `one` mixed into `other`."""
    return (one * MIX) ^ (other + (one >> _32))


@compiled
def _same(one, other, length):
    """Whether two words of 16 bytes or more are equal."""
    for at in range(0, length - 8, 8):
        if load64(one + at) != load64(other + at):
            return False
    return load64(one + length - 8) == load64(other + length - 8)


@njit(inline="always")
def find_short(short, key):
    """The record (uint32) of a word of up to 7 bytes by its key, NONE where it is not."""
    line = slot_of(key, short.shape[0])
    record = find4(short.ctypes.data + (line << 6), key)
    # One branch that is hardly ever taken; two, of which one is a coin's toss, took six times as long.
    while (record == 0) & (short[line, 3] != _0):
        line = (line + 1) & (short.shape[0] - 1)
        record = find4(short.ctypes.data + (line << 6), key)
    return record ^ NONE


@njit(inline="always")
def find_long(long, pool, one, two, address):
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


# -- building


def lines(number: int, width: int) -> np.ndarray:
    """Free lines with room for four keys each, at least so many."""
    return aligned(1 << max(4, int(number - 1).bit_length()), width)


def aligned(lines: int, width: int) -> np.ndarray:
    """Zeros, uint64, shape (lines, width), at the beginning of a cache line."""
    room = np.zeros(width * lines + 8, np.uint64)
    start = -room.ctypes.data % 64 // 8
    return room[start : start + width * lines].reshape(lines, width)


@compiled
def numbered(data, words, short, long, pool):
    """Puts the words into the tables, each once, with a number where its record will stand.

    Returns the number of each word, and how many there are; -1 when two different ones have the same keys.
    """
    numbers, number, pooled = np.empty(len(words), np.int64), 0, 0
    for i in range(len(words)):
        start, length = words[i]
        address = data.ctypes.data + start
        if length < 8:
            line, at, new = _place(short, short_key(address, length), _0)
            table = short
        else:
            one, two = long_keys(address, length)
            line, at, new = _place(long, one, two)
            table = long
            if new and two >= LONG:
                _put(long, line, 20 + at, np.uint32(pooled))
                pool[pooled : pooled + length] = data[start : start + length]
                pooled += length
            elif two >= LONG and not _same(pool.ctypes.data + _get(long, line, 20 + at), address, length):
                return numbers, -1
        if new:
            _put(table, line, table.shape[1] + at, np.uint32(number))
            number += 1
        numbers[i] = _get(table, line, table.shape[1] + at)
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
    """The uint32 of that number in a line of uint64; the records' numbers begin at the line's width."""
    return np.uint32(table[line, number >> 1] >> np.uint64(32 * (number & 1)) & np.uint64(0xFFFFFFFF))


@njit(inline="always")
def _put(table, line, number, value):
    """Puts a uint32 where `_get` finds it."""
    shift = np.uint64(32 * (number & 1))
    rest = table[line, number >> 1] & ~(np.uint64(0xFFFFFFFF) << shift)
    table[line, number >> 1] = rest | np.uint64(value) << shift


@compiled
def fill(table, records):
    """Puts the records where the words' numbers stand."""
    values = table.shape[1]
    taken = 4 if values == 16 else 0
    for line in range(table.shape[0]):
        for at in range(4):
            if table[line, taken + at]:
                _put(table, line, values + at, records[_get(table, line, values + at)] ^ NONE)
