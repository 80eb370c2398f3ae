"""Embeddings: who is within epsilon, and what clusters cost."""

import numpy as np
import pytest

from curate.duplicates import embeddings


def unit(n: int, width: int = 16, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(n, width)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_close_pairs_are_those_of_the_formula_across_blocks():
    vectors = np.concatenate([unit(1500), unit(1500) + 0.02 * unit(1500, seed=1)])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows, columns = embeddings.close_pairs(vectors, 0.01)
    want = np.argwhere(np.triu(vectors.astype(np.float64) @ vectors.T.astype(np.float64) > 0.99, 1))
    assert {(i, i + 1500) for i in range(1500)} <= set(zip(rows.tolist(), columns.tolist(), strict=True))
    assert sorted(zip(rows.tolist(), columns.tolist(), strict=True)) == sorted(map(tuple, want.tolist()))


def test_three_angles():
    """Angles 0, 0.4 and 0.8 rad with epsilon 0.1: neighbours have cosine 0.9211, the ends 0.6967."""
    angles = np.array([0, 0.4, 0.8])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert [pair.tolist() for pair in embeddings.close_pairs(vectors, 0.1)] == [[0, 1], [1, 2]]


def test_vectors_survive_packing_and_get_length_one():
    vectors = 3 * unit(5)
    assert np.allclose(embeddings.unpack(embeddings.pack(vectors)), vectors / 3, atol=2e-3)
    assert (embeddings.unpack(embeddings.pack(np.zeros((1, 4)))) == 0).all()


def test_kmeans_is_the_same_twice_and_puts_like_with_like():
    vectors = np.concatenate([unit(100)] * 3)
    centres = embeddings.centroids(vectors, 5, seed=1)
    assert centres.shape == (5, 16) and (centres == embeddings.centroids(vectors, 5, seed=1)).all()
    clusters = embeddings.assign(vectors, centres)
    assert (clusters[:100] == clusters[100:200]).all() and len(set(clusters.tolist())) == 5
    assert (clusters == np.argmin(((vectors[:, None] - centres) ** 2).sum(2), axis=1)).all()
    assert (embeddings.assign(vectors, None) == 0).all()


@pytest.mark.parametrize(
    ("images", "asked", "clusters"), [(0, 0, 1), (4096, 0, 1), (4097, 0, 2), (10, 50, 10), (10**10, 0, 4096)]
)
def test_clusters_follow_the_pool_and_stay_within_the_sample(images, asked, clusters):
    assert embeddings.clusters_for(images, asked) == clusters
    assert images * embeddings.sample_share(images, clusters) <= embeddings.SAMPLE
