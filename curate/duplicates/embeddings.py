"""Image embeddings: how they travel, and the k-means clusters inside which they are compared (as SemDeDup, Abbas et al. 2023).

Two images on both sides of a cluster's border are not compared: fewer and larger clusters miss less and cost more.
"""

from typing import Any

import numpy as np
import pyarrow as pa

SAMPLE = 1 << 18
"""Embeddings that k-means sees at most; it runs in one process."""
POINTS = 64
"""Sampled points a centroid."""
CLUSTER = 4096
"""Images a cluster, where the recipe leaves k to us."""
LARGEST = 1 << 16
"""Images that are compared with each other at most: about 500 MB in a worker at 512 dimensions. What k-means cannot split further
is cut, in the order of the rule."""
_BLOCK = 4096


def clusters_for(images: int, asked: int = 0) -> int:
    """k of the k-means: as asked, or about CLUSTER images each; never more than the sample can place."""
    return max(1, min(asked or -(-images // CLUSTER), SAMPLE // POINTS, images or 1))


def sample_share(images: int, clusters: int) -> float:
    """The share of the images that k-means is trained on."""
    return min(1.0, clusters * POINTS / max(images, 1))


def pack(vectors: np.ndarray) -> pa.Array:
    """float16 vectors, shape (n, width), as one binary value a row: what shuffles carry without boxing numbers."""
    rows = np.ascontiguousarray(vectors, dtype=np.float16)
    ends = np.arange(len(rows) + 1, dtype=np.int64) * rows.shape[1] * 2
    large = pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(rows), [None, pa.py_buffer(ends), pa.py_buffer(rows)]
    )
    return large.cast(pa.binary())


def unpack(packed: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """The vectors of `pack` as float32 of length 1, shape (n, width). A vector of zeros stays one."""
    chunks = packed.chunks if isinstance(packed, pa.ChunkedArray) else [packed]
    halves = [_halves(chunk) for chunk in chunks if len(chunk)] or [np.zeros((0, 1), np.float16)]
    return _to_unit(np.concatenate(halves, dtype=np.float32))


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors, shape (n, width), as float32 of length 1. A vector of zeros stays one."""
    return _to_unit(vectors.astype(np.float32))


def centroids(vectors: np.ndarray, clusters: int, seed: int) -> np.ndarray:
    """Spherical k-means over float32 vectors of length 1, shape (n, width): centroids, shape (clusters, width).

    On a GPU where faiss sees one. Raises ImportError with the line that installs faiss.
    """
    faiss = library()
    kmeans = faiss.Kmeans(
        vectors.shape[1], min(clusters, len(vectors)), niter=20, seed=seed, spherical=True, gpu=faiss.get_num_gpus() > 0,
        min_points_per_centroid=1, max_points_per_centroid=max(POINTS, -(-len(vectors) // clusters)),
    )  # fmt: skip
    kmeans.train(vectors)
    return np.asarray(kmeans.centroids)


def split(sample: np.ndarray, centres: np.ndarray, images: int, seed: int, most: int = LARGEST // 2) -> np.ndarray:
    """Centroids in which those whose clusters would have more than `most` of all images, by the sample, are split by k-means.

    Where the sample's vectors are all the same, there is nothing to split.
    """
    cluster = assign(sample, centres)
    expected = np.bincount(cluster, minlength=len(centres)) * (images / max(len(sample), 1))
    found = [centres[expected <= most]]
    for number in np.flatnonzero(expected > most).tolist():
        mine = np.ascontiguousarray(sample[cluster == number])
        found.append(centroids(mine, min(-(-int(expected[number]) // CLUSTER), len(mine)), seed))
    return np.concatenate(found)


def assign(vectors: np.ndarray, centres: np.ndarray | None) -> np.ndarray:
    """The nearest centroid of each vector, int32, shape (n,); all 0 where there is one cluster. A block at a time."""
    nearest = np.zeros(len(vectors), dtype=np.int32)
    if centres is None:
        return nearest
    for start in range(0, len(vectors), _BLOCK):
        nearest[start : start + _BLOCK] = np.argmax(vectors[start : start + _BLOCK] @ centres.T, axis=1)
    return nearest


def library() -> Any:
    """faiss; ImportError with the line that installs it."""
    try:
        import faiss
    except ImportError as error:
        raise ImportError("embeddings are compared with faiss: pip install 'curate-pairs[faiss-cpu]'") from error
    return faiss


def _to_unit(found: np.ndarray) -> np.ndarray:
    """The same array. A block at a time: a norm makes copies of what it is of, and k-means' sample is half a gigabyte."""
    for start in range(0, len(found), _BLOCK):
        block = found[start : start + _BLOCK]
        lengths = np.linalg.norm(block, axis=1, keepdims=True)
        block /= np.where(lengths > 0, lengths, 1)
    return found


def _halves(packed: pa.BinaryArray) -> np.ndarray:
    """The float16 numbers under a binary array, shape (n, width), without a copy."""
    _, offsets, data = packed.buffers()
    ends = np.frombuffer(offsets, np.int32)[packed.offset : packed.offset + len(packed) + 1]
    numbers = np.frombuffer(data, np.float16, (int(ends[-1]) - int(ends[0])) // 2, int(ends[0]))
    return numbers.reshape(len(packed), -1)
