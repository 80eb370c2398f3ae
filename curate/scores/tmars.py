"""T-MARS: the CLIP similarity of a text and what is left of its image when the text in it is masked (Maini et al. 2023).

An image that agrees with its caption by what is written in it falls; one that shows what its caption says stays ("T-MARS: Improving
Visual Representations by Circumventing Text Feature Learning", whose filter keeps the upper half). Boxes of text are filled with the
mean colour of what surrounds them. The paper finds them with FAST (Chen et al. 2021); here `curate.scores.lettering` finds them, which
is weaker, or a network of yours.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image, ImageDraw

from curate import models
from curate.facts.contract import REASON, Columns, Picture, Scorer
from curate.recipe import Model
from curate.scores import lettering, onnx
from curate.scores.clip import ClipScorer
from curate.scores.contract import Kind
from curate.scores.settings import CLASSICAL, Tmars
from curate.weights import ModelError

Detector = Callable[[Image.Image], np.ndarray]
"""A picture -> boxes of text relative to it: left, top, right, bottom in 0..1, float64 of shape (n, 4)."""
SIDE = 640
"""Pixels of the longer side, at most, of the copy on which areas and colours are taken."""


class TmarsScorer(Scorer):
    """`schemas/scores/tmars.yaml`."""

    reads = ClipScorer.reads

    def __init__(self, settings: Tmars, detector: Detector, model: models.Clip):
        self._margin, self._detector, self._clip = settings.margin, detector, ClipScorer(model)
        self.batch_size = self._clip.batch_size

    def see(self, picture: Picture) -> tuple[Any, float, int]:
        """The model's input for the masked picture, the share that is masked, and how many boxes are."""
        boxes = self._detector(picture.pixels)
        image, share = masked(picture.pixels, boxes, self._margin)
        return self._clip.see(Picture(b"", image)), share, len(boxes)

    def answer(self, seen: list[tuple[Any, float, int]]) -> Columns:
        return self._clip.answer([pixels for pixels, *_ in seen]) | {
            "text_share": np.array([share for _, share, _ in seen], np.float32),
            "text_boxes": np.array([boxes for *_, boxes in seen], np.int32),
        }

    def score(self, rows: pa.Table, images: Columns, image_of: np.ndarray) -> Columns:
        found = self._clip.score(rows, images, image_of)
        facts = {name: images[name][image_of] for name in ("text_share", "text_boxes")}
        return facts | {name: found[name] for name in ("similarity_score", REASON)}


def masked(image: Image.Image, boxes: np.ndarray, margin: float) -> tuple[Image.Image, float]:
    """The image with its boxes filled, and the share of its area that they are; the image itself where there are none.

    `margin`: heights of a box that it grows by on each side. A box takes the mean colour of a frame around it, a quarter of its height
    wide, as far as no other box covers it; the mean of all that is not covered where nothing of the frame is left; and that of the
    image where nothing is left at all.
    """
    if not len(boxes):
        return image, 0.0
    small = np.asarray(_within(image, SIDE))
    size = np.array(small.shape[1::-1])
    grown = _grown(boxes * np.tile(size, 2), margin, size)
    open_ = np.ones(small.shape[:2], bool)
    for left, top, right, bottom in _whole(grown):
        open_[top:bottom, left:right] = False
    rest = small[open_] if open_.any() else small.reshape(-1, 3)
    filled, scale = image.copy(), np.tile(np.array(image.size) / size, 2)
    draw, usual = ImageDraw.Draw(filled), rest.mean(axis=0)
    # Boxes keep their size between the two copies: none is lost to rounding, since a pixel that is touched is filled.
    for place, frame in zip(_whole(grown * scale), _whole(_grown(grown, 0.25, size, least=2)), strict=True):
        left, top, right, bottom = frame
        around = small[top:bottom, left:right][open_[top:bottom, left:right]]
        colour = around.mean(axis=0) if len(around) else usual
        left, top, right, bottom = place
        draw.rectangle((left, top, right - 1, bottom - 1), tuple(int(value) for value in np.rint(colour)))
    return filled, float(1 - open_.mean())


