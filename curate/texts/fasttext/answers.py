"""From the products of a hidden vector with the output rows to the first answer: its label and the log of its probability.

float32 and float64 stand where fastText's C++ has them. Among answers of one score the last that it looks at comes first.
"""

from math import exp, log
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from curate.texts.fasttext.file import HIERARCHICAL, SOFTMAX
from curate.texts.fasttext.memory import (
    float32_at,
    float64_at,
    int32_at,
    int64_at,
    put_float32,
    put_float64,
    put_int32,
)

SIGMOID_STEPS, SIGMOID_LIMIT = 512, 8
NONE = -1


class Outputs(NamedTuple):
    """From a hidden vector to a label. Kernels take it `addressed`."""

    columns: np.ndarray
    """float32, shape (dim, labels filled up): the output matrix, transposed, before the norms."""
    with_norms: bool
    norms: np.ndarray
    """float32, shape (labels,): factors of the products, all 1 without norms."""
    children: np.ndarray
    """int32, shape (2 * labels - 1, 2): left and right of a node of the Huffman tree; its leaves come first."""
    paths: np.ndarray
    """int32: for each label, from the root, the inner node times two, plus one where the path goes right."""
    path_ends: np.ndarray
    """int64, shape (labels + 1,)."""
    sigmoid: np.ndarray
    """float32: fastText's table."""
    width: int
    """Of `columns`."""
    n_labels: int
    loss: int
    slack: float
    """By what factor a leaf's probability may exceed a node's above it, roundings and fastText's 1e-5 in logs included."""


class Search(NamedTuple):
    """Addresses of room for a search of the tree."""

    nodes: int
    """int32, and float64 their scores: a stack, of at most twice as many values as there are labels."""
    scores: int
    rights: int
    """float32: of the inner nodes that the search came by, the probability of the right branch."""


@njit(forceinline=True, error_model="numpy")
def exp32(x: Any) -> Any:
    return np.float32(exp(np.float32(x)))


@njit(forceinline=True, error_model="numpy")
def _log32(x: Any) -> Any:
    """fastText's log: of a float32, never below that of 1e-5, and above 0 at 1."""
    return np.float32(log(np.float64(x) + 1e-5))


@njit(forceinline=True, error_model="numpy")
def _right(product: Any) -> Any:
    """The probability of a node's right branch."""
    return np.float32(1.0 / np.float64(np.float32(1.0) + exp32(-product)))


@njit(forceinline=True, error_model="numpy")
def _left(right: Any) -> Any:
    return np.float32(1.0 - np.float64(right))


@njit(forceinline=True, error_model="numpy")
def _wait(search: Search, n: int, node: int, score: float) -> int:
    """Puts a node on top of a stack of n; its new height."""
    put_int32(search.nodes, n, node)
    put_float64(search.scores, n, np.float64(score))
    return n + 1


@njit(forceinline=True, error_model="numpy")
def _log_probability(outputs: Outputs, search: Search, label: int) -> Any:
    """Of a leaf that a search has been to."""
    score = np.float32(0.0)
    for at in range(int64_at(outputs.path_ends, label), int64_at(outputs.path_ends, label + 1)):
        step = int32_at(outputs.paths, at)
        right = float32_at(search.rights, step >> 1)
        score = np.float32(score + _log32(right if step & 1 else _left(right)))
    return score


@njit(error_model="numpy")
def depth_first(outputs: Outputs, products: int, search: Search) -> Any:
    """fastText's own search of the tree, left before right, which cuts what is below the best leaf so far.

    It cuts what is below 1e-5 too, which the likeliest of MOST_LABELS labels cannot be.
    """
    n_labels, best, best_score = outputs.n_labels, NONE, np.float32(0.0)
    n = _wait(search, 0, 2 * n_labels - 2, 0.0)
    while n:
        n -= 1
        node, score = int32_at(search.nodes, n), np.float32(float64_at(search.scores, n))
        if best != NONE and score < best_score:
            continue
        if node < n_labels:
            best, best_score = node, score
            continue
        right = _right(float32_at(products, node - n_labels))
        n = _wait(search, n, int32_at(outputs.children, 2 * node + 1), np.float32(score + _log32(right)))
        n = _wait(search, n, int32_at(outputs.children, 2 * node), np.float32(score + _log32(_left(right))))
    return best, best_score


