"""CLIP similarity: the cosine of a pair's image and text embedding, and the embeddings themselves."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from curate import models
from curate.facts.contract import REASON, Columns, Picture, Scorer, column, unless
from curate.recipe import Model
from curate.scores.contract import Kind


class ClipScorer(Scorer):
    """`schemas/scores/clip.yaml`. Similarity is float32, from embeddings of length 1 in float32; they are stored as float16."""

    reads = ("text",)

    def __init__(self, model: models.Clip):
        self._model, self.batch_size = model, model.batch_size

    def see(self, picture: Picture) -> Any:
        return self._model.pixels(picture.pixels)

    def answer(self, seen: list[Any]) -> Columns:
        embeddings, lengths = self._model.image_vectors(seen)
        return {"image_embedding": embeddings, "image_length": lengths}

    def score(self, rows: pa.Table, images: Columns, image_of: np.ndarray) -> Columns:
        # A text that many images have ("logo") is embedded once.
        texts = rows["text"].combine_chunks().dictionary_encode()
        distinct, lengths = self._model.text_vectors(texts.dictionary.to_pylist())
        text_of = texts.indices.to_numpy()
        image, text = images["image_embedding"][image_of], distinct[text_of]
        similarity = np.einsum("ij,ij->i", image, text)
        return {
            "similarity_score": similarity,
            "image_embedding": column(image),
            "text_embedding": column(text),
            "image_length": images["image_length"][image_of],
            "text_length": lengths[text_of],
            REASON: unless(np.isfinite(similarity), "not_finite"),
        }


def load(settings: Model, device: str, identity: Mapping[str, Any]) -> ClipScorer:
    """Raises ModelError when the model is not here or not the one that was planned with."""
    return ClipScorer(models.load(settings, device, identity["revision"]))


KIND = Kind(
    needs="pixels",
    load=load,
    identity=models.identity,
    on_device=True,
    learned_from="What the model's makers took: its card says it, where it has one.",
)
