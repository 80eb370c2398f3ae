"""A page made shorter before it is parsed: the same tree as far as images, their figures and what a page says of itself go.

The HTML parser stays the authority on what a page means; it is spared the bytes that cannot change what is taken from its tree: text,
scripts, comments, attributes of other elements. What remains is what it would have seen there, token by token. Where that is not sure
(raw text in a `<select>`, MathML, a script in a script ...) the rest of the page stays as it stands, which is always right: before it
the tokenizer is where it would have been, between two tokens.
"""

import numpy as np
from numba import carray, njit

from curate.kernels import compiled, pointer
from curate.pools import pruning
from curate.pools.html_bytes import (
    AND,
    BANG,
    LESS,
    MORE,
    QUERY,
    SLASH,
    attribute,
    between,
    blank,
    comment_end,
    find,
    letter,
    name,
    same,
    says,
    seek,
    tag_end,
    value,
)
from curate.pools.html_copy import (
    CAPTION_IS,
    CAPTIONS,
    DEPTH,
    FOR_GOOD,
    LENGTH,
    NAME,
    NEST,
    NONE,
    OPEN,
    RAW_KIND,
    SELECTING,
    SHOWN,
    SLOT,
    STARTED,
    STATE,
    TAIL,
    TEXT,
    TO,
    WRAPPED,
    drop,
    keep,
    put,
)
from curate.pools.html_elements import (
    ALONE,
    ATTRIBUTES,
    BLOCK,
    BODY,
    CAPTION,
    CLASS,
    DOUBT,
    DRAWING,
    DRAWN,
    ELEMENTS,
    HOLDS,
    HTML,
    LABEL,
    OF_ELEMENTS,
    PHRASE,
    PLACE,
    PLAIN,
    RAW,
    SCRIPT,
    SELECT,
    UNSEEN,
    VOID,
    WRAPS,
)

_MAX_DEPTH = 64
_IN_DRAWINGS = DRAWING | DRAWN | LABEL

_COMMENT, _DOCTYPE, _INNER_SCRIPT, _SVG, _APTION, _FIGURE, _MEDIAOBJECT = (
    np.frombuffer(word, np.uint8)
    for word in (b"<!--", b"<!doctype", b"<script", b"<svg></svg>", b"aption", b"figure", b"mediaobject")
)
_ABOUT_FIGURES, _ABOUT_CAPTIONS = 1, 2


def reduced(html: bytes, captions: bool) -> bytes:
    """The page (UTF-8), reduced. With `captions`, the text of what may be a caption stays, and classes that speak of figures."""
    data = np.frombuffer(html, np.uint8)
    out = np.empty(2 * len(html) + 16, np.uint8)  # `a=b` may become ` a=b`.
    return out[: _reduce(data, captions, out)].tobytes()


@compiled
def _reduce(page, captions, room):
    # Counting references to the arrays would take half the time.
    data, out = (
        carray(pointer(page.ctypes.data), page.shape, np.uint8),
        carray(pointer(room.ctypes.data), room.shape, np.uint8),
    )
    held, holding = np.zeros(STATE, np.int64), np.empty((pruning.MAX_NEST + 1, pruning.NEST_ROW), np.int64)
    state = carray(pointer(held.ctypes.data), held.shape, np.int64)
    nest = carray(pointer(holding.ctypes.data), holding.shape, np.int64)
    state[CAPTIONS] = captions
    at, end = 0, len(data)
    while at < end:
        if state[RAW_KIND]:
            after = _raw(data, at, end, out, state, nest)
        elif data[at] == LESS:
            after = _markup(data, at, end, out, state, nest)
        else:
            after = seek(data, at, end, LESS)
            _text(data, at, after, out, state, nest)
        if after < 0:
            keep(data, at, end, out, state)
            break
        at = after
    return held[TO] + 0 * holding[0, 0]


@njit(forceinline=True)
def _text(data, start, stop, out, state, nest):
    """Text does to a tree what one letter does, or one blank."""
    shown = -1 if start == 0 and data[0] > 127 else _shown(data, start, stop)  # A byte order mark is no text.
    if state[NEST] != pruning.UNSURE and pruning.text(shown, nest, state):
        return
    if state[CAPTION_IS] or shown < 0:
        keep(data, start, stop, out, state)
        state[TEXT] = 1
    else:
        put(120 if shown else 32, out, state)


@njit(forceinline=True)
def _shown(data, start, stop):
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


