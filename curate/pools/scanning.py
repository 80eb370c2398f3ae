"""The image links of WAT records, read off their JSON without making objects of all that is in it.

A record of a page holds some kilobytes of JSON, of which a few attributes of some links and metas are wanted. The scan walks its whole
structure, so that a header or a text that looks like a link is none. What it does not take at once (a key twice or escaped, broken
UTF-8, a structure that does not close) it calls ODD, and `wat.page` reads the record by a JSON parser, slowly and patiently.
"""

import numpy as np
from numba import njit

from curate.kernels import compiled, load64, trailing_zeros
from curate.pools.looking import sequence

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


def _short(words: tuple[bytes, ...]) -> np.ndarray:
    """Words of up to 16 bytes as rows of uint64: length, first and last 8 bytes (of a shorter one it itself and 0)."""
    rows = [(len(w), w[:8].ljust(8, b"\0"), w[-8:] if len(w) > 8 else bytes(8)) for w in words]
    return np.array([(n, int.from_bytes(a, "little"), int.from_bytes(b, "little")) for n, a, b in rows], np.uint64)


_NAME, _NAME_AT = _packed(NAMES)
_STEPS, _STEP_AT = _packed((b"Envelope", b"Payload-Metadata", b"HTTP-Response-Metadata", b"HTML-Metadata"))
_FIELD, _META = _short(FIELDS), _short((b"name", b"property", b"content"))
_PARTS, _HEAD = _short((b"Head", b"Links")), _short((b"Base", b"Metas"))
_IMG, _SRC, _SRCSET, _DATA = (np.frombuffer(word, np.uint8) for word in (b"IMG@/", b"src", b"srcset", b"data-"))
_QUOTE, _SLASHED, _COLON, _COMMA = (np.uint8(ord(sign)) for sign in '"\\:,')
_OPEN, _CLOSE, _LIST, _UNLIST = (np.uint8(ord(sign)) for sign in "{}[]")
_ONES, _HIGHS, _QUOTES, _SLASHES = (np.uint64(byte * 0x0101010101010101) for byte in (0x01, 0x80, ord('"'), ord("\\")))
ROOM = ((20, 5), (10, 3), (17, 4))
"""Of links, texts and metas: the bytes that one has at least (`{"path":"IMG@/src"},`), and the numbers that are noted of it."""
PADDING = 8
"""Bytes that `scan` may read behind the last record."""
_ESCAPES = np.zeros(256, np.uint8)
for _sign, _meant in zip(b'"\\/bfnrt', b'"\\/\b\f\n\r\t', strict=True):
    _ESCAPES[_sign] = _meant


@compiled
def scan(data, starts, kinds, links, texts, metas, base, counts):
    """Reads the records `data[starts[i]:starts[i + 1]]` (writable: strings lose their escapes in place); says what they are in `kinds`.

    Rows are appended to, whose numbers stand in `counts` (images, texts, metas): `links` (record, start, end, is a srcset, first text),
    `texts` (start, end, kind), `metas` (record, which, start, end). `base[i]` becomes the span of a page's base, -1 where it has none.
    Nothing is kept of an ODD record. The arrays must have ROOM.
    """
    for i in range(len(kinds)):
        images, words, heads = counts[0], counts[1], counts[2]
        base[i, 0] = base[i, 1] = -1
        kinds[i] = _record(data, starts[i], starts[i + 1], i, links, texts, metas, base, counts)
        if kinds[i] != PAGE:
            counts[0], counts[1], counts[2] = images, words, heads
            base[i, 0] = base[i, 1] = -1


