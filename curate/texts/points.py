"""Texts as code points, and what kind of character each is: the ground of everything that is counted in them."""

import unicodedata
from functools import cache
from typing import NamedTuple

import numpy as np
import pyarrow as pa

BLANK, LETTER = 1, 2
"""Bits of a character's kind: what `str.split` splits at; Unicode's letters (L*) and their marks (M*: vowel signs of Indic scripts,
accents that stand by themselves)."""
POINTS = 0x110000


class Points(NamedTuple):
    """The characters of a column of texts."""

    points: np.ndarray
    """uint32, of all texts, one text behind the other."""
    ends: np.ndarray
    """int64, one more than texts: where each begins, and the last ends."""
    kinds: np.ndarray
    """uint8, by code point: `kinds()`."""

    @property
    def lengths(self) -> np.ndarray:
        """Characters of each text, int64."""
        return np.diff(self.ends)


def of(texts: pa.ChunkedArray | pa.Array) -> Points:
    """The code points of texts. Bytes that are no UTF-8 become U+FFFD; a null is an empty text."""
    whole = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    wide = whole.fill_null("").cast(pa.large_string())
    _, offsets, data = wide.buffers()
    if not len(wide) or data is None:
        return Points(np.frombuffer(b"", np.uint32), np.zeros(len(wide) + 1, np.int64), kinds())
    ends = np.frombuffer(offsets, np.int64, len(wide) + 1, wide.offset * 8)
    held = np.frombuffer(data, np.uint8)[ends[0] : ends[-1]]
    try:
        decoded = held.tobytes().decode()
    except UnicodeDecodeError:
        # Cut at each text's end: a character that lacks its rest must not take it from the next text.
        return of(
            pa.array([text.as_buffer().to_pybytes().decode(errors="replace") for text in wide.cast(pa.large_binary())])
        )
    points = np.frombuffer(decoded.encode("utf-32-le"), np.uint32)
    begun = np.concatenate([[0], np.cumsum(held & 0xC0 != 0x80)])
    return Points(points, begun[ends - ends[0]], kinds())


@cache
def kinds() -> np.ndarray:
    """The kind of each code point, uint8 of shape (0x110000,), by this Python's Unicode. Kept: it takes a quarter of a second."""
    found = np.zeros(POINTS, np.uint8)
    for point in range(POINTS):
        character = chr(point)
        category = unicodedata.category(character)
        if category[0] in "LM":
            found[point] = LETTER
        elif character.isspace():
            found[point] = BLANK
    return found
