"""How captions agree with the image and with the alt text: facts, of which a recipe makes rules and a text policy.

Similarities are cosines of a CLIP-like model's embeddings. Novelty is the share of a caption's words that the alt text has not. What
ALIP (Yang et al. 2023) weighs pairs by follows from three of these facts and their means: see `curate.shards.weighing`.
"""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate import models
from curate.captions.contract import REASON, Columns, Computing, Kind
from curate.captions.settings import Captioner
from curate.facts.contract import unless, vectors
from curate.settings import Name
from curate.weights import Model

WORD = re.compile(r"\w+")


class Consistency(Captioner, frozen=True, kw_only=True, tag="consistency"):
    """Similarity, novelty and agreement of captions; see `curate.captions.consistency`."""

    of: Name
    """The captioner whose captions are looked at."""
    model: Name
    """One of score.models."""

    def captions_of(self) -> tuple[str, ...]:
        return (self.of,)

    def models(self) -> tuple[str, ...]:
        return (self.model,)


class Comparer(Computing):
    """`schemas/captions/consistency.yaml`."""

    reads = ("text",)

    def __init__(self, settings: Consistency, model: models.Clip):
        self._captions, self._score = f"captions/{settings.of}", f"scores/{settings.model}"
        self._model = model
        self.tables = {self._captions: ("captions",), self._score: ("image_embedding", "text_embedding")}

    def score(self, rows: pa.Table, images: Columns, image_of: np.ndarray) -> Columns:
        captions = rows[f"{self._captions}.captions"].combine_chunks()
        counts = pc.list_value_length(captions).to_numpy()
        row_of = np.repeat(np.arange(len(rows)), counts)
        said = pc.list_flatten(captions).dictionary_encode()
        distinct = self._model.text_embeddings(said.dictionary.to_pylist())
        caption = distinct[said.indices.to_numpy()]
        image, alt = (vectors(rows[f"{self._score}.{kind}_embedding"]) for kind in ("image", "text"))
        similarity = np.einsum("ij,ij->i", image[row_of], caption)
        agreement = np.einsum("ij,ij->i", alt[row_of], caption)
        alone = np.einsum("ij,ij->i", image, alt)
        texts = rows["text"].to_pylist()
        novel = np.array(
            [novelty(text, texts[row]) for row, text in zip(row_of, said.to_pylist(), strict=True)], np.float64
        )
        best = first_best(similarity, counts)
        gain = similarity[best] - alone
        return {
            "alt_similarity": alone.astype(np.float32),
            "similarities": nested(similarity, counts),
            "agreements": nested(agreement, counts),
            "novelties": nested(novel, counts),
            "best": (best - np.cumsum(counts) + counts).astype(np.int32),
            "best_similarity": similarity[best].astype(np.float32),
            "gain": gain.astype(np.float32),
            "agreement": agreement[best].astype(np.float32),
            "novelty": novel[best].astype(np.float32),
            REASON: unless(np.isfinite(gain), "not_finite"),
        }


def novelty(caption: str, alt: str) -> float:
    """Share of a caption's words, without case, that do not stand in the alt text; 0 for a caption without words."""
    words = WORD.findall(caption.casefold())
    known = set(WORD.findall(alt.casefold()))
    return sum(word not in known for word in words) / len(words) if words else 0.0


def first_best(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Index of the greatest value of each run of `counts` values, the first of equal ones; int64, one for each run. No run is empty."""
    starts = np.cumsum(counts) - counts
    greatest = np.maximum.reduceat(values, starts) if len(counts) else values[:0]
    hits = np.flatnonzero(values == np.repeat(greatest, counts))
    run_of = np.searchsorted(starts, hits, side="right") - 1
    # A value that is not a number equals nothing; its run then stands for its first.
    found = starts.copy()
    found[run_of[::-1]] = hits[::-1]
    return found


def nested(values: np.ndarray, counts: np.ndarray) -> pa.ListArray:
    """Runs of values as a column of lists, float64."""
    edges = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(edges), pa.array(values.astype(np.float64)))


def load(settings: Consistency, device: str, identity: Mapping[str, Any], model: Model) -> Comparer:
    """Raises ModelError when the model is not here or not the one that was planned with."""
    return Comparer(settings, models.load(model, device, identity["models"][model.name]["revision"]))


KIND = Kind(needs="rows", load=load, on_device=True)