@njit(forceinline=True, error_model="numpy")
def _clear_winner(outputs: Outputs, products: int, search: Search) -> int:
    """The leaf that is more probable than any other by more than `slack`, or NONE when there may be none.

    Likelier branches go first, so few nodes are seen and no log is taken. What wins so clearly wins in any order.
    """
    n_labels, best, best_score, second = outputs.n_labels, NONE, 0.0, 0.0
    n = _wait(search, 0, 2 * n_labels - 2, 1.0)
    while n:
        n -= 1
        node, score = int32_at(search.nodes, n), float64_at(search.scores, n)
        while node >= n_labels and score * outputs.slack >= best_score:
            product = float32_at(products, node - n_labels)
            right, side = _right(product), np.int64(product >= 0)
            put_float32(search.rights, node - n_labels, right)
            likelier = max(np.float64(right), 1.0 - np.float64(right))
            n = _wait(search, n, int32_at(outputs.children, 2 * node + 1 - side), score * (1.0 - likelier + 1e-5))
            node, score = int32_at(outputs.children, 2 * node + side), score * (likelier + 1e-5)
        if node < n_labels:
            if score > best_score:
                best, best_score, second = node, score, best_score
            else:
                second = max(second, score)
    return best if second * outputs.slack < best_score else NONE


@njit(forceinline=True, error_model="numpy")
def _likeliest(probabilities: int, n: int) -> Any:
    """fastText compares logs: those of tiny or nearly equal probabilities may be one number."""
    highest = np.float32(0.0)
    for label in range(n):
        highest = max(highest, float32_at(probabilities, label))
    near, best, best_score = (np.float64(highest) + 1e-5) * 0.999 - 1e-5, NONE, np.float32(0.0)
    for label in range(n):
        if float32_at(probabilities, label) >= near:
            score = _log32(float32_at(probabilities, label))
            if best == NONE or score >= best_score:
                best, best_score = label, score
    return best, best_score


@njit(forceinline=True, error_model="numpy")
def _softmax(products: int, n: int) -> None:
    highest, total = float32_at(products, 0), np.float32(0.0)
    for label in range(n):
        highest = max(highest, float32_at(products, label))
    for label in range(n):
        put_float32(products, label, np.float32(exp(np.float64(np.float32(float32_at(products, label) - highest)))))
        total = np.float32(total + float32_at(products, label))
    for label in range(n):
        put_float32(products, label, np.float32(float32_at(products, label) / total))


@njit(forceinline=True, error_model="numpy")
def _tabled_sigmoid(outputs: Outputs, x: Any) -> Any:
    if x > SIGMOID_LIMIT:
        return np.float32(1.0)
    if not x >= -SIGMOID_LIMIT:
        return np.float32(0.0)
    shifted = np.float32(x + np.float32(SIGMOID_LIMIT))
    return float32_at(
        outputs.sigmoid, np.int64(np.float32(shifted * np.float32(SIGMOID_STEPS)) / np.float32(2 * SIGMOID_LIMIT))
    )


@njit(error_model="numpy")
def first_answer(outputs: Outputs, products: int, search: Search) -> Any:
    """Label and log of its probability, float32; NONE where fastText has no answer. Overwrites `products`."""
    n = outputs.n_labels
    if outputs.loss == HIERARCHICAL:
        winner = _clear_winner(outputs, products, search)
        if winner == NONE:
            return depth_first(outputs, products, search)
        return winner, _log_probability(outputs, search, winner)
    if outputs.loss == SOFTMAX:
        _softmax(products, n)
    else:
        for label in range(n):
            put_float32(products, label, _tabled_sigmoid(outputs, float32_at(products, label)))
    return _likeliest(products, n)
