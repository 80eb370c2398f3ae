"""Elements that hold nothing of interest, left out of a page: as long as all are closed as they were opened.

While that holds, the parser has the elements open that were opened here, and no formatting waits to be opened again; so an element of
which nothing is taken does to its state nothing, and neither does text. At the first tag for which that is not sure (a `</b>` over an
open `<div>`, an `<a>` in an `<a>`, a `<div>` in a `<tr>`) pruning ends for the page. What was left out until then did not matter.
"""

from numba import njit

from curate.pools.html_bytes import LESS, MORE, SLASH
from curate.pools.html_copy import (
    CAPTION_IS,
    FORMATS,
    NEST,
    NONE,
    OPENED,
    SELECTING,
    SHOWN,
    TAIL,
    TEXT,
    TO,
    drop,
    keep,
    put,
)
from curate.pools.html_elements import (
    ANYWHERE,
    BLOCK_LEVEL,
    BODY,
    CELL,
    CHOICE,
    COLUMN,
    COLUMNS,
    DEFINED,
    DEFINITIONS,
    ELEMENTS,
    ENDS_FRAMES,
    FORMATTING,
    HEAD,
    HTML,
    IMG,
    INLINE,
    INPUT,
    ITEM,
    LIST,
    NOSCRIPT,
    ONLY_ONE,
    OPTION,
    PARAGRAPH,
    PLACE,
    ROW,
    ROWS,
    SELECT,
    SOURCE,
    TABLE,
    TABLE_CAPTION,
    VOID,
)

AHEAD, NOSCRIPT_AHEAD, SURE, UNSURE = range(4)
"""Before the body; there in a `<noscript>`; in the body, where all that is open is known; where pruning has ended."""
MAX_NEST = 200
_SLOT, _FROM, _KEPT = range(3)
NEST_ROW = 3
_FORMATS_ALIKE = 3
"""Of formatting elements that are alike, a fourth ends the first one's being opened again."""
_BODY = next(slot for slot, kind in enumerate(ELEMENTS.numbers) if kind >> PLACE == BODY >> PLACE)


@njit(forceinline=True)
def _place(kind):
    return kind >> PLACE << PLACE


@njit(forceinline=True)
def _kind(nest, at):
    return ELEMENTS.numbers[nest[at, _SLOT]]


@njit(forceinline=True)
def interesting(nest, state):
    """What is open stays."""
    nest[state[TAIL], _KEPT] = 1


@njit(forceinline=True)
def text(shown, nest, state):
    """Whether a text can be left out. `shown`: 1 for more than blanks, 0 for blanks, -1 for what may be either."""
    if state[NEST] == SURE:
        if state[CAPTION_IS] == NONE and (shown == 0 or (shown == 1 and state[SHOWN])):
            return True
        if shown == 1:
            state[SHOWN] = 1
        interesting(nest, state)
    elif shown:
        state[NEST] = UNSURE
    return False


@njit(forceinline=True)
def start(kind, slot, nest, out, state):
    """Closes what a start tag closes, and opens its element; whether that, void and of no interest, can be left out."""
    if state[NEST] == UNSURE or (state[NEST] != SURE and not _begins(kind, nest, state)):
        return False
    tail = _fits(kind, nest, state)
    if tail < 0:
        state[NEST] = UNSURE
        return False
    while state[TAIL] > tail:
        _close(nest, out, state)
    shows = kind & ENDS_FRAMES and not state[SHOWN]
    if shows:
        state[SHOWN] = 1
        interesting(nest, state)
    if kind & VOID:
        return not shows and not kind & (IMG | SOURCE | INPUT) and _place(kind) != ANYWHERE
    tail += 1
    alike = kind & FORMATTING and state[FORMATS] >= _FORMATS_ALIKE
    nest[tail, _SLOT], nest[tail, _FROM] = slot, state[TO]
    nest[tail, _KEPT] = 1 if shows or alike or state[CAPTION_IS] != NONE else 0
    state[TAIL] = tail
    state[OPENED] |= kind & ONLY_ONE
    state[FORMATS] += 1 if kind & FORMATTING else 0
    return False


@njit(forceinline=True)
def _begins(kind, nest, state):
    """Whether a start tag begins the body by being in it."""
    if kind & HEAD:
        return False
    if kind & NOSCRIPT:
        state[NEST] = NOSCRIPT_AHEAD
        return False
    state[NEST] = UNSURE if state[NEST] == NOSCRIPT_AHEAD or _place(kind) == 0 else SURE
    nest[0, _SLOT], nest[0, _KEPT] = _BODY, 1
    state[SHOWN] = _place(kind) == BODY
    return state[NEST] == SURE and not state[SHOWN]


