"""Texts of whole Arrow columns at once: their words, and whether each is a file's name or a stock word.

Python's own `split`, `re` and `casefold` say what each answer is. They are asked only where arithmetic on bytes, or RE2 with a
pattern that lets pass all that Python's would and a little more, cannot say no.
"""

import re
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.texts.stock import IMAGE_SUFFIX, is_boilerplate, is_file_name, stock_words

WIDE_BLANKS = r"\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}"
BLANKS = rf"\x09-\x0d\x1c-\x20{WIDE_BLANKS}"
"""The characters at which `str.split` splits, as RE2 writes a class; its \\s has five of them."""
LETTERS = (
    r"a-z\x{c0}-\x{d6}\x{d8}-\x{f6}\x{f8}-\x{24f}\x{391}-\x{3a1}\x{3a3}-\x{3f5}\x{400}-\x{481}\x{48a}-\x{52f}\x{5d0}-\x{5ea}"
    r"\x{621}-\x{64a}\x{904}-\x{939}\x{e01}-\x{e30}\x{1e00}-\x{1eff}\x{3041}-\x{3096}\x{30a1}-\x{30fa}\x{4e00}-\x{9fa5}\x{ac00}-\x{d7a3}"
)
"""Characters that are letters in every version of Unicode, and neither marks nor digits: not all letters, but those of most texts."""


def words(texts: pa.StringArray) -> np.ndarray:
    """len(text.split()) of each text, int32: words are parted by white space as Unicode knows it. No nulls."""
    offsets, data = _bytes(texts)
    # 9 to 13 and 28 to 32, by the wrap of unsigned bytes: the blanks that are ASCII.
    blank = (data - np.uint8(9) < 5) | (data - np.uint8(28) < 5)
    begins = ~blank
    # A word begins where no blank is and one was before, or the text begins.
    begins[1:] &= blank[:-1]
    first = offsets[:-1][offsets[:-1] < offsets[1:]]
    begins[first] = ~blank[first]
    before = np.zeros(len(data) + 1, dtype=np.int32)
    np.cumsum(begins, out=before[1:])
    counts = np.diff(before[offsets])
    for row in np.flatnonzero(_matches(texts, f"[{WIDE_BLANKS}]")):
        counts[row] = len(texts[row].as_py().split())
    return counts


_MAY_BE_FILE_NAME = (
    rf"(?i){IMAGE_SUFFIX}(?:[?#{BLANKS}]|$)|^[{BLANKS}]*(?:"
    r"(?:img|image|dsc[a-z]?|dcim|pict?|p|pxl|mvi|gopr|sam|scan|wp|vid|mg|dji|cimg|imag|photo|foto)?[-_]?"
    rf"(?:[0-9]|[^\x00-\x7f{LETTERS}])|_?(?:img|dsc[a-z]?|pict|mg)[-_ ]|screen|whatsapp|bildschirmfoto|captura)"
)


def file_name(texts: pa.StringArray) -> np.ndarray:
    """Whether each text is a file's name, a camera's counter, or nothing but digits; bool."""
    return _sure(texts, _MAY_BE_FILE_NAME, is_file_name)


def boilerplate(texts: pa.StringArray) -> np.ndarray:
    """Whether each text is a stock word (`boilerplate.txt`), with or without a number, or made of marks alone; bool."""
    return _sure(texts, _may_be_stock(), is_boilerplate)


@cache
def _may_be_stock() -> str:
    """A stock word after what is no ASCII letter or digit, with no ASCII letter behind; or no letter; or a character that case
    folding makes several of."""
    known = [re.escape(word).replace(r"\ ", rf"[{BLANKS}_-]+") for word in sorted(stock_words()) if word]
    folded = "".join(rf"\x{{{code:x}}}" for code in range(128, 0x20000) if len(chr(code).casefold()) > 1)
    return rf"(?i)^[^a-z0-9]*(?:{'|'.join(known)})[^a-z]*$|^[^{LETTERS}]*$|[{folded}]"


def _sure(texts: pa.StringArray, may_be: str, certain: Callable[[str], bool]) -> np.ndarray:
    """`certain` of each text, asked only of those that the pattern lets pass."""
    found = np.zeros(len(texts), dtype=bool)
    rows = np.flatnonzero(_matches(texts, may_be))
    found[rows] = np.fromiter(map(certain, texts.take(pa.array(rows)).to_pylist()), dtype=bool, count=len(rows))
    return found


def _matches(texts: pa.StringArray, pattern: str) -> np.ndarray:
    return pc.match_substring_regex(texts, pattern).to_numpy(zero_copy_only=False)


def _bytes(texts: pa.StringArray) -> tuple[np.ndarray, np.ndarray]:
    """Offsets, from 0, and bytes of the texts."""
    _, places, data = texts.buffers()
    kind = np.int64 if pa.types.is_large_string(texts.type) else np.int32
    offsets: Any = np.frombuffer(places, dtype=kind)[texts.offset : texts.offset + len(texts) + 1]
    first, last = (int(offsets[0]), int(offsets[-1])) if len(texts) else (0, 0)
    held = np.frombuffer(data, dtype=np.uint8)[first:last] if data is not None else np.empty(0, dtype=np.uint8)
    return offsets - offsets[:1], held
