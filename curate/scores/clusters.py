"""Image-based filtering: clusters of the pool's images, and which of them a target set lies in (Gadre et al., 2023, DataComp).

DataComp keeps an image when its nearest centroid is the nearest one of some target image. The centroids come from k-means over a
sample of the pool's image embeddings.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from curate.draw import draw
from curate.facts.contract import Columns
from curate.models import Clip
from curate.scores.contract import Kind
from curate.scores.derived import Arrays, Derived, Rows, Targets, embedded_images
from curate.scores.settings import Clusters

BLOCK = 4096


class ClusterScorer(Derived):
    """`schemas/scores/clusters.yaml`."""

    def __init__(self, settings: Clusters):
        self._settings = settings

    def start(self, clip: Clip, targets: Targets, pool: int) -> Arrays:
        share = min(1.0, self._settings.clusters * self._settings.points / max(pool, 1))
        found = {"share": np.array(share)}
        return found | ({"target": embedded_images(clip, targets)} if targets.images else {})

    def gather(self, rows: Iterator[Rows], started: Arrays) -> Arrays:
        """Embeddings of the images that are drawn, each image once, by its uid."""
        uids, vectors, last = [], [], ""
        for some in rows:
            fresh = np.array(
                [uid != before for uid, before in zip(some.image_uid, [last, *some.image_uid], strict=False)], bool
            )
            last = some.image_uid[-1] if some.image_uid else last
            drawn = fresh & (draw(self._settings.seed, "clusters", some.image_uid) < started["share"])
            uids += [some.image_uid[row] for row in np.flatnonzero(drawn)]
            vectors.append(some.image[drawn].astype(np.float16))
        return {"uid": np.array(uids, "S32"), "image": np.concatenate(vectors)} if vectors else {}

    def merge(self, gathered: Sequence[Arrays], started: Arrays) -> Arrays:
        pieces = [part for part in gathered if part and len(part["uid"])]
        if not pieces:  # nothing was embedded, so nothing will be asked
            return {"centres": np.zeros((1, 1), np.float32)}
        uids = np.concatenate([part["uid"] for part in pieces])
        sample = np.concatenate([part["image"] for part in pieces])[np.argsort(uids)].astype(np.float32)
        centres = centroids(sample, self._settings.clusters, self._settings.seed)
        ready = {"centres": centres}
        return ready | ({"near": np.unique(nearest(started["target"], centres))} if "target" in started else {})

    def score(self, rows: Rows, ready: Arrays) -> Columns:
        found = nearest(rows.image, ready["centres"])
        near = np.isin(found, ready["near"]) if "near" in ready else pa.nulls(len(found), pa.bool_())
        return {"cluster": found, "near_target": near}


def centroids(vectors: np.ndarray, clusters: int, seed: int) -> np.ndarray:
    """Spherical k-means over float32 vectors of length 1, shape (n, width): centroids, shape (at most clusters, width)."""
    try:
        import faiss
    except ImportError as error:
        raise ImportError("clusters need faiss: pip install 'curate-pairs[faiss-cpu]'") from error
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    kmeans = faiss.Kmeans(
        vectors.shape[1], min(clusters, len(vectors)), niter=20, seed=seed, spherical=True, min_points_per_centroid=1,
        max_points_per_centroid=max(256, -(-len(vectors) // clusters)),
    )  # fmt: skip
    kmeans.train(vectors)
    return np.asarray(kmeans.centroids)


def nearest(vectors: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """The centroid with the greatest dot product for each vector, int32, shape (n,)."""
    blocks = [vectors[start : start + BLOCK] @ centres.T for start in range(0, len(vectors), BLOCK)]
    return (
        np.concatenate([np.argmax(block, axis=1) for block in blocks]).astype(np.int32)
        if blocks
        else np.zeros(0, np.int32)
    )


def load(settings: Clusters, device: str, identity: Mapping[str, Any]) -> ClusterScorer:
    return ClusterScorer(settings)


KIND = Kind(
    needs="pool",
    load=load,
    learned_from="No model of its own: it reads the model's stored embeddings, groups them, and says which groups hold an image of the target set.",
)
