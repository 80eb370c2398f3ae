"""What an image's own pixels say, without a model: whether it moves, whether it shows anything, and how sharply."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from curate.facts.contract import Columns, Picture, Scorer
from curate.images.decoding import frames
from curate.scores.contract import Kind
from curate.scores.settings import Pixels


class PixelScorer(Scorer):
    """`schemas/scores/pixels.yaml`."""

    def __init__(self, settings: Pixels):
        self._settings = settings

    def see(self, picture: Picture) -> tuple[int, float, float]:
        return frames(picture.data), contrast(picture), sharpness(picture)

    def answer(self, seen: list[tuple[int, float, float]]) -> Columns:
        contrasts = np.array([value for _, value, _ in seen], np.float32)
        return {
            "frames": np.array([count for count, _, _ in seen], np.int32),
            "sharpness": np.array([value for *_, value in seen], np.float32),
            "contrast": contrasts,
            "near_constant": contrasts < np.float32(self._settings.near_constant),
        }


def contrast(picture: Picture) -> float:
    """Standard deviation of the luma (ITU-R 601) over all pixels, where black is 0 and white 1."""
    counts = np.array(picture.pixels.convert("L").histogram(), np.float64)
    levels = np.arange(256) / 255
    mean = counts @ levels / counts.sum()
    return float(np.sqrt(counts @ (levels - mean) ** 2 / counts.sum()))


def sharpness(picture: Picture) -> float:
    """Variance of the Laplacian of the luma (0..255) with four neighbours (Pech-Pacheco et al. 2000); 0 below 3 pixels a side."""
    luma = np.asarray(picture.pixels.convert("L"), np.int16)
    if min(luma.shape) < 3:
        return 0.0
    found = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:] - 4 * luma[1:-1, 1:-1]
    return float(found.var(dtype=np.float64))


def load(settings: Pixels, device: str, identity: Mapping[str, Any]) -> PixelScorer:
    return PixelScorer(settings)


KIND = Kind(
    needs="pixels",
    load=load,
    learned_from="No model: arithmetic over the pixels.",
)
