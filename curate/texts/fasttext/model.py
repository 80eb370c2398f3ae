"""A classifier as flat arrays, laid out for the kernels: rows of whole cache lines, labels side by side, one probe a look-up."""

from math import exp
from typing import NamedTuple

import numpy as np

from curate.texts.fasttext.answers import SIGMOID_LIMIT, SIGMOID_STEPS, Outputs, Search, exp32
from curate.texts.fasttext.file import HIERARCHICAL, LABEL, SOFTMAX, BadModel, Stored
from curate.texts.fasttext.memory import addressed, magic_of
from curate.texts.fasttext.predict import Inputs, Room, predict, subwords
from curate.texts.fasttext.rows import BLOCK, EOS, FEWEST_ROWS, Rows, hash_of

LANES = 16
"""Columns of the inputs are filled up with zeros to a multiple of these: 64 bytes."""
LABEL_LANES = 64


class Model(NamedTuple):
    labels: tuple[str, ...]
    inputs: np.ndarray
    """float32, shape (rows, dim filled up), each row at a cache line; norms multiplied in."""
    dim: int
    rows: Rows
    outputs: Outputs


def answer(model: Model, text: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first label of each text, int16, -1 where there is no answer, and its probability, float32, 0 there.

    `text`: uint8 in UTF-8; `offsets`: int64, where each text begins, and where the last ends.
    """
    rows, outputs, n = addressed(model.rows), addressed(model.outputs), len(model.labels)
    tokens = int(np.diff(offsets).max(initial=0)) // 2 + 2 if rows.word_ngrams > 1 else 0
    floats = [np.empty(size, np.float32) for size in (model.inputs.shape[1], outputs.width, n)]
    found, added, hashes = np.empty(rows.capacity, np.int32), np.empty(1, np.int64), np.empty(tokens, np.int64)
    nodes, waiting = np.empty(2 * n, np.int32), np.empty(2 * n, np.float64)
    hidden, products, rights = (part.ctypes.data for part in floats)
    search = Search(nodes.ctypes.data, waiting.ctypes.data, rights)
    room = Room(found.ctypes.data, rows.capacity, added.ctypes.data, hashes.ctypes.data, hidden, products, search)
    codes, scores = np.empty(len(offsets) - 1, dtype=np.int16), np.empty(len(offsets) - 1, dtype=np.float32)
    inputs = Inputs(model.inputs.ctypes.data, model.inputs.shape[1], model.dim)
    predict(rows, inputs, outputs, room, text.ctypes.data, offsets, codes, scores)
    return codes, scores


def build(stored: Stored) -> Model:
    """Raises BadModel for labels that are no UTF-8 or counts that make no tree."""
    try:
        labels = tuple(label.removeprefix(LABEL).decode() for label in stored.labels)
    except UnicodeDecodeError as error:
        raise BadModel(f"a label is no UTF-8: {error}") from None
    inputs, buckets = _kept(stored)
    return Model(labels, inputs, stored.settings.dim, _rows(stored, buckets), _outputs(stored))


def _filled(rows: int, columns: int, lanes: int) -> np.ndarray:
    """Zeros, float32, columns a multiple of `lanes`, the first at a cache line."""
    width = -(-columns // lanes) * lanes
    space = np.zeros((rows * width + LANES) * 4, dtype=np.uint8)
    start = -space.ctypes.data % 64
    return space[start : start + rows * width * 4].view(np.float32).reshape(rows, width)


def _kept(stored: Stored) -> tuple[np.ndarray, np.ndarray]:
    """The input matrix, rows of pruned n-grams in order of their buckets; and which buckets those are, as `Rows.buckets`.

    32 buckets share a word: one bit for each, and above them how many rows there are before.
    """
    n_words, values, norms = len(stored.words), stored.inputs.values, stored.inputs.norms
    chosen, buckets = np.arange(len(values)), np.zeros(0, dtype=np.int64)
    if stored.pruned is not None:
        place = dict(stored.pruned.tolist())
        order = np.array(sorted(place), dtype=np.int64)
        chosen = np.concatenate(
            [np.arange(n_words), n_words + np.array([place[bucket] for bucket in order.tolist()], dtype=np.int64)]
        )
        words = np.zeros(stored.settings.buckets // 32 + 1, dtype=np.int64)
        np.bitwise_or.at(words, order >> 5, np.int64(1) << (order & 31))
        before = np.searchsorted(order, np.arange(len(words)) * 32)
        buckets = words | before << 32
    inputs = _filled(len(chosen), values.shape[1], LANES)
    np.multiply(values[chosen], norms[chosen, None], out=inputs[:, : values.shape[1]])
    return inputs, buckets


def _rows(stored: Stored, buckets: np.ndarray) -> Rows:
    settings, names = stored.settings, stored.words + stored.labels
    place = {name: number for number, name in enumerate(names)}
    text = np.frombuffer(b"".join(names) + b"\0", dtype=np.uint8)
    ends = np.cumsum([0] + [len(name) for name in names])
    slots = _slots(place)
    plain = Rows(
        slots=slots,
        last_slot=len(slots) - 1,
        names=text,
        name_ends=ends,
        n_words=len(stored.words),
        eos=place.get(EOS, -1),
        buckets=buckets,
        n_buckets=settings.buckets,
        magic=magic_of(max(settings.buckets, 1)),
        pruned=stored.pruned is not None,
        min_chars=settings.min_chars,
        max_chars=settings.max_chars,
        word_ngrams=settings.word_ngrams,
        subwords=np.zeros(0, dtype=np.int32),
        subword_ends=np.zeros(0, dtype=np.int64),
        capacity=0,
    )
    lists = _subwords(plain)
    capacity = max(FEWEST_ROWS, *(len(rows) for rows in lists)) + BLOCK * (settings.max_chars + 2)
    ends = np.cumsum([len(rows) for rows in lists])
    return plain._replace(subwords=np.concatenate(lists), subword_ends=ends, capacity=capacity)


def _subwords(rows: Rows) -> list[np.ndarray]:
    """The rows of each word, behind an empty list."""
    longest = int(np.diff(rows.name_ends[: rows.n_words + 1]).max(initial=0))
    found = np.empty((longest + 2) * (rows.max_chars + 1) + 1, dtype=np.int32)
    inside, lists = addressed(rows), [np.empty(0, dtype=np.int32)]
    for number in range(rows.n_words):
        lists.append(found[: subwords(inside, number, found.ctypes.data)].copy())
    return lists


def _slots(place: dict[bytes, int]) -> np.ndarray:
    """Open addressing: hash above, number below; -1 is free. Of names that repeat, the last counts."""
    slots = [-1] * (1 << (2 * len(place) + 1).bit_length())
    for name, number in place.items():
        code = hash_of(name)
        slot = code & (len(slots) - 1)
        while slots[slot] >= 0:
            slot = (slot + 1) & (len(slots) - 1)
        slots[slot] = code << 31 | number
    return np.array(slots, dtype=np.int64)


def _outputs(stored: Stored) -> Outputs:
    values, norms = stored.outputs.values, stored.outputs.norms
    columns = _filled(values.shape[1], len(values), LABEL_LANES)
    columns[:, : len(values)] = values.T
    tree = stored.settings.loss == HIERARCHICAL
    children = _huffman(stored.counts) if tree else np.full((len(values), 2), -1, dtype=np.int32)
    paths = _paths(children, len(values)) if tree else [[] for _ in values]
    lengths = [len(path) for path in paths]
    return Outputs(
        columns=columns,
        with_norms=bool((norms != 1).any()),
        norms=np.ascontiguousarray(norms),
        children=children,
        paths=np.array([step for path in paths for step in path], dtype=np.int32),
        path_ends=np.cumsum([0, *lengths]),
        sigmoid=_sigmoid() if stored.settings.loss != SOFTMAX else np.zeros(1, dtype=np.float32),
        width=columns.shape[1],
        n_labels=len(values),
        loss=stored.settings.loss,
        slack=exp(4e-5 * max(lengths) + 1e-4),
    )


def _huffman(counts: list[int]) -> np.ndarray:
    """fastText's tree over labels that are sorted by falling count; ties go to inner nodes."""
    n = len(counts)
    sizes, children = [*counts, *[10**15] * (n - 1)], np.full((2 * n - 1, 2), -1, dtype=np.int32)
    leaf, node = n - 1, n
    for parent in range(n, 2 * n - 1):
        for side in range(2):
            if leaf >= 0 and sizes[leaf] < sizes[node]:
                children[parent, side], leaf = leaf, leaf - 1
            else:
                children[parent, side], node = node, node + 1
            if children[parent, side] >= parent:
                raise BadModel(f"counts of {n} labels that make no tree, the largest {max(counts)}")
        sizes[parent] = sum(sizes[child] for child in children[parent])
    return children


def _paths(children: np.ndarray, n: int) -> list[list[int]]:
    """For each label the steps from the root to its leaf, as `Outputs.paths`."""
    above = {int(child): 2 * inner + side for inner in range(n - 1) for side, child in enumerate(children[n + inner])}
    paths = []
    for label in range(n):
        path, node = [], label
        while node in above:
            path.append(above[node])
            node = n + above[node] // 2
        paths.append(path[::-1])
    return paths


def _sigmoid() -> np.ndarray:
    steps = np.arange(SIGMOID_STEPS + 1) * 2 * SIGMOID_LIMIT
    x = steps.astype(np.float32) / np.float32(SIGMOID_STEPS) - np.float32(SIGMOID_LIMIT)
    return np.array([1.0 / (1.0 + float(exp32(-value))) for value in x], dtype=np.float32)
