"""Two questions about the bytes of a page that are cheap to answer in one pass: are they UTF-8, and how many tags are there?"""

import numpy as np
from numba import njit

from curate.kernels import compiled, load64

_HIGH = np.uint64(0x8080808080808080)
_LESS = np.uint8(ord("<"))


def well_formed(data: bytes) -> bool:
    """Whether the bytes are UTF-8."""
    return _well_formed(np.frombuffer(data, np.uint8))


def tags(data: bytes) -> int:
    """How many `<` are among the bytes."""
    return _tags(np.frombuffer(data, np.uint8))


@compiled
def _tags(data):
    found = 0
    for i in range(len(data)):
        found += data[i] == _LESS
    return found


@compiled
def _well_formed(data):
    at, end, start = 0, len(data), np.uint64(data.ctypes.data)
    while at < end:
        if at + 8 <= end and not load64(start + np.uint64(at)) & _HIGH:
            at += 8
        elif data[at] < 128:
            at += 1
        else:
            length = sequence(data, at, end)
            if length == 0:
                return False
            at += length
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
