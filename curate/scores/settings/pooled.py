"""Settings of the scorers whose answer about a row depends on the whole pool."""

from typing import Annotated, ClassVar, Literal

import msgspec

from curate.scores.settings.base import OfPool
from curate.settings import Name


class ClipLoss(OfPool, frozen=True, kw_only=True, tag="s_cliploss"):
    """The cosine, normalised in random batches; see `curate.scores.cliploss`."""

    batch: Annotated[int, msgspec.Meta(ge=2)] = 32_768
    """Pairs that each pair is measured against."""
    repeats: Annotated[int, msgspec.Meta(ge=1)] = 5
    """Batches whose scores are averaged. A worker holds them all: 67 MB each at the width of ViT-B/32."""
    temperature: Annotated[float, msgspec.Meta(gt=0)] = 0.01
    """0.01 is where OpenAI's models ended, 0.07 where training begins."""
    seed: int = 0


class NormSim(OfPool, frozen=True, kw_only=True, tag="normsim"):
    """Nearness to a target set; see `curate.scores.normsim`."""

    target: str
    """The name of one of `evaluate.sets`, or a folder of images."""


class Clusters(OfPool, frozen=True, kw_only=True, tag="clusters"):
    """k-means over the pool's images; see `curate.scores.clusters`."""

    clusters: Annotated[int, msgspec.Meta(ge=1)] = 100_000
    points: Annotated[int, msgspec.Meta(ge=1)] = 100
    """Sampled images for each centroid, on average."""
    target: str | None = None
    """The name of one of `evaluate.sets`, or a folder of images; without it `near_target` is null."""
    seed: int = 0

    def unanswered(self) -> dict[str, str]:
        return {} if self.target else {"near_target": "target"}


class PseudoLabels(OfPool, frozen=True, kw_only=True, tag="pseudo_labels"):
    """Zero-shot labels, and the most confident of each; see `curate.scores.pseudo_labels`."""

    classes: Name
    """The name of one of `evaluate.sets`: its labels and templates."""
    each: Annotated[int, msgspec.Meta(ge=1)] = 1000
    """K: images that are chosen of each class, at most."""
    scale: Annotated[float, msgspec.Meta(gt=0)] = 100.0
    """Of the cosines before the softmax: one over the temperature."""


class Hype(OfPool, frozen=True, kw_only=True, tag="hype"):
    """How specific an image and a text are, by a hyperbolic model; see `curate.scores.hype`."""

    # Where the reference is kept: what is in it stands among the inputs.
    runtime: ClassVar[tuple[str, ...]] = ("name", "reference")

    reference: str | None = None
    """What specificity is measured against: an `.npz` with `image` and `text`, vectors as the model gives them, float of shape (n, width);
    or a table of the same model's scores in another workdir (`workdirs/clean/scores/meru`), drawn from by hash; null: the pool itself is."""
    references: Annotated[int, msgspec.Meta(ge=1, le=2**20)] = 4096
    """Pairs that are drawn, at most."""
    against: Literal["other", "same"] = "other"
    """other: an image against texts and a text against images; same: against its own kind."""
    cosine: Name | None = None
    """Name of another one of score.models whose similarity is added to the sum, as HYPE adds CLIP's."""
    seed: int = 0