@njit(forceinline=True)
def _record(data, start, end, page, links, texts, metas, base, counts):
    at = _blank(data, start, end)
    if at >= end or data[at] != _OPEN:
        return ODD
    level, kind, seen, parts = 0, OTHER, 0, 0
    at += 1
    fresh = True
    while True:
        at, from_, to = _key(data, at, end, fresh)
        if at < 0:
            return ODD
        fresh = False
        if from_ < 0:  # The object ends here.
            if level == 0:
                return kind if _blank(data, at, end) == end else ODD
            level -= 1
            continue
        if level < 4 and _is(data, from_, to, _STEPS, _STEP_AT, level):
            if seen & (1 << level):
                return ODD
            seen |= 1 << level
            if level == 3 and data[at] != ord("n"):
                kind = PAGE
            if data[at] == _OPEN:
                level, at, fresh = level + 1, at + 1, True
                continue
        elif level == 4:
            which = _which(data, from_, to, _PARTS)
            if which >= 0:
                if parts & (1 << which):
                    return ODD
                parts |= 1 << which
                if which == 1 and data[at] == _LIST:
                    at = _links(data, at + 1, end, page, links, texts, counts)
                    if at < 0:
                        return ODD
                    continue
                if which == 0 and data[at] == _OPEN:
                    at = _head(data, at + 1, end, page, metas, base, counts)
                    if at < 0:
                        return ODD
                    continue
        at = _skip(data, at, end)
        if at < 0:
            return ODD


@njit(forceinline=True)
def _links(data, at, end, page, links, texts, counts):
    """Behind the array of links; -1 for an odd one."""
    from_, to = np.empty(5, np.int64), np.empty(5, np.int64)
    first = True
    while True:
        at, more = _element(data, at, end, first)
        if at < 0 or not more:
            return at
        first = False
        if data[at] != _OPEN:
            at = _skip(data, at, end)
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
        if data[i] == _SLASHED:
            return False
    if not _begins(data, start, end, _IMG):
        return True
    start += len(_IMG)
    n = end - start
    srcset = n >= len(_SRCSET) and _begins(data, end - len(_SRCSET), end, _SRCSET)
    if not (srcset or (n == 3 and _begins(data, start, end, _SRC)) or _begins(data, start, end, _DATA)):
        return True
    for field in range(_URL, 5):
        if from_[field] >= 0:
            to[field] = _unescaped(data, from_[field], to[field])
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
        at, start, stop = _key(data, at, end, fresh)
        if at < 0 or start < 0:
            return at
        fresh = False
        which = _which(data, start, stop, _HEAD)
        if which >= 0:
            if seen & (1 << which):
                return -1
            seen |= 1 << which
        if which == 0 and data[at] == _QUOTE:
            close = _string(data, at + 1, end)
            if close < 0:
                return -1
            base[page, 0], base[page, 1] = at + 1, _unescaped(data, at + 1, close)
            if base[page, 1] < 0:
                return -1
            at = close + 1
        elif which == 1 and data[at] == _LIST:
            at += 1
            first = True
            while True:
                at, more = _element(data, at, end, first)
                if at < 0:
                    return -1
                if not more:
                    break
                first = False
                if data[at] != _OPEN:
                    at = _skip(data, at, end)
                else:
                    at = _fields(data, at + 1, end, _META, False, from_, to)
                    if at >= 0 and not _meta(data, from_, to, page, metas, counts):
                        return -1
                if at < 0:
                    return -1
        else:
            at = _skip(data, at, end)
            if at < 0:
                return -1


@njit(forceinline=True)
def _meta(data, from_, to, page, metas, counts):
    """Appends a meta that is wanted, by its name or else its property; False for an odd one."""
    for field in range(2):
        if from_[field] < 0:
            continue
        to[field] = _unescaped(data, from_[field], to[field])
        if to[field] < 0:
            return False
        which = _name(data, from_[field], to[field])
        if which < 0:
            continue
        if from_[2] >= 0:
            to[2] = _unescaped(data, from_[2], to[2])
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
        at, start, stop = _key(data, at, end, fresh)
        if at < 0 or start < 0:
            return at
        fresh = False
        which = _which(data, start, stop, words)
        if which >= 0:
            if seen & (1 << which):
                return -1
            seen |= 1 << which
        if data[at] == _QUOTE:
            close = _string(data, at + 1, end)
            if close < 0:
                return -1
            if which >= 0:
                from_[which], to[which] = at + 1, close
            at = close + 1
            if images and which == _PATH and not _begins(data, from_[_PATH], close, _IMG):
                escaped = _plain(data, from_[_PATH], close) < close
                from_[_PATH] = -1
                # What else a link of another kind says is not looked at.
                return -1 if escaped else _close(data, at, end, 1)
        else:
            at = _skip(data, at, end)
            if at < 0:
                return -1


