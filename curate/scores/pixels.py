"""What an image's own pixels say, without a model: whether it moves, and whether it shows anything."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from curate.images.decoding import frames
from curate.scores.contract import Columns, Kind, Picture, Scorer
from curate.scores.settings import Pixels


class PixelScorer(Scorer):
    """`schemas/scores/pixels.yaml`."""

    def __init__(self, settings: Pixels):
        self._settings = settings

    def see(self, picture: Picture) -> tuple[int, float]:
        return frames(picture.data), contrast(picture)

    def answer(self, seen: list[tuple[int, float]]) -> Columns:
        contrasts = np.array([value for _, value in seen], np.float32)
        return {
            "frames": np.array([count for count, _ in seen], np.int32),
            "contrast": contrasts,
            "near_constant": contrasts < np.float32(self._settings.near_constant),
        }


def contrast(picture: Picture) -> float:
    """Standard deviation of the luma (ITU-R 601) over all pixels, where black is 0 and white 1."""
    counts = np.array(picture.pixels.convert("L").histogram(), np.float64)
    levels = np.arange(256) / 255
    mean = counts @ levels / counts.sum()
    return float(np.sqrt(counts @ (levels - mean) ** 2 / counts.sum()))


def load(settings: Pixels, device: str, identity: Mapping[str, Any]) -> PixelScorer:
    return PixelScorer(settings)


KIND = Kind(needs="pixels", load=load)
