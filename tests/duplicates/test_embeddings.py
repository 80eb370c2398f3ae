"""Embeddings: who is within epsilon, and what clusters cost."""

import numpy as np
import pyarrow as pa
import pytest

from curate.duplicates import embeddings


def unit(n: int, width: int = 16, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(n, width)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


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


def test_a_cluster_that_would_be_too_large_is_split_and_others_are_not():
    near = unit(400, seed=1) * 0.1 + unit(1)
    far = unit(100, seed=2) * 0.1 - unit(1)
    sample = embeddings.unit(np.concatenate([near, far]))
    centres = embeddings.unit(np.concatenate([unit(1), -unit(1)]))
    assert np.array_equal(embeddings.split(sample, centres, images=5_000, seed=0, most=5_000), centres)
    found = embeddings.split(sample, centres, images=40_960, seed=0, most=10_000)
    assert len(found) == 1 + 8 and (found[0] == centres[1]).all()  # 32,768 expected in the near one, CLUSTER each
    assert np.bincount(embeddings.assign(sample, found)).max() < 200
    same = np.repeat(centres[:1], 500, axis=0)
    assert len(set(embeddings.assign(same, embeddings.split(same, centres, 40_960, 0, 10_000)).tolist())) == 1


def test_unpacking_heeds_slices_and_chunks():
    packed = embeddings.pack(unit(10))
    chunks = pa.chunked_array([packed[3:5], packed[:0], packed[8:]])
    assert np.allclose(embeddings.unpack(chunks), unit(10)[[3, 4, 8, 9]], atol=2e-3)
