"""Files of fastText's classifiers, plain (.bin) and quantised (.ftz), as their writer lays them out, versions 11 and 12.

A file may come from anywhere: no size in it is believed before it is held against the bytes that are there.
"""

from typing import NamedTuple

import numpy as np

MAGIC, VERSIONS = 793712314, (11, 12)
SUPERVISED, HIERARCHICAL, NEGATIVE, SOFTMAX, ONE_VS_ALL = 3, 1, 2, 3, 4
CENTROIDS = 256
"""Of each part of a row; one byte says which."""
LONGEST_NGRAM, LONGEST_WORD, MOST_LABELS, MOST_BUCKETS = 16, 2**16, 2**15 - 1, 2**27
LARGEST = 1e15
WIDEST_PART = 16
"""Values that one code may stand for: what a file unfolds to is bounded by its own size."""
LABEL = b"__label__"


class BadModel(ValueError):
    """What is wrong with a model file."""


class Settings(NamedTuple):
    """The settings that a model was trained with, in the file's order."""

    dim: int
    window: int
    epochs: int
    min_count: int
    negatives: int
    word_ngrams: int
    loss: int
    kind: int
    buckets: int
    min_chars: int
    max_chars: int
    update_rate: int


class Matrix(NamedTuple):
    """Rows, float32 of shape (rows, columns), before their norms, float32; 1 where the file keeps none."""

    values: np.ndarray
    norms: np.ndarray
    quantised: bool


class Stored(NamedTuple):
    """What a file holds. `pruned` maps n-gram buckets to rows behind the words', int32 of shape (n, 2), or is None."""

    settings: Settings
    words: list[bytes]
    labels: list[bytes]
    counts: list[int]
    """Of the labels."""
    pruned: np.ndarray | None
    inputs: Matrix
    outputs: Matrix


class _Reader:
    def __init__(self, data: bytes):
        self.data, self.at = data, 0

    def take(self, dtype: str, count: int, what: str) -> np.ndarray:
        """The next values, as a view."""
        size, left = count * np.dtype(dtype).itemsize, len(self.data) - self.at
        if count < 0 or size > left:
            raise BadModel(f"{what}: {count} values need {size} bytes, and {left} are left at byte {self.at}")
        self.at += size
        return np.frombuffer(self.data, dtype, count, self.at - size)

    def number(self, dtype: str, what: str) -> int:
        return int(self.take(dtype, 1, what)[0])

    def string(self, what: str) -> bytes:
        end = self.data.find(b"\0", self.at)
        if end < 0:
            raise BadModel(f"{what}: no end before the file's")
        start, self.at = self.at, end + 1
        return self.data[start:end]


def parse(data: bytes) -> Stored:
    """A model from its file's bytes. Raises BadModel for what is none, is cut short or contradicts itself."""
    reader = _Reader(data)
    settings = _settings(reader)
    words, labels, counts, pruned = _dictionary(reader)
    quantised = bool(reader.number("u1", "mark of quantised inputs"))
    inputs = _quantised(reader, "inputs") if quantised else _plain(reader, "inputs")
    quantised_out = bool(reader.number("u1", "mark of quantised outputs"))
    outputs = _quantised(reader, "outputs") if quantised and quantised_out else _plain(reader, "outputs")
    if pruned is not None and not quantised:
        raise BadModel("n-grams are pruned and the inputs are not quantised: no version of fastText reads that")
    stored = Stored(settings, words, labels, counts, pruned, inputs, outputs)
    _consistent(stored)
    return stored


def _settings(reader: _Reader) -> Settings:
    magic, version = reader.number("<i4", "magic number"), reader.number("<i4", "version")
    if magic != MAGIC or version not in VERSIONS:
        raise BadModel(f"magic number {magic}, version {version}; a model has {MAGIC}, {VERSIONS}")
    settings = Settings(*reader.take("<i4", 12, "settings").tolist())
    reader.number("<f8", "sampling threshold")
    if settings.kind != SUPERVISED:
        raise BadModel(f"model kind {settings.kind}: word vectors, no classifier ({SUPERVISED})")
    if settings.loss not in (HIERARCHICAL, NEGATIVE, SOFTMAX, ONE_VS_ALL):
        raise BadModel(f"loss {settings.loss} is not one of 1 to 4")
    if settings.word_ngrams > LONGEST_NGRAM:
        raise BadModel(f"n-grams of {settings.word_ngrams} words; limit {LONGEST_NGRAM}")
    if not 0 <= settings.min_chars <= LONGEST_NGRAM or not 0 <= settings.max_chars <= LONGEST_NGRAM:
        raise BadModel(f"n-grams of {settings.min_chars} to {settings.max_chars} characters; limit {LONGEST_NGRAM}")
    # Version 11 wrote the numbers, and its classifiers had no character n-grams.
    return settings._replace(max_chars=0) if version == VERSIONS[0] else settings


