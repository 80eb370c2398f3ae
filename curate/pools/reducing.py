"""A page made shorter before it is parsed: the same tree as far as images, their figures and what a page says of itself go.

The HTML parser stays the authority on what a page means; it is spared the bytes that cannot change what is taken from its tree: text,
scripts, comments, attributes of other elements. What remains is what it would have seen there, token by token. Where that is not sure
(raw text in a `<select>`, MathML, a script in a script ...) the rest of the page stays as it stands, which is always right: before it
the tokenizer is where it would have been, between two tokens.
"""

import numpy as np
from numba import carray, njit

from curate.kernels import compiled, pointer
from curate.pools import html_captions, pruning
from curate.pools.html_bytes import (
    BANG,
    COMMENT,
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
    shows,
    tag_end,
    value,
)
from curate.pools.html_copy import (
    CAPTION_IS,
    CAPTIONS,
    LENGTH,
    NAME,
    NEST,
    RAW_KIND,
    SELECTING,
    SHOWN,
    STARTED,
    STATE,
    TAIL,
    TEXT,
    TO,
    drop,
    keep,
    put,
)
from curate.pools.html_drawings import drawing
from curate.pools.html_elements import (
    ATTRIBUTES,
    BODY,
    CAPTION,
    CLASS,
    DOUBT,
    DRAWING,
    ELEMENTS,
    HTML,
    OF_ELEMENTS,
    PLACE,
    PLAIN,
    RAW,
    SCRIPT,
    SELECT,
    UNSEEN,
    VOID,
)

_DOCTYPE, _INNER_SCRIPT, _SVG = (np.frombuffer(word, np.uint8) for word in (b"<!doctype", b"<script", b"<svg></svg>"))


def reduced(html: bytes | memoryview, captions: bool) -> bytes:
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
    # Both arrays live as long as they are named.
    return held[TO] + 0 * holding[0, 0]


@njit(forceinline=True)
def _text(data, start, stop, out, state, nest):
    """Text does to a tree what one letter does, or one blank."""
    shown = -1 if start == 0 and data[0] > 127 else shows(data, start, stop)  # A byte order mark is no text.
    if state[NEST] != pruning.UNSURE and pruning.text(shown, nest, state):
        return
    if state[CAPTION_IS] or shown < 0:
        keep(data, start, stop, out, state)
        state[TEXT] = 1
    else:
        put(120 if shown else 32, out, state)


@njit(forceinline=True)
def _markup(data, at, end, out, state, nest):
    """Behind the tag or what else begins with the `<` at `at`; -1 for doubt."""
    sign = data[at + 1] if at + 1 < end else 0
    if letter(sign):
        return _start(data, at, end, out, state, nest)
    if sign == SLASH:
        return _end(data, at, end, out, state, nest)
    if sign == BANG and says(data, at, end, COMMENT):
        drop(out, state)
        return comment_end(data, at + 4, end)
    if sign == BANG and not says(data, at, end, _DOCTYPE):
        return _bogus(data, at, end, out, state)
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
def _bogus(data, at, end, out, state):
    after = seek(data, at, end, MORE) + 1
    if after > end:
        return -1
    drop(out, state)
    return after


@njit(forceinline=True)
def _end(data, at, end, out, state, nest):
    sign = data[at + 2] if at + 2 < end else 0
    if not letter(sign):
        return _bogus(data, at, end, out, state)
    stop, key = name(data, at + 2, end)
    after, _ = tag_end(data, stop, end)
    if after < 0:
        return -1
    slot = find(ELEMENTS, key)
    if state[NEST] == pruning.UNSURE or not pruning.end(slot, nest, out, state):
        keep(data, at, stop, out, state)
        put(MORE, out, state)
        state[TEXT] = 0
    html_captions.closes(slot, state)
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
    after, about = _attributes(data, stop, end, kind, out, state)
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
        html_captions.opens(kind, slot, about == html_captions.ABOUT_CAPTIONS or kind & CAPTION, state)
    if kind & RAW:
        state[RAW_KIND], state[NAME], state[LENGTH] = kind, at + 1, stop - at - 1
    return after


@njit(forceinline=True)
def _attributes(data, at, end, kind, out, state):
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
            about = html_captions.about(data, first, last) if classes == 1 else about
            # A later <html> or <body> adds to the first one what that has not.
            number = about or (kind & HTML or kind >> PLACE << PLACE == BODY) if classes == 1 else 0
        if number and kind & PLAIN:
            put(32, out, state)
            keep(data, start, at, out, state)


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
            escaped |= says(data, stop, end, COMMENT)
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
    """Writes an empty <svg> for one that can be passed over."""
    after, shown = drawing(data, at, end)
    if after < 0:
        return -1
    if state[NEST] != pruning.UNSURE:
        slot = find(ELEMENTS, name(data, at + 1, end)[1])
        pruning.start(ELEMENTS.numbers[slot], slot, nest, out, state)
        if state[NEST] == pruning.SURE:
            # Its nest is closed again at once.
            state[TAIL] -= 1
            if state[SHOWN] and not state[CAPTIONS]:
                return after
            state[SHOWN] |= shown
            pruning.interesting(nest, state)
    if state[CAPTIONS]:
        keep(data, at, after, out, state)
    else:
        keep(_SVG, 0, 5, out, state)
        if shown:
            put(120, out, state)
        keep(_SVG, 5, len(_SVG), out, state)
    state[TEXT], state[STARTED] = 0, 1
    return after
