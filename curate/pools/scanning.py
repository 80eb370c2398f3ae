"""The image links of WAT records, read off their JSON without making objects of all that is in it.

A record of a page holds some kilobytes of JSON, of which a few attributes of some links and metas are wanted. The scan walks its whole
structure, so that a header or a text that looks like a link is none. What it does not take at once (a key twice or escaped, broken
UTF-8, a structure that does not close) it calls ODD, and `wat.page` reads the record by a JSON parser, slowly and patiently.
"""

import numpy as np
from numba import njit

from curate.kernels import compiled, uncounted
from curate.pools.json_bytes import (
    LIST,
    OPEN,
    QUOTE,
    SLASHED,
    blank,
    close_of,
    element,
    is_word,
    key,
    plain,
    short,
    skip,
    string,
    unescaped,
    which_word,
)
from curate.pools.looking import begins

PAGE, OTHER, ODD = range(3)
"""What a record is: one of a page; about something else; one for the patient."""
NAMES = (
    b"html@/lang", b"html@/xml:lang", b"robots", b"tdm-reservation",
    b"og:title", b"og:image", b"og:image:url", b"og:image:secure_url",
)  # fmt: skip
"""Metas that are reported."""
IS_SRCSET = 3
"""The column of a link that says so."""
FIELDS = (b"path", b"url", b"alt", b"title", b"data-image-title")
_PATH, _URL, _TEXTS = 0, 1, 2
"""Of FIELDS; those from _TEXTS on are texts, in the order of `pages.ATTRIBUTES`."""


def _packed(words: tuple[bytes, ...]) -> tuple[np.ndarray, np.ndarray]:
    return np.frombuffer(b"".join(words), np.uint8), np.cumsum([0, *map(len, words)])


_NAME, _NAME_AT = _packed(NAMES)
_STEPS, _STEP_AT = _packed((b"Envelope", b"Payload-Metadata", b"HTTP-Response-Metadata", b"HTML-Metadata"))
_FIELD, _META = short(FIELDS), short((b"name", b"property", b"content"))
_PARTS, _HEAD = short((b"Head", b"Links")), short((b"Base", b"Metas"))
_IMG, _SRC, _SRCSET, _DATA = (np.frombuffer(word, np.uint8) for word in (b"IMG@/", b"src", b"srcset", b"data-"))
ROOM = ((20, 5), (10, 3), (17, 4))
"""Of links, texts and metas: the bytes that one has at least (`{"path":"IMG@/src"},`), and the numbers that are noted of it."""


@compiled
def scan(data, starts, kinds, links, texts, metas, base, counts):
    """Reads the records `data[starts[i]:starts[i + 1]]` (writable: strings lose their escapes in place); says what they are in `kinds`.

    Rows are appended to, whose numbers stand in `counts` (images, texts, metas): `links` (record, start, end, is a srcset, first text),
    `texts` (start, end, kind), `metas` (record, which, start, end). `base[i]` becomes the span of a page's base, -1 where it has none.
    Nothing is kept of an ODD record. The arrays must have ROOM.
    """
    data, links, texts, metas, base, counts = (
        uncounted(data), uncounted(links), uncounted(texts), uncounted(metas), uncounted(base), uncounted(counts),
    )  # fmt: skip
    for i in range(len(kinds)):
        images, words, heads = counts[0], counts[1], counts[2]
        base[i, 0] = base[i, 1] = -1
        kinds[i] = _record(data, starts[i], starts[i + 1], i, links, texts, metas, base, counts)
        if kinds[i] != PAGE:
            counts[0], counts[1], counts[2] = images, words, heads
            base[i, 0] = base[i, 1] = -1


