"""From a text to rows of the input matrix, in fastText's order: words, their character n-grams, n-grams of words.

Numbers are int64 and hashes stay below 2**32, so that a product with FNV's prime never overflows. Text is an address too.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from curate.texts.fasttext.memory import byte_at, count_ones, int64_at, put_int32, remainder

EOS = b"</s>"
FEWEST_ROWS = 4096
BLOCK = 256
"""Characters of one token whose n-grams are found at once: what a token of any length needs of the buffer is bounded."""
BASIS, PRIME, MASK = 2166136261, 16777619, 0xFFFFFFFF
BLANKS = sum(1 << blank for blank in b" \n\r\t\v\f\0")
UNKNOWN = -1


class Rows(NamedTuple):
    """What tokens and n-grams are rows of. Kernels take it `addressed`."""

    slots: np.ndarray
    """int64, 2**k: hash table of words and labels, see `model`."""
    last_slot: int
    names: np.ndarray
    """uint8: words, then labels, end to end."""
    name_ends: np.ndarray
    """int64, shape (words + labels + 1,)."""
    n_words: int
    eos: int
    """Number of </s>, or UNKNOWN."""
    buckets: np.ndarray
    """int64: which buckets of pruned n-grams have a row, and where, see `model`."""
    n_buckets: int
    magic: int
    """For `remainder`s by n_buckets."""
    pruned: bool
    min_chars: int
    max_chars: int
    word_ngrams: int
    subwords: np.ndarray
    """int32: rows of each word, its own first."""
    subword_ends: np.ndarray
    """int64, shape (words + 1,)."""
    capacity: int
    """Rows that the buffer of a caller must hold: any word's, and a BLOCK's."""


@njit(forceinline=True)
def mixed(code: int, byte: int) -> int:
    """A step of FNV-1a as fastText has it: bytes above 127 count as negative."""
    return ((code ^ (((byte ^ 128) - 128) & MASK)) * PRIME) & MASK


@njit(forceinline=True)
def _continues(byte: int) -> bool:
    return byte & 0xC0 == 0x80


@njit(forceinline=True)
def is_blank(byte: int) -> bool:
    return byte <= 32 and (BLANKS >> byte) & 1 == 1


def hash_of(text: bytes) -> int:
    code = BASIS
    for byte in text:
        code = mixed.py_func(code, byte)
    return code


@njit(forceinline=True)
def find(rows: Rows, text: int, start: int, end: int, code: int) -> int:
    """The number of a word or label, or UNKNOWN."""
    slot = code & rows.last_slot
    entry = int64_at(rows.slots, slot)
    while entry >= 0:
        if entry >> 31 == code:
            number = entry & 0x7FFFFFFF
            first = int64_at(rows.name_ends, number)
            if int64_at(rows.name_ends, number + 1) - first == end - start:
                at = start
                while at < end and byte_at(rows.names, first + at - start) == byte_at(text, at):
                    at += 1
                if at == end:
                    return number
        slot = (slot + 1) & rows.last_slot
        entry = int64_at(rows.slots, slot)
    return UNKNOWN


@njit(forceinline=True)
def push(rows: Rows, bucket: int, found: int, n: int) -> int:
    """Adds the row of a bucket, if there is one; the new number of rows."""
    if not rows.pruned:
        put_int32(found, n, rows.n_words + bucket)
        return n + 1
    # Whether there is one nobody can foresee: it is written in either case, and then kept or not.
    word, bit = int64_at(rows.buckets, bucket >> 5), bucket & 31
    put_int32(found, n, rows.n_words + (word >> 32) + count_ones(word & ((1 << bit) - 1)))
    return n + ((word >> bit) & 1)


@njit(forceinline=True)
def _grown(rows: Rows, text: int, at: int, end: int, code: int, length: int, found: int, n: int) -> int:
    """N-grams that begin before `at` with `length` characters, hashed to `code`, and go on from there; `>` stands at the end."""
    while length < rows.max_chars:
        length += 1
        if at == end:
            if length >= rows.min_chars:
                n = push(rows, remainder(mixed(code, 62), rows.n_buckets, rows.magic), found, n)
            break
        code = mixed(code, byte_at(text, at))
        at += 1
        while at < end and _continues(byte_at(text, at)):
            code = mixed(code, byte_at(text, at))
            at += 1
        if length >= rows.min_chars:
            n = push(rows, remainder(code, rows.n_buckets, rows.magic), found, n)
    return n


@njit(forceinline=True)
def opening(rows: Rows, text: int, start: int, end: int, found: int, n: int) -> int:
    """N-grams of <token> that begin with its <."""
    code, at = mixed(BASIS, 60), start
    while at < end and _continues(byte_at(text, at)):
        code = mixed(code, byte_at(text, at))
        at += 1
    return _grown(rows, text, at, end, code, 1, found, n)


@njit(forceinline=True)
def ngrams(rows: Rows, text: int, first: int, last: int, end: int, found: int, n: int) -> int:
    """N-grams of <token>, which ends at `end`, that begin at bytes first to last."""
    for at in range(first, last):
        if not _continues(byte_at(text, at)):
            n = _grown(rows, text, at, end, BASIS, 0, found, n)
    return n


@njit(forceinline=True)
def rows_of_word(rows: Rows, number: int, found: int) -> int:
    """Writes the rows of a word of the dictionary; how many they are."""
    start, end = int64_at(rows.name_ends, number), int64_at(rows.name_ends, number + 1)
    put_int32(found, 0, number)
    n = 1
    if rows.max_chars > 0 and number != rows.eos:
        n = opening(rows, rows.names, start, end, found, n)
        n = ngrams(rows, rows.names, start, end, end, found, n)
    return n
