"""Quality of an image by opposite texts: how much nearer its embedding is to "a sharp photo" than to "a blurry photo".

The score is the mean over the pairs of softmax(100 cos)[good], as CLIP-IQA (Wang et al. 2023) and QualiCLIP (Agnolucci et al. 2024)
have it. Which model it is decides what it is worth: QualiCLIP's own was trained to rank distortions, an ordinary CLIP was not.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from curate import models
from curate.facts.contract import REASON, Columns, Scorer, unless, vectors
from curate.recipe import Model
from curate.scores.contract import Kind
from curate.scores.settings import Quality

SCALE = 100.0
"""What the cosine is multiplied with: CLIP's temperature after training."""


class QualityScorer(Scorer):
    """`schemas/scores/quality.yaml`."""

    reads = ("image_embedding",)

    def __init__(self, good: np.ndarray, bad: np.ndarray):
        """Embeddings of the good and of the opposite texts, length 1, both of shape (pairs, width)."""
        self._difference = good - bad

    def score(self, rows: pa.Table, images: Columns, image_of: np.ndarray) -> Columns:
        embeddings = vectors(rows["image_embedding"])
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
            # Of two classes the softmax is the logistic function of the difference.
            values = (1 / (1 + np.exp(-SCALE * unit @ self._difference.T))).mean(axis=1).astype(np.float32)
        return {"quality": values, REASON: unless(np.isfinite(values), "not_finite")}


def load(settings: Quality, device: str, identity: Mapping[str, Any], model: Model) -> QualityScorer:
    """Raises ModelError when the model is not here or not the one whose embeddings are stored."""
    clip = models.load(model, device, identity["embeddings_of"])
    embedded = clip.text_embeddings([text for pair in settings.pairs for text in pair]).reshape(
        len(settings.pairs), 2, -1
    )
    return QualityScorer(embedded[:, 0], embedded[:, 1])


KIND = Kind(
    needs="embeddings",
    load=load,
    learned_from="No model of its own: it reads the model's stored embeddings and asks its text tower about pairs of opposite texts.",
)