def _dictionary(reader: _Reader) -> tuple[list[bytes], list[bytes], list[int], np.ndarray | None]:
    size, n_words, n_labels = reader.take("<i4", 3, "sizes of the dictionary").tolist()
    reader.number("<i8", "tokens")
    n_pruned = reader.number("<i8", "number of pruned n-grams")
    if n_words < 0 or not 0 < n_labels <= MOST_LABELS or size != n_words + n_labels:
        raise BadModel(f"dictionary of {size}: {n_words} words and {n_labels} labels (1 to {MOST_LABELS})")
    names, counts = [], []
    for entry in range(size):
        names.append(reader.string(f"entry {entry} of {size}"))
        if len(names[-1]) > LONGEST_WORD:
            raise BadModel(f"entry {entry} of {size} has {len(names[-1])} bytes; limit {LONGEST_WORD}")
        counts.append(reader.number("<i8", f"count of entry {entry}"))
        if reader.number("i1", f"kind of entry {entry}") != (entry >= n_words):
            raise BadModel(f"entry {entry} of {size}: the first {n_words} are words, the others labels")
    pruned = reader.take("<i4", 2 * n_pruned, "pruned n-grams").reshape(-1, 2) if n_pruned >= 0 else None
    return names[:n_words], names[n_words:], counts[n_words:], pruned


def _shape(reader: _Reader, what: str) -> tuple[int, int]:
    rows, columns = reader.take("<i8", 2, f"shape of the {what}").tolist()
    if rows <= 0 or columns <= 0:
        raise BadModel(f"{what}: shape ({rows}, {columns})")
    return rows, columns


def _plain(reader: _Reader, what: str) -> Matrix:
    rows, columns = _shape(reader, what)
    values = reader.take("<f4", rows * columns, what).reshape(rows, columns)
    return Matrix(values, np.ones(rows, dtype=np.float32), False)


def _quantised(reader: _Reader, what: str) -> Matrix:
    with_norms = bool(reader.number("u1", f"mark of norms of the {what}"))
    rows, columns = _shape(reader, what)
    codes = reader.take("u1", reader.number("<i4", f"codes of the {what}"), f"codes of the {what}")
    values = _decoded(reader, codes, rows, columns, what)
    norms = np.ones(rows, dtype=np.float32)
    if with_norms:
        codes = reader.take("u1", rows, f"codes of the norms of the {what}")
        norms = _decoded(reader, codes, rows, 1, f"norms of the {what}")[:, 0]
    return Matrix(values, norms, True)


def _decoded(reader: _Reader, codes: np.ndarray, rows: int, columns: int, what: str) -> np.ndarray:
    """Rows from their codes and the centroids of each part of a row; the last part may be narrower."""
    dim, parts, width, last = reader.take("<i4", 4, f"quantiser of the {what}").tolist()
    if dim != columns or not 0 < last <= width <= WIDEST_PART or parts <= 0 or (parts - 1) * width + last != dim:
        raise BadModel(
            f"{what}: {columns} columns from {parts} parts of {width} and {last} of {dim} (widest: {WIDEST_PART})"
        )
    if len(codes) != rows * parts:
        raise BadModel(f"{what}: {len(codes)} codes for {rows} rows of {parts} parts")
    centroids = reader.take("<f4", dim * CENTROIDS, f"centroids of the {what}")
    values = np.empty((rows, dim), dtype=np.float32)
    for part, column in enumerate(range(0, dim, width)):
        end = min(column + width, dim)
        table = centroids[column * CENTROIDS : end * CENTROIDS].reshape(CENTROIDS, end - column)
        values[:, column:end] = table[codes[part::parts]]
    return values


def _consistent(stored: Stored) -> None:
    settings, (inputs, outputs) = stored.settings, (stored.inputs.values, stored.outputs.values)
    ngrams = settings.max_chars > 0 or settings.word_ngrams > 1
    behind = len(inputs) - len(stored.words)
    if inputs.shape[1] != settings.dim or outputs.shape != (len(stored.labels), settings.dim):
        raise BadModel(
            f"inputs {inputs.shape}, outputs {outputs.shape} for {len(stored.labels)} labels, dimension {settings.dim}"
        )
    if settings.buckets < ngrams:
        raise BadModel(f"n-grams in {settings.buckets} buckets")
    if stored.pruned is None:
        if behind < (settings.buckets if ngrams else 0):
            raise BadModel(f"inputs of {len(inputs)} rows for {len(stored.words)} words and {settings.buckets} buckets")
    else:
        _consistent_pruning(stored.pruned, settings.buckets, behind)
    for matrix, what in ((stored.inputs, "inputs"), (stored.outputs, "outputs")):
        # So no sum or product of them overflows. Without a copy of a matrix that may be large; NaN is not below either.
        high = max(float(matrix.values.max()), -float(matrix.values.min()))
        if not high * max(1.0, float(np.abs(matrix.norms).max())) < LARGEST:
            raise BadModel(f"{what}: values that are not below {LARGEST:g}")


def _consistent_pruning(pruned: np.ndarray, buckets: int, rows: int) -> None:
    if buckets > MOST_BUCKETS:
        raise BadModel(f"pruned n-grams in {buckets} buckets; limit {MOST_BUCKETS}")
    if len(pruned) and (pruned.min() < 0 or pruned[:, 0].max() >= buckets or pruned[:, 1].max() >= rows):
        raise BadModel(f"pruned n-grams outside their {buckets} buckets or {rows} rows")
