"""Text of a page that is made shorter, compiled: between tags, and in elements that hold none."""

import numpy as np
from numba import njit

from curate.pools import pruning
from curate.pools.html_bytes import (
    COMMENT,
    LESS,
    MORE,
    SLASH,
    blank,
    same,
    says,
    seek,
    shows,
)
from curate.pools.html_copy import (
    CAPTION_IS,
    LENGTH,
    NAME,
    NEST,
    RAW_KIND,
    SELECTING,
    TEXT,
    keep,
    put,
)
from curate.pools.html_elements import (
    SCRIPT,
)

_INNER_SCRIPT = np.frombuffer(b"<script", np.uint8)


@njit(forceinline=True)
def text(data, start, stop, out, state, nest):
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
def raw(data, at, end, out, state, nest):
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
        text(data, at, stop, out, state, nest)
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
