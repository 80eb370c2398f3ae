"""The fields that are wanted of a link or a meta of a WAT record, compiled."""

import numpy as np
from numba import njit

from curate.pools.json_bytes import QUOTE, close_of, key, plain, skip, string
from curate.pools.json_strings import which_word
from curate.pools.looking import begins

FIELDS = (b"path", b"url", b"alt", b"title", b"data-image-title")
PATH, URL, TEXTS = 0, 1, 2
"""Of FIELDS; those from TEXTS on are texts, in the order of `pages.ATTRIBUTES`."""
IMG = np.frombuffer(b"IMG@/", np.uint8)
"""What the path of an image's link begins with."""


@njit(forceinline=True)
def fields(data, at, end, words, images, from_, to):
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
            if images and which == PATH and not begins(data, from_[PATH], close, IMG):
                escaped = plain(data, from_[PATH], close) < close
                from_[PATH] = -1
                # What else a link of another kind says is not looked at.
                return -1 if escaped else close_of(data, at, end, 1)
        else:
            at = skip(data, at, end)
            if at < 0:
                return -1
