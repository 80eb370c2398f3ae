"""What the steps that reduce a page share: the bytes written so far, and where in the page they are."""

from numba import njit

from curate.kernels import copy
from curate.pools.html_bytes import BANG, LESS, MORE

# Places in the state.
(
    TO,
    CAPTIONS,
    TEXT,
    STARTED,
    SELECTING,
    RAW_KIND,
    NAME,
    LENGTH,
    CAPTION_IS,
    SLOT,
    DEPTH,
    WRAPPED,
    ENDED,
    NEST,
    OPENED,
    TAIL,
    SHOWN,
    FORMATS,
) = range(18)
"""Bytes written; whether captions are looked for; whether the last bytes are text as it stands; whether there was a start tag, whether a
select may be open; the raw text that begins here (kind of its element), and where its name is; of a caption whether one may be open, its
element, how many of its kind are open, whether that wraps blocks, whether an end tag may have
closed it unseen. Of pruning: how sure the nest is, the ONLY_ONE of it that are open, its
depth, whether a frameset can no longer count, formatting elements that are open."""
STATE = 18
NONE, OPEN, FOR_GOOD = range(3)
"""A caption: none is open, one is until its end tag, one may be for the rest of the page."""


@njit(forceinline=True)
def put(byte, out, state):
    out[state[TO]] = byte
    state[TO] += 1


@njit(forceinline=True)
def keep(data, start, stop, out, state):
    copy(out.ctypes.data + state[TO], data.ctypes.data + start, stop - start)
    state[TO] += stop - start


@njit(forceinline=True)
def drop(out, state):
    """Nothing, where a comment stood; but for a reference (`&am<!-- -->p;`) or a tag that it kept from being one."""
    if state[TEXT]:
        put(LESS, out, state)
        put(BANG, out, state)
        put(MORE, out, state)
        state[TEXT] = 0
