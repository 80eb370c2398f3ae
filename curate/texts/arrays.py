"""Texts of whole Arrow columns at once: their words, and whether each is a file's name or a stock word.

Python's own `split`, `re` and `casefold` say what each answer is. They are asked only where arithmetic on bytes, or RE2 with a
pattern that holds at least what Python's does, cannot say no: on a text of ASCII letters, RE2's classes are Python's.
"""

import re
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.texts.stock import is_boilerplate, is_file_name, stock_words

_BLANKS = r"[\x09-\x0d\x1c-\x20]"
"""The ASCII characters at which `str.split` splits; RE2's \\s leaves five of them out."""


def words(texts: pa.StringArray) -> np.ndarray:
    """len(text.split()) of each text, int32: words are parted by white space as Unicode knows it. No nulls."""
    offsets, data = _bytes(texts)
    # 9 to 13 and 28 to 32, by the wrap of unsigned bytes; it is what `_BLANKS` says.
    blank = (data - np.uint8(9) < 5) | (data - np.uint8(28) < 5)
    begins = ~blank
    # A word begins where no blank is and one was before, or the text begins.
    begins[1:] &= blank[:-1]
    first = offsets[:-1][offsets[:-1] < offsets[1:]]
    begins[first] = ~blank[first]
    before = np.zeros(len(data) + 1, dtype=np.int32)
    np.cumsum(begins, out=before[1:])
    counts = np.diff(before[offsets])
    for row in np.flatnonzero(~_ascii(texts)):
        counts[row] = len(texts[row].as_py().split())
    return counts


_MAY_BE_FILE_NAME = (
    rf"(?i)^{_BLANKS}*(?:[^\x09-\x0d\x1c-\x20]+\.[a-z0-9]{{2,4}}(?:[?#]|{_BLANKS}|$)"
    r"|[a-z]{0,5}[-_]?[0-9]|_?[a-z]{2,4}[-_ ]+[0-9a-z_]*[0-9]|screen|whatsapp|bildschirmfoto|captura)"
)


def file_name(texts: pa.StringArray) -> np.ndarray:
    """Whether each text is a file's name, a camera's counter, or nothing but digits; bool."""
    return _sure(texts, pc.match_substring_regex(texts, _MAY_BE_FILE_NAME), is_file_name)


def boilerplate(texts: pa.StringArray) -> np.ndarray:
    """Whether each text is a stock word (`boilerplate.txt`), with or without a number, or made of marks alone; bool."""
    return _sure(texts, pc.match_substring_regex(texts, _may_be_stock()), is_boilerplate)


@cache
def _may_be_stock() -> str:
    known = sorted(
        re.escape(word).replace(r"\ ", r"[\x09-\x0d\x1c-\x20_-]+") for word in stock_words() if word.isascii()
    )
    return rf"(?i)^[^a-z0-9]*(?:{'|'.join(known)})[^a-z]*$"


def _sure(texts: pa.StringArray, may_be: pa.BooleanArray, certain: Callable[[str], bool]) -> np.ndarray:
    """`certain` of each text, asked only of those that may be it, and of those with letters that are not ASCII."""
    found = np.zeros(len(texts), dtype=bool)
    rows = np.flatnonzero(may_be.to_numpy(zero_copy_only=False) | ~_ascii(texts))
    found[rows] = np.fromiter(map(certain, texts.take(pa.array(rows)).to_pylist()), dtype=bool, count=len(rows))
    return found


def _ascii(texts: pa.StringArray) -> np.ndarray:
    return pc.string_is_ascii(texts).to_numpy(zero_copy_only=False)


def _bytes(texts: pa.StringArray) -> tuple[np.ndarray, np.ndarray]:
    """Offsets, from 0, and bytes of the texts."""
    _, places, data = texts.buffers()
    kind = np.int64 if pa.types.is_large_string(texts.type) else np.int32
    offsets: Any = np.frombuffer(places, dtype=kind)[texts.offset : texts.offset + len(texts) + 1]
    first, last = (int(offsets[0]), int(offsets[-1])) if len(texts) else (0, 0)
    held = np.frombuffer(data, dtype=np.uint8)[first:last] if data is not None else np.empty(0, dtype=np.uint8)
    return offsets - offsets[:1], held
