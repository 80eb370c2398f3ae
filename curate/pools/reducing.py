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
    BANG,
    COMMENT,
    LESS,
    MORE,
    QUERY,
    SLASH,
    comment_end,
    letter,
    says,
    seek,
)
from curate.pools.html_copy import (
    CAPTION_IS,
    CAPTIONS,
    RAW_KIND,
    STATE,
    TEXT,
    TO,
    drop,
    keep,
    put,
)
from curate.pools.html_tags import bogus, end_tag, start_tag
from curate.pools.html_text import raw, text

_DOCTYPE = np.frombuffer(b"<!doctype", np.uint8)


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
            after = raw(data, at, end, out, state, nest)
        elif data[at] == LESS:
            after = _markup(data, at, end, out, state, nest)
        else:
            after = seek(data, at, end, LESS)
            text(data, at, after, out, state, nest)
        if after < 0:
            keep(data, at, end, out, state)
            break
        at = after
    # Both arrays live as long as they are named.
    return held[TO] + 0 * holding[0, 0]


@njit(forceinline=True)
def _markup(data, at, end, out, state, nest):
    """Behind the tag or what else begins with the `<` at `at`; -1 for doubt."""
    sign = data[at + 1] if at + 1 < end else 0
    if letter(sign):
        return start_tag(data, at, end, out, state, nest)
    if sign == SLASH:
        return end_tag(data, at, end, out, state, nest)
    if sign == BANG and says(data, at, end, COMMENT):
        drop(out, state)
        return comment_end(data, at + 4, end)
    if sign == BANG and not says(data, at, end, _DOCTYPE):
        return bogus(data, at, end, out, state)
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
