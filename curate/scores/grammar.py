"""How grammatical texts are, from their stored embeddings: `curate.facts.grammar`."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from curate.facts.contract import REASON, Columns, Scorer, unless, vectors
from curate.facts.grammar import grammaticality, head_of, identity
from curate.facts.heads import Head
from curate.scores.contract import Kind
from curate.scores.settings import Grammar
from curate.weights import Model


class GrammarScorer(Scorer):
    """`schemas/scores/grammar.yaml`."""

    reads = ("text_embedding",)

    def __init__(self, head: Head, settings: Grammar, model: Model):
        self._head, self._settings, self._model = head, settings, model

    def score(self, rows: pa.Table, images: Columns, image_of: np.ndarray) -> Columns:
        embeddings = self._head.fits(vectors(rows["text_embedding"]), self._settings.head, self._model)
        values = grammaticality(embeddings, self._head)
        return {"grammaticality": values, REASON: unless(np.isfinite(values), "not_finite")}


def load(settings: Grammar, device: str, identity: Mapping[str, Any], model: Model) -> GrammarScorer:
    """Raises ModelError as `head_of`."""
    return GrammarScorer(head_of(settings.head, model, identity), settings, model)


KIND = Kind(
    needs="embeddings",
    load=load,
    identity=identity,
    learned_from="The sentences that `curate grammar-head` was given, and corruptions of them; the card beside the head counts them.",
)
