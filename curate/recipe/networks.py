"""Networks that are trained to filter with: on what, and how."""

from typing import Annotated, ClassVar, Literal

import msgspec

from curate.recipe.proving import Train
from curate.settings import Count, Limit, Name, Positive, Settings

Places = Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
OF_COMPARISONS = ("seeds", "sets", "online_balance", "together")
"""Settings of `train` that say how several trainings are compared: a filter network is one."""


class Trusted(Settings, frozen=True, kw_only=True):
    """Pairs that are taken to be right, in WebDataset tars."""

    # Where the tars are kept: what is in them stands among the inputs.
    runtime: ClassVar[tuple[str, ...]] = ("shards",)

    shards: str | Places
    """A dataset of shards that `shard` has made (`workdirs/clean/shards`), a folder of tars, a tar, or a glob; paths or URLs, several
    in a list."""
    name: Name = "trusted"
    """What the network's card calls it."""
    about: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    """Where the set is from, for the card."""
    includes: tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=100)], ...] = ()
    """Benchmarks whose training images are in it (`[COCO, Flickr30k, ImageNet]`): no hash of test images finds them, so the card
    warns by what is said here."""


class FineTune(Trusted, frozen=True, kw_only=True):
    """A second set of higher quality, on which training goes on."""

    name: Name = "fine-tune"
    samples_seen: Count
    batch_size: Count | None = None
    """This and what follows: as in `train` where it is null."""
    learning_rate: Positive | None = None
    warmup: Limit | None = None


class FilterNetwork(Settings, frozen=True, kw_only=True):
    """A CLIP to score with, trained on trusted pairs by `curate filter-network` (Fang et al., "Data Filtering Networks", 2023)."""

    runtime: ClassVar[tuple[str, ...]] = ("workers",)

    trusted: Trusted | None = None
    fine_tune: FineTune | None = None
    objective: Literal["contrastive", "hyperbolic"] = "contrastive"
    """hyperbolic: a network in the manner of MERU, which the scorer `hype` needs; see `curate.training.objectives`."""
    train: Train = Train()
    """As the section `train`, but for what compares several trainings. The seed is the recipe's."""
    max_pixels: Count = 50_000_000
    """Of an image of the sets, checked in the header."""
    workers: Count = 1
    """Processes that look through the tars; above 1 they are Ray's."""

    def __post_init__(self) -> None:
        usual = {field.name: field.default for field in msgspec.structs.fields(Train)}
        for name in OF_COMPARISONS:
            if getattr(self.train, name) != usual[name]:
                raise ValueError(
                    f"train.{name} compares trainings, and a filter network is one: leave it out (the seed is the recipe's `seed`)"
                )
        if self.fine_tune and not self.trusted:
            raise ValueError("fine_tune goes on where the training on `trusted` ends: name that set too")
        if self.trusted and self.fine_tune and self.trusted.name == self.fine_tune.name:
            raise ValueError(f"trusted and fine_tune are both called {self.trusted.name!r}; give one another name")

    def finishing(self) -> Train:
        """The settings of the training on the second set."""
        assert self.fine_tune is not None
        changed = {
            name: getattr(self.fine_tune, name) for name in ("samples_seen", "batch_size", "learning_rate", "warmup")
        }
        return msgspec.structs.replace(
            self.train, **{name: value for name, value in changed.items() if value is not None}
        )