@njit(forceinline=True)
def _record(data, start, end, page, links, texts, metas, base, counts):
    at = blank(data, start, end)
    if at >= end or data[at] != OPEN:
        return ODD
    level, kind, seen, parts = 0, OTHER, 0, 0
    at += 1
    fresh = True
    while True:
        at, from_, to = key(data, at, end, fresh)
        if at < 0:
            return ODD
        fresh = False
        if from_ < 0:  # The object ends here.
            if level == 0:
                return kind if blank(data, at, end) == end else ODD
            level -= 1
            continue
        if level < 4 and is_word(data, from_, to, _STEPS, _STEP_AT, level):
            if seen & (1 << level):
                return ODD
            seen |= 1 << level
            if level == 3 and data[at] != ord("n"):
                kind = PAGE
            if data[at] == OPEN:
                level, at, fresh = level + 1, at + 1, True
                continue
        elif level == 4:
            which = which_word(data, from_, to, _PARTS)
            if which >= 0:
                if parts & (1 << which):
                    return ODD
                parts |= 1 << which
                if which == 1 and data[at] == LIST:
                    at = _links(data, at + 1, end, page, links, texts, counts)
                    if at < 0:
                        return ODD
                    continue
                if which == 0 and data[at] == OPEN:
                    at = _head(data, at + 1, end, page, metas, base, counts)
                    if at < 0:
                        return ODD
                    continue
        at = skip(data, at, end)
        if at < 0:
            return ODD


@njit(forceinline=True)
def _links(data, at, end, page, links, texts, counts):
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
            at = _fields(data, at + 1, end, _FIELD, True, from_, to)
            if at >= 0 and from_[_PATH] >= 0 and not _link(data, from_, to, page, links, texts, counts):
                return -1
        if at < 0:
            return -1


@njit(forceinline=True)
def _link(data, from_, to, page, links, texts, counts):
    """Appends the link of an image; False for an odd one. Others are passed over."""
    start, end = from_[_PATH], to[_PATH]
    for i in range(start, end):
        if data[i] == SLASHED:
            return False
    if not begins(data, start, end, _IMG):
        return True
    start += len(_IMG)
    n = end - start
    srcset = n >= len(_SRCSET) and begins(data, end - len(_SRCSET), end, _SRCSET)
    if not (srcset or (n == 3 and begins(data, start, end, _SRC)) or begins(data, start, end, _DATA)):
        return True
    for field in range(_URL, 5):
        if from_[field] >= 0:
            to[field] = unescaped(data, from_[field], to[field])
            if to[field] < 0:
                return False
    row = counts[0]
    counts[0] += 1
    links[row, 0], links[row, 3], links[row, 4] = page, srcset, counts[1]
    start, end = max(from_[_URL], 0), max(to[_URL], 0)
    while start < end and data[start] <= 32:
        start += 1
    while start < end and data[end - 1] <= 32:
        end -= 1
    links[row, 1], links[row, 2] = start, end
    for field in range(_TEXTS, 5):
        if from_[field] >= 0 and to[field] > from_[field]:
            text = counts[1]
            texts[text, 0], texts[text, 1], texts[text, 2] = from_[field], to[field], field - _TEXTS
            counts[1] += 1
    return True


@njit(forceinline=True)
def _head(data, at, end, page, metas, base, counts):
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
                    at = _fields(data, at + 1, end, _META, False, from_, to)
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


@njit(forceinline=True)
def _fields(data, at, end, words, images, from_, to):
    """Behind an object whose wanted fields, where they are strings, are put into `from_` and `to`; -1 for an odd one."""
    fresh, seen = True, 0
    from_[:] = -1
    to[:] = -1
    while True:
        at, start, stop = key(data, at, end, fresh)
        if at < 0 or start < 0:
            return at
        fresh = False
        which = which_word(data, start, stop, words)
        if which >= 0:
            if seen & (1 << which):
                return -1
            seen |= 1 << which
        if data[at] == QUOTE:
            close = string(data, at + 1, end)
            if close < 0:
                return -1
            if which >= 0:
                from_[which], to[which] = at + 1, close
            at = close + 1
            if images and which == _PATH and not begins(data, from_[_PATH], close, _IMG):
                escaped = plain(data, from_[_PATH], close) < close
                from_[_PATH] = -1
                # What else a link of another kind says is not looked at.
                return -1 if escaped else close_of(data, at, end, 1)
        else:
            at = skip(data, at, end)
            if at < 0:
                return -1
