"""Steps over JSON as it stands in a buffer, compiled: where a value begins and ends, without making one of it.

Positions are places in a uint8 buffer. -1 stands for text that is odd: broken, or written in a way that takes more patience than
this has. Up to PADDING bytes behind `end` are read.
"""

import numpy as np
from numba import njit

from curate.kernels import BLOCK, bits_set, equal, mask, trailing_zeros

PADDING = BLOCK
"""Bytes that may be read behind the last one that means anything."""
QUOTE, SLASHED, _COLON, _COMMA = (np.uint8(ord(sign)) for sign in '"\\:,')
OPEN, _CLOSE, LIST, _UNLIST = (np.uint8(ord(sign)) for sign in "{}[]")
_NONE, _LOWEST = np.uint64(0), np.uint64(1)
_quotes = mask(lambda builder, block: equal(builder, block, 0, ord('"')))
_slashes = mask(lambda builder, block: equal(builder, block, 0, ord("\\")))
# Brackets and braces differ in one bit.
_opens = mask(lambda builder, block: equal(builder, block, ord("[") ^ ord("{"), ord("[")))
_closes = mask(lambda builder, block: equal(builder, block, ord("]") ^ ord("}"), ord("]")))


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
