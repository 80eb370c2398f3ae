"""From the products of a hidden vector with the output rows to the first answer: its label and the log of its probability.

float32 and float64 stand where fastText's C++ has them. Among answers of one score the last that it looks at comes first.
"""

from math import exp, log
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from curate.concepts.fasttext.file import HIERARCHICAL, SOFTMAX

SIGMOID_STEPS, SIGMOID_LIMIT = 512, 8
NONE = -1
UNLIKELY = 2e-5
"""fastText cuts branches below 1e-5. What is well above cannot be cut."""


class Outputs(NamedTuple):
    """From a hidden vector to a label."""

    columns: np.ndarray
    """float32, shape (dim, labels filled up): the output matrix, transposed, before the norms."""
    norms: np.ndarray
    """float32, shape (labels,)."""
    children: np.ndarray
    """int32, shape (2 * labels - 1, 2): left and right of a node of the Huffman tree; its leaves come first."""
    paths: np.ndarray
    """int32: for each label, from the root, the inner node times two, plus one where the path goes right."""
    path_ends: np.ndarray
    """int64, shape (labels + 1,)."""
    sigmoid: np.ndarray
    """float32: fastText's table."""
    loss: int
    slack: float
    """By what factor a leaf's probability may exceed a node's above it, roundings and fastText's 1e-5 in logs included."""


@njit(inline="always")
def exp32(x: Any) -> Any:
    return np.float32(exp(np.float32(x)))


@njit(inline="always")
def _log32(x: Any) -> Any:
    """fastText's log: of a float32, never below that of 1e-5, and above 0 at 1."""
    return np.float32(log(np.float64(x) + 1e-5))


@njit(inline="always")
def _right(product: Any) -> Any:
    """The probability of a node's right branch."""
    return np.float32(1.0 / np.float64(np.float32(1.0) + exp32(-product)))


@njit(inline="always")
def _left(right: Any) -> Any:
    return np.float32(1.0 - np.float64(right))


@njit(inline="always")
def _log_probability(outputs: Outputs, products: Any, label: int) -> Any:
    score = np.float32(0.0)
    for at in range(outputs.path_ends[label], outputs.path_ends[label + 1]):
        right = _right(products[outputs.paths[at] >> 1])
        score = np.float32(score + _log32(right if outputs.paths[at] & 1 else _left(right)))
    return score


@njit(cache=True, nogil=True)
def depth_first(outputs: Outputs, products: Any, nodes: Any, scores: Any) -> Any:
    """fastText's own search of the tree, left before right, which cuts what is below the best leaf so far."""
    n_labels, best, best_score = len(outputs.norms), NONE, np.float32(0.0)
    nodes[0], scores[0], n = 2 * n_labels - 2, np.float32(0.0), 1
    least = _log32(np.float32(0.0))
    while n:
        n -= 1
        node, score = nodes[n], np.float32(scores[n])
        if score < least or (best != NONE and score < best_score):
            continue
        if node < n_labels:
            best, best_score = node, score
            continue
        right = _right(products[node - n_labels])
        nodes[n], scores[n] = outputs.children[node, 1], np.float32(score + _log32(right))
        nodes[n + 1], scores[n + 1] = outputs.children[node, 0], np.float32(score + _log32(_left(right)))
        n += 2
    return best, best_score


@njit(inline="always")
def _clear_winner(outputs: Outputs, products: Any, nodes: Any, scores: Any) -> int:
    """The leaf that is more probable than any other by more than `slack`, or NONE when there may be none.

    Likelier branches go first, so few nodes are seen and no log is taken. What wins so clearly wins in any order.
    """
    n_labels, best, best_score, second = len(outputs.norms), NONE, 0.0, 0.0
    nodes[0], scores[0], n = 2 * n_labels - 2, 1.0, 1
    while n:
        n -= 1
        node, score = nodes[n], scores[n]
        while node >= n_labels and score * outputs.slack >= best_score:
            right = np.float64(_right(products[node - n_labels]))
            side = np.int64(right >= 0.5)
            likelier = max(right, 1.0 - right)
            nodes[n], scores[n] = outputs.children[node, 1 - side], score * (1.0 - likelier + 1e-5)
            n += 1
            node, score = outputs.children[node, side], score * (likelier + 1e-5)
        if node < n_labels:
            if score > best_score:
                best, best_score, second = node, score, best_score
            else:
                second = max(second, score)
    return best if best_score > UNLIKELY and second * outputs.slack < best_score else NONE


@njit(inline="always")
def _likeliest(probabilities: Any, n: int) -> Any:
    """fastText compares logs: those of tiny or nearly equal probabilities may be one number."""
    highest = np.float32(0.0)
    for label in range(n):
        highest = max(highest, probabilities[label])
    near, best, best_score = (np.float64(highest) + 1e-5) * 0.999 - 1e-5, NONE, np.float32(0.0)
    for label in range(n):
        if probabilities[label] >= near:
            score = _log32(probabilities[label])
            if best == NONE or score >= best_score:
                best, best_score = label, score
    return best, best_score


@njit(inline="always")
def _softmax(products: Any, n: int) -> None:
    highest, total = products[0], np.float32(0.0)
    for label in range(n):
        highest = max(highest, products[label])
    for label in range(n):
        products[label] = np.float32(exp(np.float64(np.float32(products[label] - highest))))
        total = np.float32(total + products[label])
    for label in range(n):
        products[label] = np.float32(products[label] / total)


@njit(inline="always")
def _tabled_sigmoid(outputs: Outputs, x: Any) -> Any:
    if x > SIGMOID_LIMIT:
        return np.float32(1.0)
    if not x >= -SIGMOID_LIMIT:
        return np.float32(0.0)
    shifted = np.float32(x + np.float32(SIGMOID_LIMIT))
    return outputs.sigmoid[np.int64(np.float32(shifted * np.float32(SIGMOID_STEPS)) / np.float32(2 * SIGMOID_LIMIT))]


@njit(cache=True, nogil=True)
def first_answer(outputs: Outputs, products: Any, nodes: Any, scores: Any) -> Any:
    """Label and log of its probability, float32; NONE where fastText has no answer. Overwrites `products`.

    `nodes` (int32) and `scores` (float64) are room for twice as many values as there are labels.
    """
    n = len(outputs.norms)
    for label in range(n):
        if not np.isfinite(products[label]):
            return NONE, np.float32(0.0)
    if outputs.loss == HIERARCHICAL:
        winner = _clear_winner(outputs, products, nodes, scores)
        if winner == NONE:
            return depth_first(outputs, products, nodes, scores)
        return winner, _log_probability(outputs, products, winner)
    if outputs.loss == SOFTMAX:
        _softmax(products, n)
    else:
        for label in range(n):
            products[label] = _tabled_sigmoid(outputs, products[label])
    return _likeliest(products, n)
