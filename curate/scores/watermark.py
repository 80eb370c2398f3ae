"""How likely an image has a watermark, by a classifier of yours as an ONNX file."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from curate.facts.contract import REASON, Columns, unless
from curate.scores import onnx
from curate.scores.contract import Kind
from curate.scores.settings import Watermark
from curate.weights import ModelError


class WatermarkScorer(onnx.NetworkScorer):
    """`schemas/scores/watermark.yaml`."""

    def answer(self, seen: list[np.ndarray]) -> Columns:
        if not seen:
            return {"watermark": np.zeros(0, np.float32)}
        outputs, place = self.outputs(seen), self._settings.watermarked
        if outputs.shape[1] <= place:
            raise ModelError(
                f"{self._settings.network} has {outputs.shape[1]} outputs, from 0 on, and `watermarked` is {place}"
            )
        if self._settings.output == "sigmoid":
            outputs = 1 / (1 + np.exp(-np.clip(outputs, -500, 500)))
        elif self._settings.output == "softmax":
            odds = np.exp(outputs - outputs.max(axis=1, keepdims=True))
            outputs = odds / odds.sum(axis=1, keepdims=True)
        return {"watermark": outputs[:, place].astype(np.float32)}

    def score(self, rows: pa.Table, images: Columns, image_of: np.ndarray) -> Columns:
        values = images["watermark"][image_of]
        # A NaN is neither, and what is no probability is no answer.
        return {"watermark": values, REASON: unless((values >= 0) & (values <= 1), "not_finite")}


def load(settings: Watermark, device: str, identity: Mapping[str, Any]) -> WatermarkScorer:
    """Raises ModelError as `onnx.session`."""
    return WatermarkScorer(settings, onnx.session(settings, device, identity))


KIND = Kind(
    needs="pixels",
    load=load,
    identity=onnx.identity,
    on_device=True,
    learned_from="A network that the recipe brings: what it was trained on is for its makers to tell.",
)
