"""Which of a cluster's images are dropped for which: the rules of `dedup.semantic_rule`, by name.

In the chain a ~ b ~ c, where a and c are no neighbours themselves:

    components   what is connected is one: b and c go when a is the best of the three
    greedy       an image stays if no image that stays is its neighbour: a stays, b goes, c stays
    semdedup     an image goes if any image before it is its neighbour, kept or not: a stays, b and c go

`greedy` visits images by the rule of choice (`dedup.keep`), best first. `semdedup` is the rule of SemDeDup's release (Abbas et al.
2023, arXiv:2303.09540), which takes the upper triangle of a cluster's cosines and keeps the hard ones: images are visited from
the least to the most similar to their cluster's centroid.
"""

from collections.abc import Callable

import numpy as np

from curate.duplicates.neighbours import TILE, Vectors, tiles

Rule = Callable[[Vectors], np.ndarray]
"""Vectors in the order in which they are visited -> for whom each is dropped, int64, shape (n,); itself for who stays."""

_HELD = 1 << 17
"""Pairs that `components` holds before it reduces them."""


def components(vectors: Vectors) -> np.ndarray:
    """Each with the first of its connected component."""
    root = np.arange(len(vectors))
    held: list[np.ndarray] = []
    blocks = tiles(len(vectors))
    for number, rows in enumerate(blocks):
        for columns in blocks[: number + 1]:
            r, c = vectors.close(rows, columns)
            # Pairs that are known to be connected say nothing more: a dense cluster gives millions of them.
            pairs = np.stack([root[rows][r], root[columns][c]])
            held.append(pairs[:, pairs[0] != pairs[1]])
            if sum(part.shape[1] for part in held) > _HELD:
                root, held = _joined(root, np.hstack(held)), []
    return _joined(root, np.hstack(held)) if held else root


def greedy(vectors: Vectors) -> np.ndarray:
    """Each with the first of those before it that stay and are its neighbours."""
    root = np.arange(len(vectors))
    kept = np.zeros(0, np.int64)
    for rows in tiles(len(vectors)):
        _first_of(vectors, root, rows, kept)
        mine = np.arange(rows.start, rows.stop)
        mine = mine[root[rows] == mine]
        r, c = (mine[side] for side in vectors.close(mine, mine))
        for late, early in zip(r.tolist(), c.tolist(), strict=True):
            if early < late and root[late] == late and root[early] == early:
                root[late] = early
        kept = np.append(kept, mine[root[mine] == mine])
    return root


def semdedup(vectors: Vectors) -> np.ndarray:
    """Each with any neighbour before it is dropped, for whom its first neighbour was dropped."""
    root = np.arange(len(vectors))
    for rows in tiles(len(vectors)):
        _first_of(vectors, root, rows, np.arange(rows.start))
        mine = np.arange(rows.start, rows.stop)
        mine = mine[root[rows] == mine]
        r, c = mine, np.arange(rows.start, rows.stop)
        late, early = vectors.close(r, c)
        late, early = r[late], c[early]
        late, early = late[early < late], early[early < late]
        late, first = np.unique(late, return_index=True)
        root[late] = early[first]
    while not np.array_equal(after := root[root], root):
        root = after
    return root


RULES: dict[str, Rule] = {"components": components, "greedy": greedy, "semdedup": semdedup}


def hard_first(vectors: np.ndarray) -> np.ndarray:
    """The order of `semdedup`: places of vectors (float32, length 1) from the least to the most similar to their mean."""
    centre = vectors.mean(axis=0)
    return np.argsort(vectors @ centre, kind="stable")


def _first_of(vectors: Vectors, root: np.ndarray, rows: slice, before: np.ndarray) -> None:
    """Ties the open ones of `rows` to the first of `before` that is close. Who has found one is not compared further."""
    for start in range(0, len(before), TILE):
        mine = np.arange(rows.start, rows.stop)
        mine = mine[root[rows] == mine]
        r, c = vectors.close(mine, before[start : start + TILE])
        late, first = np.unique(r, return_index=True)
        root[mine[late]] = before[start + c[first]]


def _joined(root: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """The components of `root` after these pairs too."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(root)
    rows, columns = np.append(np.arange(n), pairs[0]), np.append(root, pairs[1])
    _, label = connected_components(
        coo_array((np.ones(len(rows), bool), (rows, columns)), shape=(n, n)), directed=False
    )
    first = np.unique(label, return_index=True)[1]
    return first[label]