@njit(forceinline=True)
def _fits(kind, nest, state):
    """How many elements stay open around one that begins; -1 where it cannot be said."""
    place, tail, opened = _place(kind), state[TAIL], state[OPENED]
    if tail == MAX_NEST:
        return -1
    while tail > 0 and _gives_way(_kind(nest, tail), place):
        opened &= ~(_kind(nest, tail) & PARAGRAPH)
        tail -= 1
    around = _place(_kind(nest, tail))
    if kind & ONLY_ONE & opened:
        return -1
    if place == ANYWHERE:
        return tail if around not in (CHOICE, OPTION, COLUMNS) else -1
    if place in (INLINE, CHOICE):
        return tail if _holds_text(around) else -1
    if place in (BLOCK_LEVEL, LIST, DEFINITIONS, TABLE):
        return tail if _holds_text(around) and not opened & PARAGRAPH else -1
    if place == ITEM:
        return tail if around == LIST and not opened & PARAGRAPH else -1
    if place == DEFINED:
        return tail if around == DEFINITIONS and not opened & PARAGRAPH else -1
    if place == ROW:
        return tail if around in (ROWS, TABLE) else -1
    if place in (ROWS, TABLE_CAPTION, COLUMNS):
        return tail if around == TABLE else -1
    if place == CELL:
        return tail if around == ROW else -1
    fits = (place == OPTION and around == CHOICE) or (place == COLUMN and around == COLUMNS)
    return tail if fits else -1


@njit(forceinline=True)
def _holds_text(place):
    return place in (BODY, BLOCK_LEVEL, INLINE, LIST, ITEM, DEFINITIONS, DEFINED, CELL, TABLE_CAPTION)


@njit(forceinline=True)
def _gives_way(kind, place):
    """Whether an open element is closed by the start tag of one of that place, if that may stand there then."""
    if kind & PARAGRAPH:
        return place in (BLOCK_LEVEL, LIST, ITEM, DEFINITIONS, DEFINED, CELL, ROW, ROWS)
    of = _place(kind)
    if of in (ITEM, DEFINED, OPTION):
        return place == of
    if of == CELL:
        return place in (CELL, ROW, ROWS)
    return of in (ROW, COLUMNS, ROWS) and (place == ROWS or (place == ROW and of != ROWS))


@njit(forceinline=True)
def end(slot, nest, out, state):
    """Closes the element of an end tag, and those in it that need none of their own; False where the tag must stay as it is."""
    kind = ELEMENTS.numbers[slot] if slot >= 0 else 0
    if state[NEST] != SURE:
        if state[NEST] == NOSCRIPT_AHEAD and kind & NOSCRIPT:
            state[NEST] = AHEAD
        elif not kind & HEAD or kind & HTML:
            state[NEST] = UNSURE
        return False
    tail = state[TAIL]
    while tail > 0 and nest[tail, _SLOT] != slot and _ends_with(_kind(nest, tail), _place(kind)):
        tail -= 1
    if tail == 0 or nest[tail, _SLOT] != slot:
        state[NEST] = UNSURE
        return False
    while state[TAIL] >= tail:
        _close(nest, out, state)
    return True


@njit(forceinline=True)
def _ends_with(kind, place):
    """Whether an open element is closed by the end tag of one around it of that place."""
    if place in (0, INLINE, ANYWHERE):
        return False
    of = _place(kind)
    if kind & PARAGRAPH or of in (ITEM, DEFINED):
        return place != CHOICE
    if of == OPTION:
        return place == CHOICE
    return (
        (of == CELL and place in (ROW, ROWS, TABLE))
        or (of == ROW and place in (ROWS, TABLE))
        or (of in (ROWS, COLUMNS) and place == TABLE)
    )


@njit(forceinline=True)
def _close(nest, out, state):
    """Writes the end tag of the innermost element, or takes back all of it."""
    tail = state[TAIL]
    slot, start, kept = nest[tail, _SLOT], nest[tail, _FROM], nest[tail, _KEPT]
    if kept:
        put(LESS, out, state)
        put(SLASH, out, state)
        keep(out, start + 1, start + 1 + ELEMENTS.lengths[slot], out, state)
        put(MORE, out, state)
        state[TEXT] = 0
        nest[tail - 1, _KEPT] = 1
    else:
        state[TO] = start
        state[TEXT] = start > 0 and out[start - 1] != MORE
        drop(out, state)
    kind = ELEMENTS.numbers[slot]
    state[OPENED] &= ~(kind & ONLY_ONE)
    state[FORMATS] -= 1 if kind & FORMATTING else 0
    if kind & SELECT:
        state[SELECTING] = 0
    state[TAIL] = tail - 1
