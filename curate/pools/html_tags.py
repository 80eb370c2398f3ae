"""Tags of a page that is made shorter, compiled: which stay, and with which attributes.

-1 stands for what is not sure: from there on the page stays as it stands.
"""

import numpy as np
from numba import njit

from curate.pools import html_captions, pruning
from curate.pools.html_bytes import (
    MORE,
    attribute,
    between,
    find,
    letter,
    name,
    seek,
    tag_end,
    value,
)
from curate.pools.html_copy import (
    CAPTIONS,
    LENGTH,
    NAME,
    NEST,
    RAW_KIND,
    SELECTING,
    SHOWN,
    STARTED,
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
    SELECT,
    UNSEEN,
    VOID,
)

_SVG = np.frombuffer(b"<svg></svg>", np.uint8)


@njit(forceinline=True)
def bogus(data, at, end, out, state):
    after = seek(data, at, end, MORE) + 1
    if after > end:
        return -1
    drop(out, state)
    return after


@njit(forceinline=True)
def end_tag(data, at, end, out, state, nest):
    sign = data[at + 2] if at + 2 < end else 0
    if not letter(sign):
        return bogus(data, at, end, out, state)
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
def start_tag(data, at, end, out, state, nest):
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
