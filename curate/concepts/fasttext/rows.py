"""From a text to rows of the input matrix, in fastText's order: words, their character n-grams, n-grams of words.

Numbers are int64 and hashes stay below 2**32, so that a product with FNV's prime never overflows.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit

EOS = b"</s>"
FEWEST_ROWS = 4096
BLOCK = 256
"""Characters of one token whose n-grams are found at once: what a token of any length needs of the buffer is bounded."""
BASIS, PRIME, MASK = 2166136261, 16777619, 0xFFFFFFFF
BLANKS = sum(1 << blank for blank in b" \n\r\t\v\f\0")
UNKNOWN = -1


class Rows(NamedTuple):
    slots: np.ndarray
    """int64: hash table of words and labels, see `model`."""
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


@njit(inline="always")
def mixed(code: int, byte: int) -> int:
    """A step of FNV-1a as fastText has it: bytes above 127 count as negative."""
    return ((code ^ (((byte ^ 128) - 128) & MASK)) * PRIME) & MASK


@njit(inline="always")
def _continues(byte: int) -> bool:
    return byte & 0xC0 == 0x80


@njit(inline="always")
def is_blank(byte: int) -> bool:
    return byte <= 32 and (BLANKS >> byte) & 1 == 1


@njit(cache=True, nogil=True)
def hash_of(text: Any, start: int, end: int) -> int:
    code = BASIS
    for at in range(start, end):
        code = mixed(code, np.int64(text[at]))
    return code


@njit(inline="always")
def find(rows: Rows, text: Any, start: int, end: int, code: int) -> int:
    """The number of a word or label, or UNKNOWN."""
    mask = len(rows.slots) - 1
    slot = code & mask
    while rows.slots[slot] >= 0:
        if rows.slots[slot] >> 31 == code:
            number = rows.slots[slot] & 0x7FFFFFFF
            first = rows.name_ends[number]
            if rows.name_ends[number + 1] - first == end - start:
                at = 0
                while at < end - start and rows.names[first + at] == text[start + at]:
                    at += 1
                if at == end - start:
                    return number
        slot = (slot + 1) & mask
    return UNKNOWN


@njit(inline="always")
def _popcount(word: int) -> int:
    word = word - ((word >> 1) & 0x55555555)
    word = (word & 0x33333333) + ((word >> 2) & 0x33333333)
    word = (word + (word >> 4)) & 0x0F0F0F0F
    return ((word * 0x01010101) & MASK) >> 24


@njit(inline="always")
def push(rows: Rows, bucket: int, found: Any, n: int) -> int:
    """Adds the row of a bucket, if there is one; the new number of rows. Writes in either case, which costs no branch."""
    if not rows.pruned:
        found[n] = rows.n_words + bucket
        return n + 1
    if len(rows.buckets) == 0:
        return n
    word = rows.buckets[bucket >> 5]
    bit = bucket & 31
    found[n] = rows.n_words + (word >> 32) + _popcount(word & ((1 << bit) - 1))
    return n + ((word >> bit) & 1)


@njit(inline="always")
def _bucket(code: int, n_buckets: int, inverse: float) -> int:
    """code % n_buckets for codes below 2**32: the quotient is off by one at most."""
    rest = code - np.int64(code * inverse) * n_buckets
    if rest < 0:
        rest += n_buckets
    elif rest >= n_buckets:
        rest -= n_buckets
    return rest


@njit(inline="always")
def _grown(rows: Rows, text: Any, at: int, end: int, code: int, length: int, found: Any, n: int, inverse: float) -> int:
    """N-grams that begin before `at` with `length` characters, hashed to `code`, and go on from there; `>` stands at the end."""
    while length < rows.max_chars:
        length += 1
        if at == end:
            if length >= rows.min_chars:
                n = push(rows, _bucket(mixed(code, 62), rows.n_buckets, inverse), found, n)
            break
        code = mixed(code, np.int64(text[at]))
        at += 1
        while at < end and _continues(text[at]):
            code = mixed(code, np.int64(text[at]))
            at += 1
        if length >= rows.min_chars:
            n = push(rows, _bucket(code, rows.n_buckets, inverse), found, n)
    return n


@njit(inline="always")
def opening(rows: Rows, text: Any, start: int, end: int, found: Any, n: int, inverse: float) -> int:
    """N-grams of <token> that begin with its <."""
    code, at = mixed(BASIS, 60), start
    while at < end and _continues(text[at]):
        code = mixed(code, np.int64(text[at]))
        at += 1
    return _grown(rows, text, at, end, code, 1, found, n, inverse)


@njit(inline="always")
def ngrams(rows: Rows, text: Any, first: int, last: int, end: int, found: Any, n: int, inverse: float) -> int:
    """N-grams of <token>, which ends at `end`, that begin at bytes first to last."""
    for at in range(first, last):
        if not _continues(text[at]):
            n = _grown(rows, text, at, end, BASIS, 0, found, n, inverse)
    return n


@njit(cache=True, nogil=True)
def _fill(rows: Rows, number: int, found: Any) -> int:
    """The rows of a word."""
    start, end = rows.name_ends[number], rows.name_ends[number + 1]
    found[0], n, inverse = number, 1, 1.0 / max(rows.n_buckets, 1)
    if rows.max_chars > 0 and number != rows.eos:
        n = opening(rows, rows.names, start, end, found, n, inverse)
        n = ngrams(rows, rows.names, start, end, end, found, n, inverse)
    return n


def subwords_of(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """`subwords` and `subword_ends` of all words."""
    lengths = np.diff(rows.name_ends[: rows.n_words + 1])
    found = np.empty((int(lengths.max(initial=0)) + 2) * (rows.max_chars + 1) + 1, dtype=np.int32)
    lists = [np.empty(0, dtype=np.int32)]
    for number in range(rows.n_words):
        lists.append(found[: _fill(rows, number, found)].copy())
    return np.concatenate(lists), np.cumsum([len(rows) for rows in lists])