@njit(forceinline=True)
def _markup(data, at, end, out, state, nest):
    """Behind the tag or what else begins with the `<` at `at`; -1 for doubt."""
    sign = data[at + 1] if at + 1 < end else 0
    if letter(sign):
        return _start(data, at, end, out, state, nest)
    if sign == SLASH:
        return _end(data, at, end, out, state, nest)
    if sign == BANG and says(data, at, end, _COMMENT):
        drop(out, state)
        return comment_end(data, at + 4, end)
    if sign == BANG and not says(data, at, end, _DOCTYPE):
        return _bogus(data, at, end, out, state, nest)
    if sign in (BANG, QUERY):
        after = seek(data, at, end, MORE) + 1
        if after > end:
            return -1
        keep(data, at, after, out, state)
        state[TEXT] = 0
        return after
    if not pruning.text(1, nest, state):
        put(LESS if state[CAPTION_IS] else 120, out, state)
        state[TEXT] = state[CAPTION_IS]
    return at + 1


@njit(forceinline=True)
def _bogus(data, at, end, out, state, nest):
    after = seek(data, at, end, MORE) + 1
    if after > end:
        return -1
    drop(out, state)
    return after


@njit(forceinline=True)
def _end(data, at, end, out, state, nest):
    sign = data[at + 2] if at + 2 < end else 0
    if not letter(sign):
        return _bogus(data, at, end, out, state, nest)
    stop, key = name(data, at + 2, end)
    after, _ = tag_end(data, stop, end)
    if after < 0:
        return -1
    slot = find(ELEMENTS, key)
    if state[NEST] == pruning.UNSURE or not pruning.end(slot, nest, out, state):
        keep(data, at, stop, out, state)
        put(MORE, out, state)
        state[TEXT] = 0
    if state[CAPTION_IS] == OPEN and slot == state[SLOT]:
        state[DEPTH] -= 1
        if state[DEPTH] == 0:
            state[CAPTION_IS] = NONE
    return after


@njit(forceinline=True)
def _start(data, at, end, out, state, nest):
    stop, key = name(data, at + 1, end)
    slot = find(ELEMENTS, key)
    kind = ELEMENTS.numbers[slot] if slot >= 0 else 0
    if kind & DOUBT:
        return -1
    if kind & DRAWING:
        return _drawing(data, at, end, out, state, nest)
    if state[NEST] != pruning.UNSURE and pruning.start(kind, slot, nest, out, state):
        after, _ = tag_end(data, stop, end)
        drop(out, state)
        return after
    before = state[TO]
    keep(data, at, stop, out, state)
    bare = state[TO]
    after, about = _attributes(data, stop, end, kind, out, state, nest)
    if after < 0:
        state[TO] = before
        return -1
    if not kind & PLAIN:
        state[TO] = before
        keep(data, at, after, out, state)
    elif kind & UNSEEN and state[STARTED] and state[TO] == bare:
        state[TO] = before
        drop(out, state)
        return after
    else:
        put(MORE, out, state)
    state[TEXT], state[STARTED] = 0, 1
    state[SELECTING] |= kind & SELECT
    if state[NEST] == pruning.SURE and (kind & VOID or kind & CAPTION or about):
        pruning.interesting(nest, state)
    if state[CAPTIONS]:
        _in_caption(kind, slot, about == _ABOUT_CAPTIONS or kind & CAPTION, state)
    if kind & RAW:
        state[RAW_KIND], state[NAME], state[LENGTH] = kind, at + 1, stop - at - 1
    return after


@njit(forceinline=True)
def _attributes(data, at, end, kind, out, state, nest):
    """Writes the attributes that matter of a plain element; (behind the tag, what its class is about)."""
    wanted = kind & OF_ELEMENTS | (CLASS if state[CAPTIONS] else 0)
    if not wanted:
        return tag_end(data, at, end)[0], 0
    about, classes = 0, 0
    while True:
        at, _ = between(data, at, end)
        if at < 0:
            return -1, 0
        if data[at] == MORE:
            return at + 1, about
        start = at
        at, key = attribute(data, at, end)
        first, last, at = value(data, at, end)
        if at < 0:
            return -1, 0
        slot = find(ATTRIBUTES, key)
        number = ATTRIBUTES.numbers[slot] & wanted if slot >= 0 else 0
        if number & CLASS:
            # The first one counts.
            classes += 1
            about = _about(data, first, last) if classes == 1 else about
            # A later <html> or <body> adds to the first one what that has not.
            number = about or (kind & HTML or kind >> PLACE << PLACE == BODY) if classes == 1 else 0
        if number and kind & PLAIN:
            put(32, out, state)
            keep(data, start, at, out, state)


