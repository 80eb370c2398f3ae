"""Strings of JSON as they stand in a buffer, compiled: which word one is, and what it says without its escapes.

As in `json_bytes`, -1 stands for text that is odd, and up to PADDING bytes behind `end` are read.
"""

import numpy as np
from numba import njit

from curate.kernels import load64
from curate.pools.json_bytes import SLASHED
from curate.pools.looking import sequence

_ONES, _HIGHS, _SLASHES = (np.uint64(byte * 0x0101010101010101) for byte in (0x01, 0x80, ord("\\")))
_ESCAPES = np.zeros(256, np.uint8)
for _sign, _meant in zip(b'"\\/bfnrt', b'"\\/\b\f\n\r\t', strict=True):
    _ESCAPES[_sign] = _meant


def short(words: tuple[bytes, ...]) -> np.ndarray:
    """Words of up to 16 bytes as rows of uint64: length, first and last 8 bytes (of a shorter one it itself and 0)."""
    rows = [(len(w), w[:8].ljust(8, b"\0"), w[-8:] if len(w) > 8 else bytes(8)) for w in words]
    return np.array([(n, int.from_bytes(a, "little"), int.from_bytes(b, "little")) for n, a, b in rows], np.uint64)


def packed(words: tuple[bytes, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Words of any length: their bytes behind one another, and where each begins."""
    return np.frombuffer(b"".join(words), np.uint8), np.cumsum([0, *map(len, words)])


@njit(forceinline=True)
def is_word(data, start, end, words, word_at, which):
    """Whether the bytes are the word of that number, of packed ones."""
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
