"""Steps over JSON as it stands in a buffer, compiled: where a value begins and ends, without making one of it.

Positions are places in a uint8 buffer. -1 stands for text that is odd: broken, or written in a way that takes more patience than
this has. Up to PADDING bytes behind `end` are read.
"""

import numpy as np
from numba import njit

from curate.kernels import BLOCK, bits_set, equal, load64, mask, trailing_zeros
from curate.pools.looking import sequence

PADDING = BLOCK
"""Bytes that may be read behind the last one that means anything."""
QUOTE, SLASHED, _COLON, _COMMA = (np.uint8(ord(sign)) for sign in '"\\:,')
OPEN, _CLOSE, LIST, _UNLIST = (np.uint8(ord(sign)) for sign in "{}[]")
_ONES, _HIGHS, _SLASHES = (np.uint64(byte * 0x0101010101010101) for byte in (0x01, 0x80, ord("\\")))
_ESCAPES = np.zeros(256, np.uint8)
for _sign, _meant in zip(b'"\\/bfnrt', b'"\\/\b\f\n\r\t', strict=True):
    _ESCAPES[_sign] = _meant


_NONE, _LOWEST = np.uint64(0), np.uint64(1)
_quotes = mask(lambda builder, block: equal(builder, block, 0, ord('"')))
_slashes = mask(lambda builder, block: equal(builder, block, 0, ord("\\")))
# Brackets and braces differ in one bit.
_opens = mask(lambda builder, block: equal(builder, block, ord("[") ^ ord("{"), ord("[")))
_closes = mask(lambda builder, block: equal(builder, block, ord("]") ^ ord("}"), ord("]")))


def short(words: tuple[bytes, ...]) -> np.ndarray:
    """Words of up to 16 bytes as rows of uint64: length, first and last 8 bytes (of a shorter one it itself and 0)."""
    rows = [(len(w), w[:8].ljust(8, b"\0"), w[-8:] if len(w) > 8 else bytes(8)) for w in words]
    return np.array([(n, int.from_bytes(a, "little"), int.from_bytes(b, "little")) for n, a, b in rows], np.uint64)


@njit(forceinline=True)
def key(data, at, end, fresh):
    """(where the next value begins, start and end of its key); the key is -1 behind the object, the value -1 if odd."""
    at = blank(data, at, end)
    if at >= end:
        return -1, -1, -1
    if data[at] == _CLOSE:
        return at + 1, -1, -1
    if not fresh:
        if data[at] != _COMMA:
            return -1, -1, -1
        at = blank(data, at + 1, end)
    if at >= end or data[at] != QUOTE:
        return -1, -1, -1
    start = at + 1
    stop = plain(data, start, end)
    if stop >= end or data[stop] != QUOTE:
        return -1, -1, -1
    at = blank(data, stop + 1, end)
    if at >= end or data[at] != _COLON:
        return -1, -1, -1
    at = blank(data, at + 1, end)
    return (at, start, stop) if at < end else (-1, -1, -1)


@njit(forceinline=True)
def element(data, at, end, first):
    """(where the next element begins, True), (behind the array, False), or (-1, False)."""
    at = blank(data, at, end)
    if at >= end:
        return -1, False
    if data[at] == _UNLIST:
        return at + 1, False
    if not first:
        if data[at] != _COMMA:
            return -1, False
        at = blank(data, at + 1, end)
    return (at, True) if at < end else (-1, False)


@njit(forceinline=True)
def blank(data, at, end):
    while at < end and (data[at] == 32 or data[at] == 10 or data[at] == 13 or data[at] == 9):
        at += 1
    return at


@njit(forceinline=True)
def plain(data, at, end):
    """Where the next quote or backslash stands; `end` or more where there is none. Reads PADDING beyond."""
    start = np.uint64(data.ctypes.data)
    while at < end:
        here = start + np.uint64(at)
        found = _quotes(here) | _slashes(here)
        if found != _NONE:
            return at + trailing_zeros(found)
        at += BLOCK
    return at


@njit(forceinline=True)
def string(data, at, end):
    """Where the string that begins at `at`, behind its quote, has its other quote; -1 where it has none."""
    at = plain(data, at, end)
    while at < end:
        if data[at] == QUOTE:
            return at
        at = plain(data, at + 2, end)
    return -1


@njit(forceinline=True)
def skip(data, at, end):
    """Behind the value that begins at `at`; -1 where it does not end."""
    if at >= end:
        return -1
    byte = data[at]
    if byte == QUOTE:
        return string(data, at + 1, end) + 1 or -1
    if byte != OPEN and byte != LIST:
        start = at
        while at < end and data[at] != _COMMA and data[at] != _CLOSE and data[at] != _UNLIST and data[at] > 32:
            at += 1
        return at if at > start else -1
    return close_of(data, at, end, 0)


