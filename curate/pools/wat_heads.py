"""What the head of a page says in the JSON of its WAT record, compiled: its base, and the metas that are reported."""

import numpy as np
from numba import njit

from curate.pools.json_bytes import LIST, OPEN, QUOTE, element, key, skip, string
from curate.pools.json_strings import packed, short, unescaped, which_word
from curate.pools.wat_fields import fields

NAMES = (
    b"html@/lang", b"html@/xml:lang", b"robots", b"tdm-reservation",
    b"og:title", b"og:image", b"og:image:url", b"og:image:secure_url",
)  # fmt: skip
"""Metas that are reported."""
_NAME, _NAME_AT = packed(NAMES)
_HEAD, _META = short((b"Base", b"Metas")), short((b"name", b"property", b"content"))


@njit(forceinline=True)
def head_of(data, at, end, page, metas, base, counts):
    """Behind the object of the head; -1 for an odd one."""
    fresh, seen = True, 0
    from_, to = np.empty(3, np.int64), np.empty(3, np.int64)
    while True:
        at, start, stop = key(data, at, end, fresh)
        if at < 0 or start < 0:
            return at
        fresh = False
        which = which_word(data, start, stop, _HEAD)
        if which >= 0:
            if seen & (1 << which):
                return -1
            seen |= 1 << which
        if which == 0 and data[at] == QUOTE:
            close = string(data, at + 1, end)
            if close < 0:
                return -1
            base[page, 0], base[page, 1] = at + 1, unescaped(data, at + 1, close)
            if base[page, 1] < 0:
                return -1
            at = close + 1
        elif which == 1 and data[at] == LIST:
            at += 1
            first = True
            while True:
                at, more = element(data, at, end, first)
                if at < 0:
                    return -1
                if not more:
                    break
                first = False
                if data[at] != OPEN:
                    at = skip(data, at, end)
                else:
                    at = fields(data, at + 1, end, _META, False, from_, to)
                    if at >= 0 and not _meta(data, from_, to, page, metas, counts):
                        return -1
                if at < 0:
                    return -1
        else:
            at = skip(data, at, end)
            if at < 0:
                return -1


@njit(forceinline=True)
def _meta(data, from_, to, page, metas, counts):
    """Appends a meta that is wanted, by its name or else its property; False for an odd one."""
    for field in range(2):
        if from_[field] < 0:
            continue
        to[field] = unescaped(data, from_[field], to[field])
        if to[field] < 0:
            return False
        which = _name(data, from_[field], to[field])
        if which < 0:
            continue
        if from_[2] >= 0:
            to[2] = unescaped(data, from_[2], to[2])
            if to[2] < 0:
                return False
        row = counts[2]
        metas[row, 0], metas[row, 1] = page, which
        metas[row, 2], metas[row, 3] = max(from_[2], 0), max(to[2], 0)
        counts[2] += 1
        return True
    return True


@njit(forceinline=True)
def _name(data, start, end):
    """Which of NAMES the bytes are, in any case and between blanks; -1 for another."""
    while start < end and data[start] <= 32:
        start += 1
    while start < end and data[end - 1] <= 32:
        end -= 1
    for which in range(len(_NAME_AT) - 1):
        first, length = _NAME_AT[which], _NAME_AT[which + 1] - _NAME_AT[which]
        if length != end - start:
            continue
        same = True
        for i in range(length):
            byte = data[start + i]
            if ord("A") <= byte <= ord("Z"):
                byte |= 32
            if byte != _NAME[first + i]:
                same = False
                break
        if same:
            return which
    return -1
