"""Pairs of image embeddings with a high cosine, looked for inside k-means clusters alone (as SemDeDup, Abbas et al. 2023).

Two images on both sides of a cluster's border are not compared: fewer and larger clusters miss less and cost more.
Unlike SemDeDup's released rule, which drops an item whose only neighbour was itself dropped, what is connected becomes one
cluster with one representative.
"""

import numpy as np
import pyarrow as pa

SAMPLE = 1 << 18
"""Embeddings that k-means sees at most; it runs in one process."""
POINTS = 64
"""Sampled points a centroid."""
CLUSTER = 4096
"""Images a cluster, where the recipe leaves k to us."""
_BLOCK = 1024


def clusters_for(images: int, asked: int = 0) -> int:
    """k of the k-means: as asked, or about CLUSTER images each; never more than the sample can place."""
    return max(1, min(asked or -(-images // CLUSTER), SAMPLE // POINTS, images or 1))


def sample_share(images: int, clusters: int) -> float:
    """The share of the images that k-means is trained on."""
    return min(1.0, clusters * POINTS / max(images, 1))


def pack(vectors: np.ndarray) -> pa.Array:
    """float16 vectors, shape (n, width), as one binary value a row: what shuffles carry without boxing numbers."""
    rows = np.ascontiguousarray(vectors, dtype=np.float16)
    return pa.array([row.tobytes() for row in rows], pa.binary())


def unpack(packed: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """The vectors of `pack` as float32 of length 1, shape (n, width). A vector of zeros stays one."""
    rows = packed.to_pylist()
    vectors = np.frombuffer(b"".join(rows), dtype=np.float16).astype(np.float32).reshape(len(rows), -1)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def centroids(vectors: np.ndarray, clusters: int, seed: int) -> np.ndarray:
    """Spherical k-means over float32 vectors of length 1, shape (n, width): centroids, shape (clusters, width).

    Raises ImportError with the line that installs faiss.
    """
    try:
        import faiss
    except ImportError as error:
        raise ImportError(
            "more than one semantic cluster needs faiss: pip install 'curate-pairs[faiss-cpu]'"
        ) from error
    kmeans = faiss.Kmeans(
        vectors.shape[1], min(clusters, len(vectors)), niter=20, seed=seed, spherical=True,
        min_points_per_centroid=1, max_points_per_centroid=max(POINTS, -(-len(vectors) // clusters)),
    )  # fmt: skip
    kmeans.train(vectors)
    return np.asarray(kmeans.centroids)


def assign(vectors: np.ndarray, centres: np.ndarray | None) -> np.ndarray:
    """The nearest centroid of each vector, int32, shape (n,); all 0 where there is one cluster."""
    if centres is None:
        return np.zeros(len(vectors), dtype=np.int32)
    return np.argmax(vectors @ centres.T, axis=1).astype(np.int32)


def close_pairs(vectors: np.ndarray, epsilon: float) -> tuple[np.ndarray, np.ndarray]:
    """Indices (i, j), i < j, of vectors (float32, length 1) with a cosine above 1 - epsilon; a block of rows at a time."""
    found_rows, found_columns = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for start in range(0, len(vectors), _BLOCK):
        rows, columns = np.nonzero(vectors[start : start + _BLOCK] @ vectors[start:].T > 1 - epsilon)
        upper = rows < columns
        found_rows.append(rows[upper] + start)
        found_columns.append(columns[upper] + start)
    return np.concatenate(found_rows), np.concatenate(found_columns)