@njit(forceinline=True)
def close_of(data, at, end, depth):
    """Behind the object or array that is closed from `at` on, where `depth` are open; -1 where it does not end.

    By blocks, as simdjson does it (Langdale and Lemire 2019): a byte behind an odd number of quotes is inside a string.
    """
    start = np.uint64(data.ctypes.data)
    within = _NONE  # All bits are set where a block begins inside a string.
    while at < end:
        here = start + np.uint64(at)
        if _slashes(here) != _NONE:
            return _close_of(data, at, end, depth, within != _NONE)
        within ^= _running(_quotes(here))
        opens, closes = _opens(here) & ~within, _closes(here) & ~within
        if bits_set(closes) < depth:
            depth += bits_set(opens) - bits_set(closes)
        else:
            both = opens | closes
            while both != _NONE:
                lowest = both & (_NONE - both)
                depth += 1 if opens & lowest else -1
                if depth == 0:
                    at += trailing_zeros(both) + 1
                    return at if at <= end else -1
                both ^= lowest
        within = _NONE - (within >> np.uint64(63))
        at += BLOCK
    return -1


@njit(forceinline=True)
def _running(bits):
    """Bit i of the answer says whether an odd number of the bits 0 to i is set."""
    for shift in (1, 2, 4, 8, 16, 32):
        bits ^= bits << np.uint64(shift)
    return bits


@njit
def _close_of(data, at, end, depth, within):
    """The same, string by string."""
    if within:
        at = string(data, at, end) + 1
        if at == 0:
            return -1
    while at < end:
        byte = data[at]
        if byte == QUOTE:
            at = string(data, at + 1, end)
            if at < 0:
                return -1
        elif byte == OPEN or byte == LIST:
            depth += 1
        elif byte == _CLOSE or byte == _UNLIST:
            depth -= 1
            if depth == 0:
                return at + 1
        at += 1
    return -1


@njit(forceinline=True)
def is_word(data, start, end, words, word_at, which):
    first = word_at[which]
    if word_at[which + 1] - first != end - start:
        return False
    for i in range(end - start):
        if data[start + i] != words[first + i]:
            return False
    return True


@njit(forceinline=True)
def which_word(data, start, end, words):
    """Which of the short words the bytes are; -1 for another."""
    length = end - start
    if length > 16 or length < 1:
        return -1
    first = load64(np.uint64(data.ctypes.data) + np.uint64(start))
    last = np.uint64(0)
    if length < 8:
        first &= (np.uint64(1) << np.uint64(8 * length)) - np.uint64(1)
    elif length > 8:
        last = load64(np.uint64(data.ctypes.data) + np.uint64(end - 8))
    for which in range(len(words)):
        if words[which, 1] == first and words[which, 2] == last and words[which, 0] == np.uint64(length):
            return which
    return -1


@njit(forceinline=True)
def unescaped(data, start, end):
    """The new end of a string whose escapes are undone in place; -1 for one that is not UTF-8 or has an unknown escape.

    Half a surrogate pair becomes the three bytes that UTF-8 would have for it, if it had any.
    """
    at = start
    while at < end:
        word = load64(np.uint64(data.ctypes.data) + np.uint64(at))
        slashed = word ^ _SLASHES
        if (word | ((slashed - _ONES) & ~slashed)) & _HIGHS:
            break
        at += 8
    at = min(at, end)
    out = at
    while at < end:
        byte = data[at]
        if byte < 128 and byte != SLASHED:
            data[out] = byte
            at, out = at + 1, out + 1
        elif byte != SLASHED:
            length = sequence(data, at, end)
            if length == 0:
                return -1
            for i in range(length):
                data[out + i] = data[at + i]
            at, out = at + length, out + length
        elif data[at + 1] == ord("u"):
            point = _four(data, at + 2, end)
            if point < 0:
                return -1
            at += 6
            if 0xD800 <= point < 0xDC00 and at + 5 < end and data[at] == SLASHED and data[at + 1] == ord("u"):
                low = _four(data, at + 2, end)
                if 0xDC00 <= low < 0xE000:
                    point = 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00)
                    at += 6
            out = _encode(data, out, point)
        else:
            meant = _ESCAPES[data[at + 1]]
            if meant == 0:
                return -1
            data[out] = meant
            at, out = at + 2, out + 1
    return out


@njit(forceinline=True)
def _four(data, at, end):
    """The number of four hex digits; -1 for others."""
    if at + 4 > end:
        return -1
    number = 0
    for i in range(at, at + 4):
        byte = data[i]
        if ord("0") <= byte <= ord("9"):
            digit = byte - ord("0")
        elif ord("a") <= (byte | 32) <= ord("f"):
            digit = (byte | 32) - ord("a") + 10
        else:
            return -1
        number = number * 16 + digit
    return number


@njit(forceinline=True)
def _encode(data, out, point):
    """UTF-8 of a code point; behind it."""
    if point < 0x80:
        data[out] = point
        return out + 1
    if point < 0x800:
        data[out], data[out + 1] = 0xC0 | point >> 6, 0x80 | point & 63
        return out + 2
    if point < 0x10000:
        data[out], data[out + 1], data[out + 2] = 0xE0 | point >> 12, 0x80 | point >> 6 & 63, 0x80 | point & 63
        return out + 3
    data[out], data[out + 1] = 0xF0 | point >> 18, 0x80 | point >> 12 & 63
    data[out + 2], data[out + 3] = 0x80 | point >> 6 & 63, 0x80 | point & 63
    return out + 4
