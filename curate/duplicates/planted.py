"""Copies as the web makes them, planted to find where a model's cosine of a picture and its copy ends.

DataComp calls a cosine above 0.604169 of the ISC copy-detection model a copy (Gadre et al. 2023, arXiv:2304.14108). Other models
have other scales: their threshold is what lets a stated share of planted copies be found.
"""

import io
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from curate.duplicates import embeddings
from curate.recipe import Dedup, RecipeError

Embed = Callable[[Iterable[Image.Image]], np.ndarray]
"""RGB pictures -> float32 vectors of length 1, shape (n, width)."""
SAMPLE = 256
"""Pictures that a threshold is calibrated on."""


def crop(image: Image.Image) -> Image.Image:
    """Without a twentieth at each side."""
    x, y = image.width // 20, image.height // 20
    return image.crop((x, y, image.width - x, image.height - y))


def scale(image: Image.Image) -> Image.Image:
    """Half as wide and high."""
    return image.resize((max(image.width // 2, 1), max(image.height // 2, 1)), Image.Resampling.BICUBIC)


def jpeg(image: Image.Image, quality: int = 40) -> Image.Image:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return Image.open(out).convert("RGB")


def overlay(image: Image.Image) -> Image.Image:
    """With an address written over its lower edge, a twelfth of the height, as sites mark what they show."""
    marked, height = image.copy(), max(image.height // 12, 6)
    place = (image.width // 20, image.height - 2 * height)
    ImageDraw.Draw(marked).text(
        place,
        "www.example.com",
        "white",
        ImageFont.load_default(height),
        stroke_width=max(height // 10, 1),
        stroke_fill="black",
    )
    return marked


def flip(image: Image.Image) -> Image.Image:
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


EDITS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "crop": crop, "scale": scale, "jpeg": jpeg, "overlay": overlay, "flip": flip,
}  # fmt: skip


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """A threshold and what it does on the pictures it was found on."""

    cosine: float
    """Copies are those with a cosine above it."""
    recall: float
    """Share of all planted copies that are found, at least what was asked."""
    found: dict[str, float]
    """The same for each edit."""
    strangers: float
    """Share of the pictures that have another one of them above the threshold: copies among them, or what the model confuses."""
    pictures: int


def calibrate(pictures: Sequence[Image.Image], embed: Embed, recall: float) -> Calibration:
    """The greatest cosine, in millionths, above which at least `recall` of the planted copies have their original."""

    def rounded(images: Iterable[Image.Image]) -> np.ndarray:
        return embeddings.unit(embed(images).astype(np.float16))  # as scores keep them

    originals = rounded(pictures)
    cosines = {
        name: np.einsum("ij,ij->i", originals, rounded(edit(picture) for picture in pictures)).astype(np.float64)
        for name, edit in EDITS.items()
    }
    every = np.sort(np.concatenate(list(cosines.values())))
    missed = int((1 - recall) * len(every) + 1e-9)
    cosine = float(np.ceil(every[missed] * 1e6) - 1) / 1e6
    others = originals @ originals.T
    np.fill_diagonal(others, -1)
    return Calibration(
        cosine=cosine,
        recall=_share(every > cosine),
        found={name: _share(mine > cosine) for name, mine in cosines.items()},
        strangers=_share(others.max(axis=1) > cosine),
        pictures=len(pictures),
    )


def checked(found: Calibration | None, settings: Dedup) -> Calibration | None:
    """The calibration; RecipeError when the model takes too many other pictures for copies."""
    if found and found.strangers > settings.evaluation_strangers:
        raise RecipeError(
            f"dedup.evaluation_cosine: calibrated: {settings.semantic_model} does not tell copies from other pictures: above the cosine of "
            f"{found.cosine} that finds {found.recall:.0%} of the planted copies, {found.strangers:.0%} of {found.pictures} evaluation images "
            f"have another one of them (evaluation_strangers allows {settings.evaluation_strangers:.0%}). Name a copy-detection model as "
            "semantic_model, ask for less (evaluation_recall), or give a cosine that you trust"
        )
    return found


def embedder(clip: Any) -> Embed:
    """The image side of a loaded model (`curate.models.Clip`)."""
    return lambda pictures: clip.image_embeddings(clip.pixels(picture) for picture in pictures)


def _share(mask: np.ndarray) -> float:
    return round(float(mask.mean()), 6)
