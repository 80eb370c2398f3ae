"""How likely an image has a watermark, by a classifier of yours as an ONNX file. No package ships one."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from curate.scores.contract import REASON, Columns, Kind, Picture, Scorer, unless
from curate.scores.settings import Watermark
from curate.weights import ModelError, sha256


class WatermarkScorer(Scorer):
    """`schemas/scores/watermark.yaml`."""

    batch_size = 32

    def __init__(self, settings: Watermark, session: Any):
        self._settings, self._session = settings, session

    def see(self, picture: Picture) -> np.ndarray:
        """The whole picture at the network's size: a watermark may be in any corner, so nothing is cut off."""
        side = self._settings.side
        return np.asarray(picture.pixels.resize((side, side), Image.Resampling.BICUBIC, reducing_gap=3.0))

    def answer(self, seen: list[np.ndarray]) -> Columns:
        if not seen:
            return {"watermark": np.zeros(0, np.float32)}
        pixels = (np.stack(seen) / 255 - self._settings.mean) / self._settings.std
        outputs = self._outputs(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2), np.float32))
        if self._settings.output == "sigmoid":
            outputs = 1 / (1 + np.exp(-np.clip(outputs, -500, 500)))
        elif self._settings.output == "softmax":
            odds = np.exp(outputs - outputs.max(axis=1, keepdims=True))
            outputs = odds / odds.sum(axis=1, keepdims=True)
        return {"watermark": outputs[:, self._settings.watermarked].astype(np.float32)}

    def _outputs(self, pixels: np.ndarray) -> np.ndarray:
        """float64, shape (n, classes). Raises ModelError where the network is not for such pixels."""
        try:
            (outputs,) = self._session.run(None, {self._session.get_inputs()[0].name: pixels})[:1]
        except Exception as error:
            raise ModelError(
                f"watermark: {self._settings.network} does not take pixels of shape {pixels.shape}: {error}"
            ) from error
        outputs = np.asarray(outputs, np.float64)
        outputs = outputs.reshape(len(outputs), -1) if outputs.ndim else outputs
        if outputs.shape[:1] != (len(pixels),) or outputs.shape[1] <= self._settings.watermarked:
            raise ModelError(
                f"watermark: {self._settings.network} answers {len(pixels)} images with shape {outputs.shape}; `watermarked` is "
                f"{self._settings.watermarked}"
            )
        return outputs

    def score(self, rows: Any, images: Columns, image_of: np.ndarray) -> Columns:
        values = images["watermark"][image_of]
        ok = (values >= 0) & (values <= 1)  # a NaN is neither, and what is no probability is no answer
        return {"watermark": values, REASON: unless(ok, "not_finite")}


def load(settings: Watermark, device: str, identity: Mapping[str, Any]) -> WatermarkScorer:
    """Raises ModelError when the network is not here, is something else, or not the one that was planned with."""
    if identity["revision"] != sha256(place(settings)):
        raise ModelError(f"watermark: {place(settings)} is not the network that this run was planned with")
    return WatermarkScorer(settings, _session(place(settings), device))


def place(settings: Watermark) -> Path:
    """The network's file. Raises ModelError where there is none."""
    file = Path(settings.network)
    if not file.is_file():
        raise ModelError(
            f"no network at {file.absolute()}: an ONNX file of an image classifier that knows watermarks is wanted, from whoever trained "
            "it; none ships with any package, so there is nothing to take in its place"
        )
    return file


@lru_cache(maxsize=1)
def _session(file: Path, device: str) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise ModelError(f"watermark: ONNX Runtime is not here ({error}): pip install 'curate-pairs[onnx]'") from error
    wanted = ["CPUExecutionProvider"] if device == "cpu" else onnxruntime.get_available_providers()
    try:
        return onnxruntime.InferenceSession(str(file), providers=wanted)
    except Exception as error:  # hostile bytes may raise anything
        raise ModelError(f"watermark: {file} is not an ONNX network: {error}") from error


KIND = Kind(
    needs="pixels", load=load, on_device=True,
    identity=lambda settings: settings.identity() | {"network": place(settings).name, "revision": sha256(place(settings))},
)  # fmt: skip
