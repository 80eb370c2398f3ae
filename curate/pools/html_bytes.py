"""Steps over HTML as it stands in a buffer, compiled: where a tag, an attribute, a comment ends. The states are the tokenizer's
(HTML standard, 13.2.5).

Positions are places in a uint8 buffer; -1 stands for what the end of the page cuts off.
"""

from collections.abc import Mapping
from string import ascii_uppercase
from typing import NamedTuple

import numpy as np
from numba import njit

from curate.kernels import load64, trailing_zeros

LESS, MORE, SLASH, DASH, BANG, QUERY, AND = (np.uint8(ord(sign)) for sign in "<>/-!?&")
_EQUALS, _QUOTE, _APOSTROPHE = (np.uint8(ord(sign)) for sign in "=\"'")
_ONES, _HIGHS = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)
COMMENT = np.frombuffer(b"<!--", np.uint8)
_BLANK, _STOP, _ASSIGN = 1, 2, 4
_SIGNS = np.array(
    [_BLANK * (chr(b) in " \t\n\f\r") | _STOP * (chr(b) in "/>") | _ASSIGN * (chr(b) == "=") for b in range(256)],
    np.uint8,
)
_LOWER = np.array([b | 32 if chr(b) in ascii_uppercase else b for b in range(256)], np.uint8)
_SLOTS = 1024
_MIX, _REMIX = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)


class Names(NamedTuple):
    """Names of up to 16 bytes with a number each, in slots of their hash; a slot of length 0 is free."""

    lengths: np.ndarray
    firsts: np.ndarray
    """Their first 8 bytes; of a shorter one it itself and 0."""
    lasts: np.ndarray
    """Their last 8 bytes; 0 for one of at most 8."""
    numbers: np.ndarray


def names(numbers: Mapping[str, int]) -> Names:
    """A table in which `find` finds lower-case names."""
    table = Names(*(np.zeros(_SLOTS, kind) for kind in (np.int64, np.uint64, np.uint64, np.int64)))
    for name, number in numbers.items():
        word = name.encode()
        first = int.from_bytes(word[:8], "little")
        last = int.from_bytes(word[-8:], "little") if len(word) > 8 else 0
        slot = (first * int(_MIX) + last * int(_REMIX)) % 2**64 >> 54
        while table.lengths[slot]:
            slot = (slot + 1) % _SLOTS
        for column, value in zip(table, (len(word), first, last, number), strict=True):
            column[slot] = value
    return table


@njit(forceinline=True)
def find(table, key):
    """The slot of a key (see `name`), -1 if it is not in the table."""
    length, first, last = key
    slot = np.int64((first * _MIX + last * _REMIX) >> np.uint64(54))
    while table.lengths[slot] != 0:
        if table.firsts[slot] == first and table.lasts[slot] == last and table.lengths[slot] == length:
            return slot
        slot = (slot + 1) & (_SLOTS - 1)
    return -1


@njit(forceinline=True)
def blank(byte):
    return _SIGNS[byte] & _BLANK != 0


@njit(forceinline=True)
def letter(byte):
    return 97 <= byte | 32 <= 122


@njit(forceinline=True)
def seek(data, at, end, byte):
    """Where the byte stands next; `end` where it does not."""
    start, pattern = np.uint64(data.ctypes.data), np.uint64(byte) * _ONES
    while at + 8 <= end:
        word = load64(start + np.uint64(at)) ^ pattern
        # The lowest zero byte has its upper bit set here, and none below it has.
        found = (word - _ONES) & ~word & _HIGHS
        if found != 0:
            return at + (trailing_zeros(found) >> 3)
        at += 8
    while at < end and data[at] != byte:
        at += 1
    return at


@njit(forceinline=True)
def name(data, at, end):
    """(behind the name of a tag that begins at `at`, its key: length, first and last bytes, in lower case)."""
    return _name(data, at, end, False)


