"""An open-vocabulary detector as a backend: asked for phrases, a line each, it answers with boxes as JSON.

OWLv2 and OWL-ViT (Minderer et al. 2023, 2022) as transformers saves them. Each box goes to the phrase that it is surest of. The answer is a
JSON list, the surest first, of [index of the phrase, score, left, top, right, bottom], the last four relative to the image, in [0, 1].
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from curate import hugging
from curate.backends.contract import Answer, Batched, Request
from curate.backends.settings import Owl
from curate.images.decoding import ImageError
from curate.models import device_of
from curate.weights import ModelError

MODELS = ("owlv2", "owlvit")
"""`model_type` in config.json of what is known to work."""


class Box(NamedTuple):
    """Where a phrase is seen."""

    phrase: int
    score: float
    left: float
    top: float
    right: float
    bottom: float


class Detector(Batched):
    """A detector; images of a batch are looked at together, each for its own phrases."""

    sees = True

    def __init__(self, settings: Owl, model: Any, processor: Any, device: str, identity: Mapping[str, Any]):
        self._settings, self._model, self._processor, self._device = settings, model, processor, device
        self._identity, self.batch_size = identity, settings.batch_size
        self.concurrency = 2 * settings.batch_size

    @property
    def identity(self) -> Mapping[str, Any]:
        return self._identity

    def answers(self, requests: Sequence[Request]) -> list[Answer]:
        return [self._answer(request) for request in requests]

    def _answer(self, request: Request) -> Answer:
        phrases = [line for line in request.prompt.splitlines() if line]
        if request.photo is None or not phrases:
            return Answer(status="rejected")
        try:
            image = request.photo.pixels
        except ImageError:
            return Answer(status="undecodable")
        boxes, scores, labels, tokens = self._seen(image, phrases)
        found = kept(boxes, scores, labels, self._settings)
        return Answer(msgspec.json.encode(found).decode(), "stop", tokens, len(found))

    def _seen(self, image: Any, phrases: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
        """Boxes (n, 4) relative to the image, their scores (n,) and the phrases that they are surest of (n,); and tokens that were read."""
        import torch

        inputs = self._processor(text=[phrases], images=[image], return_tensors="pt", truncation=True)
        tokens = int(inputs["attention_mask"].sum())
        with torch.inference_mode():
            out = self._model(**inputs.to(self._device))
        scores, labels = out.logits[0].float().sigmoid().max(dim=-1)
        centre = out.pred_boxes[0].float().cpu().numpy()
        half = centre[:, 2:] / 2
        boxes = np.concatenate([centre[:, :2] - half, centre[:, :2] + half], axis=1)
        # OWLv2 pads an image to a square, below and to the right, and its boxes are relative to that.
        if self._model.config.model_type == "owlv2":
            boxes *= max(image.size) / np.array([*image.size, *image.size])
        return boxes.astype(np.float64), scores.cpu().numpy(), labels.cpu().numpy(), tokens


def kept(boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, settings: Owl) -> list[Box]:
    """The surest boxes, inside the image, without those that overlap a surer one of any phrase."""
    boxes = np.clip(boxes, 0, 1).round(5)
    sides = boxes[:, 2:] - boxes[:, :2]
    order = np.flatnonzero((scores >= settings.floor) & (sides > 0).all(axis=1) & np.isfinite(scores))
    order = order[np.argsort(-scores[order], kind="stable")]
    areas = sides.prod(axis=1)
    found: list[int] = []
    for place in order:
        if len(found) == settings.most:
            break
        others = np.array(found, int)
        inner = np.minimum(boxes[others, 2:], boxes[place, 2:]) - np.maximum(boxes[others, :2], boxes[place, :2])
        shared = np.clip(inner, 0, None).prod(axis=1)
        if not (shared > settings.iou * (areas[others] + areas[place] - shared)).any():
            found.append(int(place))
    return [Box(int(labels[i]), round(float(scores[i]), 4), *boxes[i].tolist()) for i in found]


def read(text: str, phrases: int) -> list[Box]:
    """The boxes in an answer. Raises ValueError for anything else, and for a box that is not inside the image or of no phrase."""
    try:
        found = msgspec.json.decode(text, type=list[Box])
    except msgspec.MsgspecError as error:
        raise ValueError(f"no boxes: {error}") from error
    for box in found:
        if not (
            0 <= box.phrase < phrases
            and 0 <= box.left < box.right <= 1
            and 0 <= box.top < box.bottom <= 1
            and 0 <= box.score <= 1
        ):
            raise ValueError(f"no box of an image: {box}")
    return found


def identity(settings: Owl) -> dict[str, Any]:
    """Raises ModelError when the detector is not here."""
    return settings.identity() | hugging.described(Path(settings.model), MODELS, "an OWLv2 or OWL-ViT")


@lru_cache(maxsize=1)
def load(settings: Owl, device: str) -> Detector:
    """The detector, kept warm. ModelError when it is not here."""
    known, folder, target = identity(settings), Path(settings.model), device_of(device)
    try:
        transformers = hugging.quiet()
    except ImportError as error:
        raise ModelError(
            f"transformers reads detectors, and is not here ({error}): pip install 'curate-pairs[transformers]'"
        ) from error
    safe = {"local_files_only": True, "trust_remote_code": False}
    try:
        model = transformers.AutoModelForZeroShotObjectDetection.from_pretrained(folder, use_safetensors=True, **safe)
        processor = transformers.AutoProcessor.from_pretrained(folder, **safe)
    except Exception as error:  # hostile files may raise anything
        raise ModelError(f"{folder} is not a detector that transformers loads safely: {error}") from error
    return Detector(settings, model.eval().to(target), processor, target, known)
