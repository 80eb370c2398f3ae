"""How beautiful people find an image: a linear head on image embeddings, as those of LAION are."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from curate.facts import heads
from curate.facts.contract import REASON, Columns, Scorer, unless, vectors
from curate.recipe import Model
from curate.scores.contract import Kind
from curate.scores.settings import Aesthetics
from curate.weights import ModelError


class AestheticsScorer(Scorer):
    """`schemas/scores/aesthetics.yaml`."""

    reads = ("image_embedding",)

    def __init__(self, head: heads.Head, settings: Aesthetics, model: Model):
        self._head, self._settings, self._model = head, settings, model
        if head.outputs != 1:
            raise ModelError(f"{settings.head}: an aesthetic head has one output, and this one has {head.outputs}")

    def score(self, rows: pa.Table, images: Columns, image_of: np.ndarray) -> Columns:
        embeddings = self._head.fits(vectors(rows["image_embedding"]), self._settings.head, self._model)
        values = self._head(embeddings)[:, 0]
        return {"aesthetics": values, REASON: unless(np.isfinite(values), "not_finite")}


def load(settings: Aesthetics, device: str, identity: Mapping[str, Any], model: Model) -> AestheticsScorer:
    """Raises ModelError as `heads.load`."""
    return AestheticsScorer(heads.load(settings.head, "none", model, identity), settings, model)


KIND = Kind(
    needs="embeddings",
    load=load,
    identity=heads.identity,
    learned_from="A head that the recipe brings: whose taste it has learned is for its makers to tell.",
)
