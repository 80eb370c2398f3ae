"""Questions about the bytes of a page that are cheap to answer in one pass: are they UTF-8, how many tags are there, how deep?"""

from collections.abc import Iterable

import numpy as np
from numba import njit

from curate.kernels import BLOCK, compiled, equal, mask, trailing_zeros
from curate.pools.html_bytes import says

_NONE, _LOWEST = np.uint64(0), np.uint64(1)
_LESS, _ESCAPE = np.uint8(ord("<")), np.uint8(0x1B)
_APTION = np.frombuffer(b"aption", np.uint8)
_highs = mask(lambda builder, block: equal(builder, block, 127, 128))
_escapes = mask(lambda builder, block: equal(builder, block, 0, 0x1B))
_a = mask(lambda builder, block: equal(builder, block, 32, ord("A")))
_p = mask(lambda builder, block: equal(builder, block, 32, ord("P")))
_t = mask(lambda builder, block: equal(builder, block, 32, ord("T")))


def well_formed(data: bytes | memoryview, escapes: bool = True) -> bool:
    """Whether the bytes are UTF-8; without `escapes`, whether they are and none of them begins an escape sequence."""
    return _well_formed(np.frombuffer(data, np.uint8), escapes)


def captioned(data: bytes | memoryview) -> bool:
    """Whether the bytes have "aption" in them, in any case: all that makes a caption has."""
    return _captioned(np.frombuffer(data, np.uint8))


def tags(data: bytes) -> int:
    """How many `<` are among the bytes."""
    return _tags(np.frombuffer(data, np.uint8))


def steps(data: bytes, closed: np.ndarray, flat: np.ndarray) -> int:
    """Elements that are open at each start tag, summed; at most, because an end tag closes nothing but its own kind.

    `closed` are names (as `names` makes them) of elements that are counted down where they end, those of other names never; `flat`
    those that are never open.
    """
    return _steps(np.frombuffer(data, np.uint8), closed, flat)


def names(words: Iterable[str]) -> np.ndarray:
    """Names of up to 8 letters, as sorted uint64."""
    return np.sort(np.array([int.from_bytes(word.encode().ljust(8, b"\0"), "little") for word in words], np.uint64))


@compiled
def _steps(data, closed, flat):
    open_, total, depth, at, end = np.zeros(len(closed), np.int64), 0, 0, 0, len(data)
    while at < end - 1:
        if data[at] != _LESS:
            at += 1
            continue
        closing = data[at + 1] == ord("/")
        at += 2 if closing else 1
        name, length = np.uint64(0), 0
        while at < end and _in_a_name(data[at]):
            byte = data[at] | 32 if ord("A") <= data[at] <= ord("Z") else data[at]
            if length < 8:
                name |= np.uint64(byte) << np.uint64(8 * length)
            length, at = length + 1, at + 1
        if length == 0:
            continue
        if length <= 8:
            if _among(flat, name) >= 0:
                total += 0 if closing else depth
                continue
            kind = _among(closed, name)
            if kind >= 0:
                if not closing:
                    open_[kind] += 1
                    depth += 1
                elif open_[kind]:
                    open_[kind] -= 1
                    depth -= 1
                total += 0 if closing else depth
                continue
        if not closing:
            depth += 1
            total += depth
    return total


@njit
def _in_a_name(byte):
    return byte > 32 and byte != ord("/") and byte != ord(">")


@njit
def _among(names, name):
    """The place of a name; -1 where it is not."""
    at = np.searchsorted(names, name)
    return at if at < len(names) and names[at] == name else -1


@compiled
def _tags(data):
    found = 0
    for i in range(len(data)):
        found += data[i] == _LESS
    return found


@compiled
def _well_formed(data, escapes):
    at, end, start = 0, len(data), np.uint64(data.ctypes.data)
    while at < end:
        if at + BLOCK <= end:
            here = start + np.uint64(at)
            if not escapes and _escapes(here) != _NONE:
                return False
            highs = _highs(here)
            if highs == _NONE:
                at += BLOCK
                continue
            at += trailing_zeros(highs)
        while at < end and data[at] >= 128:
            length = sequence(data, at, end)
            if length == 0:
                return False
            at += length
        if at < end and at + BLOCK > end:
            if data[at] == _ESCAPE and not escapes:
                return False
            at += 1 if data[at] < 128 else 0
    return True


@compiled
def _captioned(data):
    at, end, start = 0, len(data), np.uint64(data.ctypes.data)
    while at + BLOCK + 2 <= end:
        here = start + np.uint64(at)
        found = _a(here) & _p(here + np.uint64(1)) & _t(here + np.uint64(2))
        while found != _NONE:
            if says(data, at + trailing_zeros(found), end, _APTION):
                return True
            found &= found - _LOWEST
        at += BLOCK
    while at < end:
        if says(data, at, end, _APTION):
            return True
        at += 1
    return False


@njit
def begins(data, start, end, word):
    """Whether `data[start:end]` begins with a word."""
    if end - start < len(word):
        return False
    for i in range(len(word)):
        if data[start + i] != word[i]:
            return False
    return True


@njit
def sequence(data, at, end):
    """How many bytes the well-formed UTF-8 sequence at `at` has, which begins with no ASCII; 0 where there is none (Unicode, table 3-7)."""
    byte = data[at]
    length = 2 if 0xC2 <= byte < 0xE0 else 3 if 0xE0 <= byte < 0xF0 else 4 if 0xF0 <= byte < 0xF5 else 0
    if length == 0 or at + length > end:
        return 0
    low, high = 0x80, 0xBF
    if byte == 0xE0:
        low = 0xA0
    elif byte == 0xED:
        high = 0x9F
    elif byte == 0xF0:
        low = 0x90
    elif byte == 0xF4:
        high = 0x8F
    if not low <= data[at + 1] <= high:
        return 0
    for i in range(at + 2, at + length):
        if not 0x80 <= data[i] <= 0xBF:
            return 0
    return length
