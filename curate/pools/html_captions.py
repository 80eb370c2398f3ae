"""Where in a page a caption may be open, so that its text stays."""

import numpy as np
from numba import njit

from curate.pools.html_bytes import AND, says
from curate.pools.html_copy import CAPTION_IS, DEPTH, ENDED, FOR_GOOD, NONE, OPEN, SLOT, WRAPPED
from curate.pools.html_elements import ALONE, BLOCK, ELEMENTS, HOLDS, PARAGRAPH, PHRASE, VOID, WRAPS

ABOUT_FIGURES, ABOUT_CAPTIONS = 1, 2
_APTION, _FIGURE, _MEDIAOBJECT = (np.frombuffer(word, np.uint8) for word in (b"aption", b"figure", b"mediaobject"))


@njit
def about(data, start, stop):
    """What a class may be about, in whatever case; one with a reference may be about all."""
    found = 0
    for at in range(start, stop):
        if data[at] == AND or says(data, at, stop, _APTION):
            return ABOUT_CAPTIONS
        if says(data, at, stop, _FIGURE) or says(data, at, stop, _MEDIAOBJECT):
            found = ABOUT_FIGURES
    return found


@njit(forceinline=True)
def opens(kind, slot, caption, state):
    """Notes whether a caption is open behind a start tag, and whether its end tag will be the end of it."""
    if kind & VOID:
        return
    if state[CAPTION_IS] == OPEN:
        if slot == state[SLOT]:
            state[DEPTH] += 0 if kind & ALONE else 1
        elif caption and (state[ENDED] or not kind & (WRAPS | HOLDS)):
            # Where the outer one was closed with what holds it, this one outlives its end tag; so does one that is opened again.
            state[CAPTION_IS] = FOR_GOOD
        elif not (kind & PHRASE or (kind & BLOCK and state[WRAPPED])):
            state[CAPTION_IS] = FOR_GOOD
    elif state[CAPTION_IS] == NONE and caption:
        state[CAPTION_IS] = OPEN if kind & (WRAPS | HOLDS) else FOR_GOOD
        state[SLOT], state[DEPTH], state[WRAPPED], state[ENDED] = slot, 1, kind & WRAPS, 0


@njit(forceinline=True)
def closes(slot, state):
    """Notes an end tag."""
    if state[CAPTION_IS] == OPEN and slot == state[SLOT]:
        state[DEPTH] -= 1
        if state[DEPTH] == 0:
            state[CAPTION_IS] = NONE
    elif state[CAPTION_IS] == OPEN:
        # What wraps blocks is in no paragraph.
        harmless = PHRASE | PARAGRAPH if state[WRAPPED] else PHRASE
        if slot < 0 or not ELEMENTS.numbers[slot] & harmless:
            state[ENDED] = 1