@njit
def _about(data, start, stop):
    """What a class may be about, in whatever case; one with a reference may be about all."""
    about = 0
    for at in range(start, stop):
        if data[at] == AND or says(data, at, stop, _APTION):
            return _ABOUT_CAPTIONS
        if says(data, at, stop, _FIGURE) or says(data, at, stop, _MEDIAOBJECT):
            about = _ABOUT_FIGURES
    return about


@njit(forceinline=True)
def _in_caption(kind, slot, caption, state):
    """Notes whether a caption is open behind a start tag, and whether its end tag will be the end of it."""
    if kind & VOID:
        return
    if state[CAPTION_IS] == OPEN:
        if slot == state[SLOT]:
            state[DEPTH] += 0 if kind & ALONE else 1
        elif not (kind & PHRASE or (kind & BLOCK and state[WRAPPED])):
            state[CAPTION_IS] = FOR_GOOD
    elif state[CAPTION_IS] == NONE and caption:
        state[CAPTION_IS] = OPEN if kind & (WRAPS | HOLDS) else FOR_GOOD
        state[SLOT], state[DEPTH], state[WRAPPED] = slot, 1, kind & WRAPS


@njit(forceinline=True)
def _raw(data, at, end, out, state, nest):
    """Behind the text of an element that holds no tags, if it holds none."""
    kind, start, length = state[RAW_KIND], state[NAME], state[LENGTH]
    stop, tags, escaped = at, False, False
    while True:
        stop = seek(data, stop, end, LESS)
        if stop >= end:
            return -1
        if _ends(data, stop, end, start, length):
            break
        if kind & SCRIPT:
            # Behind <!-- in a script, the end tag of one in it is not its own.
            if escaped and says(data, stop, end, _INNER_SCRIPT):
                return -1
            escaped |= says(data, stop, end, _COMMENT)
        tags = True
        stop += 1
    if state[SELECTING] and not kind & SCRIPT:
        if tags:
            return -1
        _text(data, at, stop, out, state, nest)
    elif state[CAPTION_IS]:
        keep(data, at, stop, out, state)
    state[RAW_KIND] = 0
    return stop


@njit
def _ends(data, at, end, start, length):
    """Whether the end tag at `at` is that of the name at `start`."""
    stop = at + 2 + length
    if stop >= end or data[at + 1] != SLASH or not same(data, at + 2, start, length):
        return False
    return blank(data[stop]) or data[stop] == SLASH or data[stop] == MORE


@njit
def _drawing(data, at, end, out, state, nest):
    """Behind an <svg> of nothing but shapes and labels, each closed where it should be: what is in it touches nothing outside."""
    opened, depth, start, shown = np.empty(_MAX_DEPTH, np.int64), 0, at, 0
    while True:
        inside = ELEMENTS.numbers[opened[depth - 1]] if depth else 0
        if says(data, at, end, _COMMENT) and not inside & LABEL:
            at = comment_end(data, at + 4, end)
        else:
            closing = data[at + 1] == SLASH
            first = at + 2 if closing else at + 1
            if first >= end or not letter(data[first]):
                return -1
            stop, key = name(data, first, end)
            slot = find(ELEMENTS, key)
            at, slashed = tag_end(data, stop, end)
            if closing:
                if slot != opened[depth - 1]:
                    return -1
                depth -= 1
            elif (
                slot < 0
                or inside & LABEL
                or depth == _MAX_DEPTH
                or not ELEMENTS.numbers[slot] & (DRAWING | DRAWN | LABEL)
            ):
                return -1
            elif not slashed:
                opened[depth] = slot
                depth += 1
        if at < 0:
            return -1
        if depth == 0:
            break
        less = seek(data, at, end, LESS)
        some = _shown(data, at, less)
        if some < 0 or less + 1 >= end:
            return -1
        shown |= some
        at = less
    if state[NEST] != pruning.UNSURE:
        slot = find(ELEMENTS, name(data, start + 1, end)[1])
        pruning.start(ELEMENTS.numbers[slot], slot, nest, out, state)
        if state[NEST] == pruning.SURE:
            # Its nest is closed again at once.
            state[TAIL] -= 1
            if state[SHOWN] and not state[CAPTIONS]:
                return at
            state[SHOWN] |= shown
            pruning.interesting(nest, state)
    if state[CAPTIONS]:
        keep(data, start, at, out, state)
    else:
        keep(_SVG, 0, 5, out, state)
        if shown:
            put(120, out, state)
        keep(_SVG, 5, len(_SVG), out, state)
    state[TEXT], state[STARTED] = 0, 1
    return at
