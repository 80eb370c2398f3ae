"""fastText's first answer to each text of a buffer."""

from typing import Any

import numpy as np
from numba import njit

from curate.concepts.fasttext.answers import NONE, Outputs, exp32, first_answer
from curate.concepts.fasttext.file import LABEL
from curate.concepts.fasttext.lanes import add_rows, dot_columns
from curate.concepts.fasttext.rows import BASIS, BLOCK, EOS, UNKNOWN, Rows, find, hash_of, is_blank, mixed, ngrams, opening, push

EOS_HASH = hash_of(np.frombuffer(EOS, dtype=np.uint8), 0, len(EOS))


@njit(inline="always")
def _is(text: Any, start: int, end: int, what: bytes) -> bool:
    """Whether text begins with some bytes there."""
    if end - start < len(what):
        return False
    for at in range(len(what)):
        if text[start + at] != what[at]:
            return False
    return True


@njit(inline="always")
def _add(inputs: Any, found: Any, n: int, hidden: Any) -> None:
    for column in range(0, inputs.shape[1], 16):
        first = np.uintp(4 * column)
        add_rows(hidden.ctypes.data + first, inputs.ctypes.data + first, inputs.strides[0], found.ctypes.data, n)


@njit(inline="always")
def _sum_rows(rows: Rows, inputs: Any, text: Any, start: int, end: int, found: Any, hashes: Any, hidden: Any) -> int:
    """Adds the rows of text[start:end] to `hidden`; how many they are. `found` and `hashes` are room for them."""
    inverse, full = 1.0 / max(rows.n_buckets, 1), len(found) - BLOCK * (rows.max_chars + 2)
    n, total, tokens, at, closed = 0, 0, 0, start, False
    while not closed:
        while at < end and is_blank(text[at]):
            at += 1
        first, code = at, BASIS
        while at < end and not is_blank(text[at]):
            code = mixed(code, np.int64(text[at]))
            at += 1
        # The line's end is a token of its own; one in the text ends the line before.
        if first == at:
            closed, number, code = True, rows.eos, EOS_HASH
        else:
            closed = at - first == 4 and _is(text, first, at, EOS)
            number = find(rows, text, first, at, code)
        if number >= rows.n_words or (number == UNKNOWN and not closed and _is(text, first, at, LABEL)):
            continue
        if len(hashes):
            hashes[tokens] = np.uint64(code) if code < 2**31 else np.uint64(code) | np.uint64(0xFFFFFFFF00000000)
            tokens += 1
        if number != UNKNOWN:
            subwords = rows.subwords[rows.subword_ends[number] : rows.subword_ends[number + 1]]
            if n + len(subwords) > len(found):
                _add(inputs, found, n, hidden)
                total, n = total + n, 0
            for subword in subwords:
                found[n] = subword
                n += 1
        elif not closed and rows.max_chars > 0:
            for block in range(first, at, BLOCK):
                if n > full:
                    _add(inputs, found, n, hidden)
                    total, n = total + n, 0
                if block == first:
                    n = opening(rows, text, first, at, found, n, inverse)
                n = ngrams(rows, text, block, min(block + BLOCK, at), at, found, n, inverse)
    for first in range(tokens):
        code = hashes[first]
        for last in range(first + 1, min(first + rows.word_ngrams, tokens)):
            if n > full:
                _add(inputs, found, n, hidden)
                total, n = total + n, 0
            code = code * np.uint64(116049371) + hashes[last]
            n = push(rows, np.int64(code % np.uint64(rows.n_buckets)), found, n)
    _add(inputs, found, n, hidden)
    return total + n


@njit(inline="always")
def _products(outputs: Outputs, dim: int, hidden: Any, n_rows: int, products: Any) -> None:
    """Of the mean of the rows with each output row."""
    share = np.float32(1.0 / n_rows)
    for column in range(dim):
        hidden[column] *= share
    for label in range(0, outputs.columns.shape[1], 16):
        first = np.uintp(4 * label)
        dot_columns(products.ctypes.data + first, outputs.columns.ctypes.data + first, outputs.columns.strides[0], hidden.ctypes.data, dim)
    for label in range(len(outputs.norms)):
        products[label] *= outputs.norms[label]


@njit(cache=True, nogil=True)
def predict(rows: Rows, inputs: Any, dim: int, outputs: Outputs, text: Any, offsets: Any, labels: Any, scores: Any) -> None:
    """Writes the label (int16, NONE where there is no answer) and probability (float32) of each text.

    `text`: uint8; `offsets`: int64, one more than there are texts. In them a newline is a blank.
    """
    longest = 0
    for row in range(len(labels)):
        longest = max(longest, offsets[row + 1] - offsets[row])
    found = np.empty(rows.capacity, dtype=np.int32)
    hashes = np.empty(longest // 2 + 2 if rows.word_ngrams > 1 else 0, dtype=np.uint64)
    hidden = np.empty(inputs.shape[1], dtype=np.float32)
    products = np.empty(outputs.columns.shape[1], dtype=np.float32)
    nodes = np.empty(2 * len(outputs.norms), dtype=np.int32)
    waiting = np.empty(2 * len(outputs.norms), dtype=np.float64)
    for row in range(len(labels)):
        hidden[:] = 0
        n = _sum_rows(rows, inputs, text, offsets[row], offsets[row + 1], found, hashes, hidden)
        labels[row], scores[row] = NONE, np.float32(0.0)
        if n:
            _products(outputs, dim, hidden, n, products)
            label, score = first_answer(outputs, products, nodes, waiting)
            if label != NONE:
                labels[row], scores[row] = label, exp32(score)
