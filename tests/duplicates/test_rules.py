"""Semantic rules: what each drops, in the same cluster; and neighbours that are those of the formula, however they are found."""

import numpy as np
import pyarrow as pa
import pytest

from curate.duplicates import edges, embeddings, neighbours, rules


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def at_angles(*angles: float) -> np.ndarray:
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def crowd(n: int, width: int, decay: float, seed: int = 0) -> np.ndarray:
    """A cluster with copies and chains of copies, whose dimensions differ in how much is in them, in random order."""
    draw = np.random.default_rng(seed)
    scale = np.arange(1.0, width + 1) ** -decay
    scale *= 0.7 / np.sqrt((scale**2).sum())
    vectors = unit(draw.normal(size=width)[None])[0] + draw.normal(size=(n, width)) * scale
    for copies, of, noise in ((n // 8, 0, 0.08), (n // 8, n // 8, 0.12), (n // 16, 0, 0.0)):
        start = int(draw.integers(n // 2, n - copies))
        vectors[start : start + copies] = (
            vectors[of : of + copies] + draw.normal(size=(copies, width)) * noise / width**0.5
        )
    return unit(draw.permutation(vectors))


def close_by_definition(vectors: np.ndarray, epsilon: float) -> np.ndarray:
    """All pairs; float64, so that the vectors of a test must keep off the threshold by more than float32 rounds."""
    cosine = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    off_diagonal = np.abs(cosine - (1 - epsilon))[np.triu_indices(len(vectors), 1)]
    assert off_diagonal.min() > 1e-9
    return cosine > 1 - epsilon


def roots_by_definition(rule: str, close: np.ndarray) -> list[int]:
    """The rules as their docstrings say them, one image at a time."""
    root = list(range(len(close)))
    if rule == "components":
        while (after := [min(root[j] for j in np.flatnonzero(row)) for row in close]) != root:
            root = after
        return root
    for i, row in enumerate(close):
        before = [j for j in np.flatnonzero(row[:i]).tolist() if rule == "semdedup" or root[j] == j]
        root[i] = root[before[0]] if before else i
    return root


def test_three_angles():
    """Angles 0, 0.4 and 0.8 rad with epsilon 0.1: neighbours have cosine 0.9211, the ends 0.6967."""
    dropped = {}
    for name, rule in rules.RULES.items():
        root = rule(neighbours.Vectors(at_angles(0, 0.4, 0.8), 0.1))
        dropped[name] = {i for i in range(3) if root[i] != i}
    assert dropped == {"semdedup": {1, 2}, "greedy": {1}, "components": {1, 2}}


@pytest.mark.parametrize("rule", list(rules.RULES))
@pytest.mark.parametrize(
    ("n", "width", "decay", "epsilon"),
    [(1500, 128, 0.6, 0.02), (1100, 128, 1.0, 0.1), (1100, 200, 0.0, 0.01), (2100, 8, 0.3, 0.03)],
)
def test_a_rule_drops_what_it_says(rule, n, width, decay, epsilon):
    vectors = crowd(n, width, decay)
    close = close_by_definition(vectors, epsilon)
    want = roots_by_definition(rule, close)
    assert 0 < sum(a != b for a, b in enumerate(want)) < n
    assert rules.RULES[rule](neighbours.Vectors(vectors, epsilon)).tolist() == want
    assert rules.RULES[rule](neighbours.OnDevice(vectors, epsilon, "cpu")).tolist() == want


def test_few_directions_are_looked_at_where_they_say_enough_and_all_where_not():
    telling = neighbours.Vectors(crowd(2048, 128, 1.0), 0.01)._sides
    assert telling is not None and telling[0].shape[1] < 128
    assert neighbours.Vectors(crowd(2048, 128, 0.0), 0.5)._sides is None
    assert neighbours.Vectors(crowd(64, 128, 1.0), 0.01)._sides is None


def test_who_is_near_in_few_directions_alone_is_no_neighbour():
    # Groups of four that share all that is wide; in what is narrow they are 2 * 0.02 apart, or 0.001 where they are copies.
    draw = np.random.default_rng(0)
    wide = np.repeat(unit(draw.normal(size=(300, 30))), 4, axis=0)
    narrow = unit(draw.normal(size=(1200, 98))) * 0.15
    narrow[1::4] = narrow[::4] + 1e-3 * unit(draw.normal(size=(300, 98)))
    vectors = unit(np.hstack([wide, narrow]))
    found = neighbours.Vectors(vectors, 0.01)
    assert found._sides is not None and found._sides[0].shape[1] < 128
    want = roots_by_definition("greedy", close_by_definition(vectors, 0.01))
    assert (
        want != list(range(1200))
        and rules.greedy(found).tolist()
        == want
        == np.where(np.arange(1200) % 4 == 1, np.arange(1200) - 1, np.arange(1200)).tolist()
    )


@pytest.mark.parametrize("rule", list(rules.RULES))
def test_a_cluster_of_one_picture_takes_no_more_memory_than_a_tile(rule):
    import tracemalloc

    vectors = np.repeat(crowd(1, 16, 0.5), 6000, axis=0)
    tracemalloc.start()
    root = rules.RULES[rule](neighbours.Vectors(vectors, 0.01))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert not root.any() and peak < 160e6  # all pairs: 288 MB


def bucket(vectors: np.ndarray, curated=None) -> pa.Table:
    names = [f"{i:032x}" for i in range(len(vectors))]
    curated = [True] * len(vectors) if curated is None else curated
    return pa.table({"image_uid": names, "curated": curated, "embedding": embeddings.pack(vectors)})


def ties(table: pa.Table) -> dict[int, int]:
    return {int(row["a"], 16): int(row["b"], 16) for row in table.to_pylist()}


def test_semdedup_keeps_the_hard_ones_and_what_the_curated_set_has():
    # Neighbours are less than 0.245 rad apart. The mean is at 0.12: visited from 0.4 to 0 to 0.2.
    vectors = at_angles(0, 0.001, 0.002, 0.2, 0.4)
    assert rules.hard_first(vectors).tolist() == [4, 0, 1, 2, 3]
    assert ties(edges.semantic(bucket(vectors), 0.03, "semdedup")) == {1: 0, 2: 0, 3: 4}
    assert ties(edges.semantic(bucket(vectors), 0.03, "greedy")) == {1: 0, 2: 0, 3: 0}
    curated = [False, True, False, False, False]
    assert ties(edges.semantic(bucket(vectors, curated), 0.03, "semdedup")) == {0: 1, 2: 1, 3: 1}


@pytest.mark.parametrize("cut", [7, 100, 1000])
def test_a_run_is_cut_at_most_rows_however_its_batches_are_cut(cut):
    table = pa.table({"cluster": [0] * 250 + [1] * 3 + [2], "image_uid": [f"{i:03d}" for i in range(254)]})
    batches = [batch for start in range(0, len(table), cut) for batch in table.slice(start, cut).to_batches()]
    seen: list[list[str]] = []
    read = 0

    def reading():
        nonlocal read
        for batch in batches:
            read += len(batch)
            yield batch

    def look(run: pa.Table) -> pa.Table:
        seen.append(run["image_uid"].to_pylist())
        assert read - sum(map(len, seen[:-1])) < 100 + 2 * cut  # no more than that is held
        return edges.EDGE.empty_table()

    list(edges.runs(reading(), ["cluster"], look, most=100))
    names = table["image_uid"].to_pylist()
    assert seen == [names[:100], names[100:200], names[200:250], names[250:253]]
