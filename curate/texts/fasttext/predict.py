"""fastText's first answer to each text of a buffer."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xxhash
from numba import njit

from curate.texts.fasttext.answers import NONE, Outputs, Search, exp32, first_answer
from curate.texts.fasttext.file import LABEL
from curate.texts.fasttext.memory import (
    add_rows,
    byte_at,
    dot_columns,
    float32_at,
    int32_at,
    int64_at,
    put_float32,
    put_int32,
    put_int64,
)
from curate.texts.fasttext.rows import (
    BASIS,
    BLOCK,
    EOS,
    UNKNOWN,
    Rows,
    find,
    hash_of,
    is_blank,
    mixed,
    ngrams,
    opening,
    push,
    rows_of_word,
)

EOS_HASH, SIGN = hash_of(EOS), -1 << 32
EOS_WORD, LABEL_WORD, LABEL_LAST = (int.from_bytes(part, "little") for part in (EOS, LABEL[:8], LABEL[8:]))


class Inputs(NamedTuple):
    """The input matrix: its address, its width with and without what fills it up, in columns."""

    matrix: int
    width: int
    dim: int


class Room(NamedTuple):
    """Addresses of what one text needs."""

    found: int
    """int32: rows that wait to be added up."""
    capacity: int
    added: int
    """int64: how many have been."""
    hashes: int
    """int64: of the tokens, where n-grams of words are wanted."""
    hidden: int
    products: int
    search: Search


@njit(forceinline=True, error_model="numpy")
def _word(text: int, start: int, n: int) -> int:
    """The n bytes there as a little-endian number."""
    word = 0
    for at in range(n):
        word |= byte_at(text, start + at) << (8 * at)
    return word


@njit(forceinline=True, error_model="numpy")
def _is_eos(text: int, start: int, end: int) -> bool:
    return end - start == 4 and _word(text, start, 4) == EOS_WORD


@njit(forceinline=True, error_model="numpy")
def _is_label(text: int, start: int, end: int) -> bool:
    return end - start >= 9 and byte_at(text, start + 8) == LABEL_LAST and _word(text, start, 8) == LABEL_WORD


@njit(forceinline=True, error_model="numpy")
def _add(inputs: Inputs, room: Room, n: int) -> None:
    for column in range(0, inputs.width, 16):
        add_rows(room.hidden + 4 * column, inputs.matrix + 4 * column, inputs.width, room.found, n)


@njit(forceinline=True, error_model="numpy")
def _make_room(inputs: Inputs, room: Room, n: int, wanted: int) -> int:
    """Adds up the rows found so far if there is no room for more; how many are left. Sums go on in the same order."""
    if n + wanted <= room.capacity:
        return n
    _add(inputs, room, n)
    put_int64(room.added, 0, int64_at(room.added, 0) + n)
    return 0


@njit(forceinline=True, error_model="numpy")
def _known(rows: Rows, inputs: Inputs, room: Room, number: int, n: int) -> int:
    """The rows of a word of the dictionary."""
    first, last = int64_at(rows.subword_ends, number), int64_at(rows.subword_ends, number + 1)
    n = _make_room(inputs, room, n, last - first)
    for at in range(first, last):
        put_int32(room.found, n + at - first, int32_at(rows.subwords, at))
    return n + last - first


@njit(forceinline=True, error_model="numpy")
def _unknown(rows: Rows, inputs: Inputs, room: Room, text: int, start: int, end: int, n: int) -> int:
    """The rows of a word that the dictionary lacks, block by block: words may be as long as texts."""
    for block in range(start, end, BLOCK):
        n = _make_room(inputs, room, n, BLOCK * (rows.max_chars + 2))
        if block == start:
            n = opening(rows, text, start, end, room.found, n)
        n = ngrams(rows, text, block, min(block + BLOCK, end), end, room.found, n)
    return n


@njit(forceinline=True, error_model="numpy")
def _of_words(rows: Rows, inputs: Inputs, room: Room, tokens: int, n: int) -> int:
    """The rows of n-grams of words, whose hashes count as signed."""
    for first in range(tokens):
        code = np.uint64(int64_at(room.hashes, first))
        for last in range(first + 1, min(first + rows.word_ngrams, tokens)):
            n = _make_room(inputs, room, n, 1)
            code = code * np.uint64(116049371) + np.uint64(int64_at(room.hashes, last))
            n = push(rows, np.int64(code % np.uint64(rows.n_buckets)), room.found, n)
    return n


@njit(forceinline=True, error_model="numpy")
def _sum_rows(rows: Rows, inputs: Inputs, room: Room, text: int, start: int, end: int) -> int:
    """Adds the rows of text[start:end] to the hidden vector; how many they are."""
    n, tokens, at, closed = 0, 0, start, False
    put_int64(room.added, 0, 0)
    while not closed:
        while at < end and is_blank(byte_at(text, at)):
            at += 1
        first, code = at, BASIS
        while at < end and not is_blank(byte_at(text, at)):
            code = mixed(code, byte_at(text, at))
            at += 1
        # The end of the line is a token of its own; where it stands in a text, the line ends there.
        closed = first == at or _is_eos(text, first, at)
        number, code = (rows.eos, EOS_HASH) if closed else (find(rows, text, first, at, code), code)
        if number >= rows.n_words or (number == UNKNOWN and _is_label(text, first, at)):
            continue
        if rows.word_ngrams > 1:
            put_int64(room.hashes, tokens, code | SIGN if code >> 31 else code)
            tokens += 1
        if number != UNKNOWN:
            n = _known(rows, inputs, room, number, n)
        elif rows.max_chars > 0 and not closed:
            n = _unknown(rows, inputs, room, text, first, at, n)
    n = _of_words(rows, inputs, room, tokens, n)
    _add(inputs, room, n)
    return int64_at(room.added, 0) + n


@njit(forceinline=True, error_model="numpy")
def _multiply(inputs: Inputs, outputs: Outputs, room: Room, n_rows: int) -> None:
    """Products of the mean of the rows with each output row."""
    share = np.float32(1.0 / n_rows)
    for column in range(inputs.dim):
        put_float32(room.hidden, column, float32_at(room.hidden, column) * share)
    for label in range(0, outputs.width, 64):
        dot_columns(room.products + 4 * label, outputs.columns + 4 * label, outputs.width, room.hidden, inputs.dim)
    if outputs.with_norms:
        for label in range(outputs.n_labels):
            put_float32(room.products, label, float32_at(room.products, label) * float32_at(outputs.norms, label))


@njit(error_model="numpy")
def _predict(
    rows: Rows, inputs: Inputs, outputs: Outputs, room: Room, text: int, offsets: Any, labels: Any, scores: Any
) -> None:
    for row in range(len(labels)):
        for column in range(inputs.width):
            put_float32(room.hidden, column, np.float32(0.0))
        n = _sum_rows(rows, inputs, room, text, offsets[row], offsets[row + 1])
        labels[row], scores[row] = NONE, np.float32(0.0)
        if n:
            _multiply(inputs, outputs, room, n)
            label, score = first_answer(outputs, room.products, room.search)
            if label != NONE:
                labels[row], scores[row] = label, exp32(score)


def _compiled(sources: str) -> tuple[Any, Any]:
    """The kernels that are called from outside. `sources` is part of what Numba looks a compiled function up by, as all that a
    function encloses is; by itself it takes the file of the function alone, and these contain those of other files."""

    def predict(
        rows: Rows, inputs: Inputs, outputs: Outputs, room: Room, text: int, offsets: Any, labels: Any, scores: Any
    ) -> None:
        """Writes the label (int16, NONE where there is no answer) and probability (float32) of each text.

        `text`: address of the bytes; `offsets`: int64, one more than there are texts. A newline in a text is a blank.
        """
        sources  # noqa: B018
        _predict(rows, inputs, outputs, room, text, offsets, labels, scores)

    def subwords(rows: Rows, number: int, found: int) -> int:
        """Writes to an address the rows of a word of the dictionary, int32; how many they are."""
        sources  # noqa: B018
        return rows_of_word(rows, number, found)

    return _kept(predict), _kept(subwords)


def _kept(kernel: Any) -> Any:
    try:
        return njit(cache=True, nogil=True)(kernel)
    except RuntimeError:  # Neither the package's folder nor the user's cache can be written.
        return njit(nogil=True)(kernel)


def _sources() -> str:
    return xxhash.xxh3_64_hexdigest(b"".join(file.read_bytes() for file in sorted(Path(__file__).parent.glob("*.py"))))


predict, subwords = _compiled(_sources())