@njit(forceinline=True)
def _key(data, at, end, fresh):
    """(where the next value begins, start and end of its key); the key is -1 behind the object, the value -1 if odd."""
    at = _blank(data, at, end)
    if at >= end:
        return -1, -1, -1
    if data[at] == _CLOSE:
        return at + 1, -1, -1
    if not fresh:
        if data[at] != _COMMA:
            return -1, -1, -1
        at = _blank(data, at + 1, end)
    if at >= end or data[at] != _QUOTE:
        return -1, -1, -1
    start = at + 1
    stop = _plain(data, start, end)
    if stop >= end or data[stop] != _QUOTE:
        return -1, -1, -1
    at = _blank(data, stop + 1, end)
    if at >= end or data[at] != _COLON:
        return -1, -1, -1
    at = _blank(data, at + 1, end)
    return (at, start, stop) if at < end else (-1, -1, -1)


@njit(forceinline=True)
def _element(data, at, end, first):
    """(where the next element begins, True), (behind the array, False), or (-1, False)."""
    at = _blank(data, at, end)
    if at >= end:
        return -1, False
    if data[at] == _UNLIST:
        return at + 1, False
    if not first:
        if data[at] != _COMMA:
            return -1, False
        at = _blank(data, at + 1, end)
    return (at, True) if at < end else (-1, False)


@njit(forceinline=True)
def _blank(data, at, end):
    while at < end and (data[at] == 32 or data[at] == 10 or data[at] == 13 or data[at] == 9):
        at += 1
    return at


@njit(forceinline=True)
def _plain(data, at, end):
    """Where the next quote or backslash stands; `end` or more where there is none. Reads PADDING beyond."""
    start = np.uint64(data.ctypes.data)
    while at < end:
        word = load64(start + np.uint64(at))
        quote, slashed = word ^ _QUOTES, word ^ _SLASHES
        # The lowest zero byte has its upper bit set here, and none below it has.
        found = (((quote - _ONES) & ~quote) | ((slashed - _ONES) & ~slashed)) & _HIGHS
        if found != 0:
            return at + (trailing_zeros(found) >> 3)
        at += 8
    return at


@njit(forceinline=True)
def _string(data, at, end):
    """Where the string that begins at `at`, behind its quote, has its other quote; -1 where it has none."""
    at = _plain(data, at, end)
    while at < end:
        if data[at] == _QUOTE:
            return at
        at = _plain(data, at + 2, end)
    return -1


@njit(forceinline=True)
def _skip(data, at, end):
    """Behind the value that begins at `at`; -1 where it does not end."""
    if at >= end:
        return -1
    byte = data[at]
    if byte == _QUOTE:
        return _string(data, at + 1, end) + 1 or -1
    if byte != _OPEN and byte != _LIST:
        start = at
        while at < end and data[at] != _COMMA and data[at] != _CLOSE and data[at] != _UNLIST and data[at] > 32:
            at += 1
        return at if at > start else -1
    return _close(data, at, end, 0)


@njit(forceinline=True)
def _close(data, at, end, depth):
    """Behind the object or array that is closed from `at` on, where `depth` are open; -1 where it does not end."""
    while at < end:
        byte = data[at]
        if byte == _QUOTE:
            at = _string(data, at + 1, end)
            if at < 0:
                return -1
        elif byte == _OPEN or byte == _LIST:
            depth += 1
        elif byte == _CLOSE or byte == _UNLIST:
            depth -= 1
            if depth == 0:
                return at + 1
        at += 1
    return -1


@njit(forceinline=True)
def _begins(data, start, end, word):
    if end - start < len(word):
        return False
    for i in range(len(word)):
        if data[start + i] != word[i]:
            return False
    return True


@njit(forceinline=True)
def _is(data, start, end, words, word_at, which):
    first = word_at[which]
    if word_at[which + 1] - first != end - start:
        return False
    for i in range(end - start):
        if data[start + i] != words[first + i]:
            return False
    return True


@njit(forceinline=True)
def _which(data, start, end, words):
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
def _unescaped(data, start, end):
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
        if byte < 128 and byte != _SLASHED:
            data[out] = byte
            at, out = at + 1, out + 1
        elif byte != _SLASHED:
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
            if 0xD800 <= point < 0xDC00 and at + 5 < end and data[at] == _SLASHED and data[at + 1] == ord("u"):
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
