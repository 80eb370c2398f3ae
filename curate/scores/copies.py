"""Embeddings that find copies of an image, cropped, recoloured or written over, by a network of yours as an ONNX file.

DataComp took the descriptor that won the image similarity challenge of 2021 (Yokoo), and left out what had a cosine above 0.604169
with an image of its evaluation sets.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from curate.facts.contract import REASON, Columns, column, unless
from curate.scores import onnx
from curate.scores.contract import Kind
from curate.scores.settings import Copies


class CopiesScorer(onnx.NetworkScorer):
    """`schemas/scores/copies.yaml`."""

    def __init__(self, settings: Copies, session: Any):
        super().__init__(settings, session)
        blank = np.zeros((settings.side, settings.side, 3), np.uint8)
        self._width = self.outputs([blank]).shape[1]

    def answer(self, seen: list[np.ndarray]) -> Columns:
        return {"image_embedding": self.outputs(seen) if seen else np.zeros((0, self._width))}

    def score(self, rows: pa.Table, images: Columns, image_of: np.ndarray) -> Columns:
        found = images["image_embedding"][image_of]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            unit = found / np.linalg.norm(found, axis=1, keepdims=True)
        good = np.isfinite(unit).all(axis=1)
        return {"image_embedding": column(unit), REASON: unless(good, "not_finite")}


def load(settings: Copies, device: str, identity: Mapping[str, Any]) -> CopiesScorer:
    """Raises ModelError as `onnx.session`."""
    return CopiesScorer(settings, onnx.session(settings, device, identity))


KIND = Kind(
    needs="pixels",
    load=load,
    identity=onnx.identity,
    on_device=True,
    learned_from="A network that the recipe brings: what it was trained on is for its makers to tell.",
)
