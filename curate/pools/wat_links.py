"""The links of a page's images in the JSON of its WAT record, compiled."""

import numpy as np
from numba import njit

from curate.pools.json_bytes import OPEN, SLASHED, element, skip
from curate.pools.json_strings import short, unescaped
from curate.pools.looking import begins
from curate.pools.wat_fields import FIELDS, IMG, PATH, TEXTS, URL, fields

IS_SRCSET = 3
"""The column of a link that says so."""
_FIELD = short(FIELDS)
_SRC, _SRCSET, _DATA = (np.frombuffer(word, np.uint8) for word in (b"src", b"srcset", b"data-"))


@njit(forceinline=True)
def links_of(data, at, end, page, links, texts, counts):
    """Behind the array of links; -1 for an odd one."""
    from_, to = np.empty(5, np.int64), np.empty(5, np.int64)
    first = True
    while True:
        at, more = element(data, at, end, first)
        if at < 0 or not more:
            return at
        first = False
        if data[at] != OPEN:
            at = skip(data, at, end)
        else:
            at = fields(data, at + 1, end, _FIELD, True, from_, to)
            if at >= 0 and from_[PATH] >= 0 and not _link(data, from_, to, page, links, texts, counts):
                return -1
        if at < 0:
            return -1


@njit(forceinline=True)
def _link(data, from_, to, page, links, texts, counts):
    """Appends the link of an image; False for an odd one. Others are passed over."""
    start, end = from_[PATH], to[PATH]
    for i in range(start, end):
        if data[i] == SLASHED:
            return False
    if not begins(data, start, end, IMG):
        return True
    start += len(IMG)
    n = end - start
    srcset = n >= len(_SRCSET) and begins(data, end - len(_SRCSET), end, _SRCSET)
    if not (srcset or (n == 3 and begins(data, start, end, _SRC)) or begins(data, start, end, _DATA)):
        return True
    for field in range(URL, 5):
        if from_[field] >= 0:
            to[field] = unescaped(data, from_[field], to[field])
            if to[field] < 0:
                return False
    row = counts[0]
    counts[0] += 1
    links[row, 0], links[row, 3], links[row, 4] = page, srcset, counts[1]
    start, end = max(from_[URL], 0), max(to[URL], 0)
    while start < end and data[start] <= 32:
        start += 1
    while start < end and data[end - 1] <= 32:
        end -= 1
    links[row, 1], links[row, 2] = start, end
    for field in range(TEXTS, 5):
        if from_[field] >= 0 and to[field] > from_[field]:
            text = counts[1]
            texts[text, 0], texts[text, 1], texts[text, 2] = from_[field], to[field], field - TEXTS
            counts[1] += 1
    return True