@njit(forceinline=True)
def attribute(data, at, end):
    """The same of the name of an attribute, which an `=` ends."""
    return _name(data, at, end, True)


@njit(forceinline=True)
def _name(data, at, end, assigned):
    start, first, last = at, np.uint64(0), np.uint64(0)
    while at < end and not _behind(data[at], assigned and at > start):
        byte = data[at]
        lower = np.uint64(_LOWER[byte])
        if at - start < 8:
            first |= lower << np.uint64(8 * (at - start))
        last = last >> np.uint64(8) | lower << np.uint64(56)
        at += 1
    return at, (at - start, first, last if at - start > 8 else np.uint64(0))


@njit(forceinline=True)
def _behind(byte, assigned):
    return _SIGNS[byte] & (_BLANK | _STOP | (_ASSIGN if assigned else 0)) != 0


@njit(forceinline=True)
def between(data, at, end):
    """(where the next attribute of a tag, or its `>`, stands; whether a `/` before the `>` says that the tag closes itself)."""
    slashed = False
    while at < end and (blank(data[at]) or data[at] == SLASH):
        slashed = data[at] == SLASH
        at += 1
    return (at, slashed) if at < end else (-1, False)


@njit(forceinline=True)
def value(data, at, end):
    """(start and end of the value of an attribute whose name ends at `at`, and behind it with its quote)."""
    stop = at
    while at < end and blank(data[at]):
        at += 1
    if at >= end or data[at] != _EQUALS:
        return stop, stop, stop
    at += 1
    while at < end and blank(data[at]):
        at += 1
    if at >= end:
        return -1, -1, -1
    if data[at] == _QUOTE or data[at] == _APOSTROPHE:
        stop = seek(data, at + 1, end, data[at])
        return (at + 1, stop, stop + 1) if stop < end else (-1, -1, -1)
    start = at
    while at < end and data[at] != MORE and not blank(data[at]):
        at += 1
    return start, at, at


@njit
def tag_end(data, at, end):
    """(behind the `>` of a tag whose name ends at `at`; whether it closes itself)."""
    while True:
        at, slashed = between(data, at, end)
        if at < 0:
            return -1, False
        if data[at] == MORE:
            return at + 1, slashed
        at += 1
        while at < end and not _behind(data[at], True):
            at += 1
        _, _, at = value(data, at, end)
        if at < 0:
            return -1, False


@njit
def comment_end(data, at, end):
    """Behind the comment whose `<!--` ends at `at`."""
    if at < end and data[at] == MORE:
        return at + 1
    if at + 1 < end and data[at] == DASH and data[at + 1] == MORE:
        return at + 2
    while True:
        at = seek(data, at, end, DASH)
        if at + 2 >= end:
            return -1
        if data[at + 1] == DASH:
            if data[at + 2] == MORE:
                return at + 3
            if data[at + 2] == BANG and at + 3 < end and data[at + 3] == MORE:
                return at + 4
        at += 1


@njit
def says(data, at, end, word):
    """Whether a lower-case word stands at `at`, in any case."""
    if at + len(word) > end:
        return False
    for i in range(len(word)):
        byte = data[at + i]
        if (byte | 32 if 65 <= byte <= 90 else byte) != word[i]:
            return False
    return True


@njit
def same(data, one, other, length):
    """Whether two stretches are the same letters in any case."""
    for i in range(length):
        a, b = data[one + i], data[other + i]
        if a != b and ((a ^ b) != 32 or not letter(a)):
            return False
    return True


@njit(forceinline=True)
def shows(data, start, stop):
    """Whether a text is more than blanks; -1 where that takes more than a look at its first sign."""
    while start < stop and blank(data[start]):
        start += 1
    if start == stop:
        return 0
    if data[start] == AND:
        # &Tab; and &NewLine; are the blanks that have names.
        sign = data[start + 1] if start + 1 < stop else 0
        return -1 if sign == 0 or sign == ord("#") or sign == ord("T") or sign == ord("N") else 1
    return 1 if data[start] else -1