def _grown(boxes: np.ndarray, by: float, size: np.ndarray, least: float = 0) -> np.ndarray:
    more = np.maximum(by * (boxes[:, 3] - boxes[:, 1]), least)[:, None]
    return np.clip(boxes + more * (-1, -1, 1, 1), 0, np.tile(size, 2))


def _whole(boxes: np.ndarray) -> list[list[int]]:
    """Boxes in whole pixels, all that they touch, one at least."""
    low = np.floor(boxes[:, :2] + 1e-6)
    return np.concatenate([low, np.maximum(np.ceil(boxes[:, 2:] - 1e-6), low + 1)], axis=1).astype(np.int64).tolist()


def _within(image: Image.Image, side: int) -> Image.Image:
    """The picture with a longer side of `side` at most."""
    scale = side / max(image.size)
    if scale >= 1:
        return image
    return image.resize((max(round(image.width * scale), 1), max(round(image.height * scale), 1)), reducing_gap=2.0)


def by_network(image: Image.Image, *, settings: Tmars, session: Any) -> np.ndarray:
    """Boxes of the connected parts of a network's map that are text, as a Detector; the largest of them.

    The picture lies in the upper left of a square of the network's mean colour. Raises ModelError where the answer is no map.
    """
    import cv2

    side = settings.side
    scale = side / max(image.size)
    size = max(round(image.width * scale), 1), max(round(image.height * scale), 1)
    mean = [round(255 * min(max(value, 0), 1)) for value in settings.mean]
    square = Image.new("RGB", (side, side), tuple(mean))
    square.paste(image.resize(size, reducing_gap=2.0))
    found = onnx.asked(session, settings, [np.asarray(square)])
    if found.ndim not in (3, 4) or found.size != found.shape[-1] * found.shape[-2] or not found.size:
        raise ModelError(
            f"tmars: {settings.detector} answers shape {found.shape}; a map of shape (n, 1, height, width) or (n, height, width) is wanted"
        )
    # A NaN is no text.
    text = (found.reshape(found.shape[-2:]) >= settings.threshold).astype(np.uint8)
    stats = cv2.connectedComponentsWithStats(text, connectivity=8)[2][1:].astype(np.float64)
    left, top, width, height = stats[np.argsort(-stats[:, 4], kind="stable")[: lettering.MOST], :4].T
    cells = np.array(text.shape[1::-1]) * size / side
    return _inside(np.stack([left, top, left + width, top + height], axis=1) / np.tile(cells, 2))


def _inside(boxes: np.ndarray) -> np.ndarray:
    """Of relative boxes what lies in the picture, and not in what was added to make it square."""
    boxes = np.clip(boxes, 0, 1)
    return boxes[(boxes[:, 0] < boxes[:, 2]) & (boxes[:, 1] < boxes[:, 3])]


def load(settings: Tmars, device: str, identity: Mapping[str, Any], model: Model) -> TmarsScorer:
    """Raises ModelError where the model or the detector is not here, or not what was planned with."""
    try:
        import cv2  # noqa: F401
    except ImportError as error:
        raise ModelError(
            f"tmars: OpenCV finds text, and is not here ({error}): pip install 'curate-pairs[faces]'"
        ) from error
    detector: Detector = lettering.lines
    if settings.detector != CLASSICAL:
        _place(settings)
        detector = partial(by_network, settings=settings, session=onnx.session(settings, device, identity))
    return TmarsScorer(settings, detector, models.load(model, device, identity["clip"]["revision"]))


def _place(settings: Tmars) -> Path:
    if not Path(settings.detector).is_file():
        raise ModelError(
            f"tmars: no detector at {Path(settings.detector).absolute()}: an ONNX file is wanted, or {CLASSICAL!r}, which needs none"
        )
    return Path(settings.detector)


def _identity(settings: Tmars) -> dict[str, Any]:
    plain = settings.identity()
    if settings.detector == CLASSICAL:
        return {name: value for name, value in plain.items() if name not in Tmars.of_networks}
    return plain | {"detector": _place(settings).name, "revision": onnx.identity(settings)["revision"]}


KIND = Kind(
    needs="pixels",
    load=load,
    identity=_identity,
    on_device=True,
    learned_from="The model's similarity. Letters are found without a network, unless the recipe brings one.",
)
