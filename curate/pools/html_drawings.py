"""An `<svg>` in a page, passed over as a whole where that is safe."""

import numpy as np
from numba import njit

from curate.pools.html_bytes import COMMENT, LESS, SLASH, comment_end, find, letter, name, says, seek, shows, tag_end
from curate.pools.html_elements import DRAWING, DRAWN, ELEMENTS, LABEL

_MAX_DEPTH = 64
_IN_DRAWINGS = DRAWING | DRAWN | LABEL


@njit
def drawing(data, at, end):
    """(behind an <svg> of nothing but shapes and labels, each closed where it should be: what is in it touches nothing outside; whether it
    shows a text); -1 for any other."""
    opened, depth, shown = np.empty(_MAX_DEPTH, np.int64), 0, 0
    while True:
        inside = ELEMENTS.numbers[opened[depth - 1]] if depth else 0
        if says(data, at, end, COMMENT) and not inside & LABEL:
            at = comment_end(data, at + 4, end)
        else:
            closing = data[at + 1] == SLASH
            first = at + 2 if closing else at + 1
            if first >= end or not letter(data[first]):
                return -1, 0
            stop, key = name(data, first, end)
            slot = find(ELEMENTS, key)
            at, slashed = tag_end(data, stop, end)
            if closing:
                if slot != opened[depth - 1]:
                    return -1, 0
                depth -= 1
            elif (
                slot < 0
                or inside & LABEL
                or depth == _MAX_DEPTH
                or not ELEMENTS.numbers[slot] & (DRAWING | DRAWN | LABEL)
            ):
                return -1, 0
            elif not slashed:
                opened[depth] = slot
                depth += 1
        if at < 0:
            return -1, 0
        if depth == 0:
            break
        less = seek(data, at, end, LESS)
        some = shows(data, at, less)
        if some < 0 or less + 1 >= end:
            return -1, 0
        shown |= some
        at = less
    return at, shown
