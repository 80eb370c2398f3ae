"""CLIP similarity: the cosine of a pair's image and text embedding, and the embeddings themselves."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.images.decoding import ImageError, decode
from curate.ledger import FAILED, GONE, KEPT, alive
from curate.models import Clip
from curate.store import StoreError

COLUMNS = ("image_uid", "text", "state")
"""What is read of `images`, besides the uid."""


class Pictures:
    """The archive of a part, read once and forwards: an image's bytes for each image uid, in the rows' order."""

    def __init__(self, archive: Iterator[tuple[str, bytes]]):
        self._archive, self._last = archive, ("", b"")

    def take(self, image_uid: str) -> bytes:
        """The bytes of an image; the last one again when its texts go on in the next row group."""
        while self._last[0] != image_uid:
            following = next(self._archive, None)
            if following is None:
                raise StoreError(
                    f"image {image_uid} is not in its part's tar, or not in order; redo the stage download"
                )
            self._last = following
        return self._last[1]


def score(images: pa.Table, pictures: Pictures, model: Clip) -> pa.Table:
    """Scores a batch of `images` rows (columns uid and COLUMNS): a table as `schemas/scores.yaml` says, row for row.

    Similarity is float32, from embeddings of length 1 in float32; they are stored as float16. An image that the model
    cannot take, or an answer that is not finite, fails every pair of it; rows that are not alive are gone.
    """
    live = np.flatnonzero(alive(images["state"]).to_numpy(zero_copy_only=False))
    rows = images.take(pa.array(live))
    uids = rows["image_uid"].to_pylist()
    # Rows are sorted by image, so an image's first row is where its uid changes.
    firsts = [row for row, uid in enumerate(uids) if row == 0 or uid != uids[row - 1]]
    image_of = np.cumsum(np.isin(np.arange(len(uids)), firsts)) - 1
    pixels, fed = _Pixels(pictures, model), [uids[row] for row in firsts]
    found = model.image_embeddings(pixels.of(fed))
    embeddings = np.full((len(firsts), found.shape[1]), np.nan, np.float32)
    embeddings[pixels.good] = found
    image, text = embeddings[image_of], model.text_embeddings(rows["text"].to_pylist())
    similarity = np.einsum("ij,ij->i", image, text)
    reason = np.full(len(uids), None, object)
    reason[~np.isfinite(similarity)] = "not_finite"
    reason[~np.isin(image_of, pixels.good)] = "undecodable"
    return _table(images["uid"], live, reason, similarity, image, text)


class _Pixels:
    """Decodes images as the model asks for them, and remembers which ones could be."""

    def __init__(self, pictures: Pictures, model: Clip):
        self._pictures, self._model = pictures, model
        self.good: list[int] = []

    def of(self, image_uids: list[str]) -> Iterator[Any]:
        for index, uid in enumerate(image_uids):
            data = self._pictures.take(uid)
            try:
                pixels = self._model.pixels(decode(data))
            except (ImageError, ValueError, OSError):  # resizing a hostile shape may fail after decoding went well
                continue
            self.good.append(index)
            yield pixels


def _table(
    uid: pa.ChunkedArray,
    live: np.ndarray,
    reason: np.ndarray,
    similarity: np.ndarray,
    image: np.ndarray,
    text: np.ndarray,
) -> pa.Table:
    """Lays the answers for the live rows into a table of all rows; everything without an answer is null."""
    state = np.full(len(uid), GONE, object)
    reasons = np.full(len(uid), None, object)
    ok = np.array([word is None for word in reason], bool)
    state[live] = np.where(ok, KEPT, FAILED)
    reasons[live] = reason
    scored = live[ok]
    scores = np.full(len(uid), np.nan, np.float32)
    scores[scored] = similarity[ok]
    missing = np.ones(len(uid), bool)
    missing[scored] = False
    return pa.table(
        {
            "uid": uid,
            "state": pa.array(state, pa.string()),
            "reason": pa.array(reasons, pa.string()),
            "similarity_score": pc.if_else(pa.array(missing), pa.scalar(None, pa.float32()), pa.array(scores)),
            "image_embedding": _vectors(image[ok], scored, missing),
            "text_embedding": _vectors(text[ok], scored, missing),
        }
    )


def _vectors(values: np.ndarray, rows: np.ndarray, missing: np.ndarray) -> pa.FixedSizeListArray:
    width = values.shape[1]
    everything = np.zeros((len(missing), width), np.float16)
    everything[rows] = values
    return pa.FixedSizeListArray.from_arrays(pa.array(everything.ravel()), width, mask=pa.array(missing))
