"""How unsafe for work an image or a text is: a head on its embedding, as DataComp and LAION use one on those of CLIP.

No package ships such weights; the head's file is brought. It speaks of what its makers labelled, and is no promise.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from curate.facts import heads
from curate.facts.contract import REASON, Columns, Scorer, unless, vectors
from curate.recipe import Model
from curate.scores.contract import Kind
from curate.scores.settings import Safety
from curate.weights import ModelError


class SafetyScorer(Scorer):
    """`schemas/scores/safety.yaml`."""

    def __init__(self, head: heads.Head, settings: Safety, model: Model):
        self.reads = (f"{settings.embedding}_embedding",)  # type: ignore[misc]
        self._head, self._settings, self._model = head, settings, model
        if max(settings.unsafe) >= head.outputs:
            raise ModelError(
                f"{settings.head} has {head.outputs} outputs, from 0 on, and `unsafe` names {max(settings.unsafe)}"
            )

    def score(self, rows: pa.Table, images: Columns, image_of: np.ndarray) -> Columns:
        embeddings = self._head.fits(vectors(rows[self.reads[0]]), self._settings.head, self._model)
        outputs = self._head(embeddings).astype(np.float64)
        unsafe = list(self._settings.unsafe)
        if self._settings.output == "sigmoid":
            values = (1 / (1 + np.exp(-np.clip(outputs, -500, 500))))[:, unsafe].max(axis=1)
        else:
            odds = np.exp(outputs - outputs.max(axis=1, keepdims=True, initial=-np.inf))
            values = odds[:, unsafe].sum(axis=1) / odds.sum(axis=1)
        return {"unsafe": values.astype(np.float32), REASON: unless(np.isfinite(values), "not_finite")}


def load(settings: Safety, device: str, identity: Mapping[str, Any], model: Model) -> SafetyScorer:
    """Raises ModelError as `heads.load`."""
    return SafetyScorer(heads.load(settings.head, settings.activation, model, identity), settings, model)


KIND = Kind(
    needs="embeddings",
    load=load,
    identity=heads.identity,
    learned_from="A head that the recipe brings: what its makers called unsafe is for them to tell.",
)
