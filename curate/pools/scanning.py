"""The image links of WAT records, read off their JSON without making objects of all that is in it.

A record of a page holds some kilobytes of JSON, of which a few attributes of some links and metas are wanted. The scan walks its whole
structure, so that a header or a text that looks like a link is none. What it does not take at once (a key twice or escaped, broken
UTF-8, a structure that does not close) it calls ODD, and `wat.page` reads the record by a JSON parser, slowly and patiently.
"""

from numba import njit

from curate.kernels import compiled, uncounted
from curate.pools.json_bytes import LIST, OPEN, blank, key, skip
from curate.pools.json_strings import is_word, packed, short, which_word
from curate.pools.wat_heads import head_of
from curate.pools.wat_links import links_of

PAGE, OTHER, ODD = range(3)
"""What a record is: one of a page; about something else; one for the patient."""


_STEPS, _STEP_AT = packed((b"Envelope", b"Payload-Metadata", b"HTTP-Response-Metadata", b"HTML-Metadata"))
_PARTS = short((b"Head", b"Links"))
ROOM = ((20, 5), (10, 3), (17, 4))
"""Of links, texts and metas: the bytes that one has at least (`{"path":"IMG@/src"},`), and the numbers that are noted of it."""


@compiled
def scan(data, starts, kinds, links, texts, metas, base, counts):
    """Reads the records `data[starts[i]:starts[i + 1]]` (writable: strings lose their escapes in place); says what they are in `kinds`.

    Rows are appended to, whose numbers stand in `counts` (images, texts, metas): `links` (record, start, end, is a srcset, first text),
    `texts` (start, end, kind), `metas` (record, which, start, end). `base[i]` becomes the span of a page's base, -1 where it has none.
    Nothing is kept of an ODD record. The arrays must have ROOM.
    """
    data, links, texts, metas, base, counts = (
        uncounted(data), uncounted(links), uncounted(texts), uncounted(metas), uncounted(base), uncounted(counts),
    )  # fmt: skip
    for i in range(len(kinds)):
        images, words, heads = counts[0], counts[1], counts[2]
        base[i, 0] = base[i, 1] = -1
        kinds[i] = _record(data, starts[i], starts[i + 1], i, links, texts, metas, base, counts)
        if kinds[i] != PAGE:
            counts[0], counts[1], counts[2] = images, words, heads
            base[i, 0] = base[i, 1] = -1


@njit(forceinline=True)
def _record(data, start, end, page, links, texts, metas, base, counts):
    at = blank(data, start, end)
    if at >= end or data[at] != OPEN:
        return ODD
    level, kind, seen, parts = 0, OTHER, 0, 0
    at += 1
    fresh = True
    while True:
        at, from_, to = key(data, at, end, fresh)
        if at < 0:
            return ODD
        fresh = False
        if from_ < 0:  # The object ends here.
            if level == 0:
                return kind if blank(data, at, end) == end else ODD
            level -= 1
            continue
        if level < 4 and is_word(data, from_, to, _STEPS, _STEP_AT, level):
            if seen & (1 << level):
                return ODD
            seen |= 1 << level
            if level == 3 and data[at] != ord("n"):
                kind = PAGE
            if data[at] == OPEN:
                level, at, fresh = level + 1, at + 1, True
                continue
        elif level == 4:
            which = which_word(data, from_, to, _PARTS)
            if which >= 0:
                if parts & (1 << which):
                    return ODD
                parts |= 1 << which
                if which == 1 and data[at] == LIST:
                    at = links_of(data, at + 1, end, page, links, texts, counts)
                    if at < 0:
                        return ODD
                    continue
                if which == 0 and data[at] == OPEN:
                    at = head_of(data, at + 1, end, page, metas, base, counts)
                    if at < 0:
                        return ODD
                    continue
        at = skip(data, at, end)
        if at < 0:
            return ODD
