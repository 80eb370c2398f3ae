"""Networks that are trained to filter and to rank with: on what, and how."""

from typing import Annotated, ClassVar, Literal

import msgspec

from curate.recipe.proving import Train
from curate.settings import Count, Limit, Name, Positive, Settings, Share

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


class GrammarHead(Settings, frozen=True, kw_only=True):
    """A head that tells texts from corruptions of them, trained by `curate grammar-head` for the scorer `grammar`."""

    # Where the texts are kept: what is in them stands among the inputs.
    runtime: ClassVar[tuple[str, ...]] = ("texts",)

    model: Name | None = None
    """Of score.models, the one whose text embeddings the head takes."""
    texts: str | None = None
    """Good sentences: a file with one a line (.txt, .txt.gz), a Parquet file, or a dataset of the workdir (`captions/describe`)."""
    column: str = "text"
    """Of a Parquet file or dataset: texts, or lists of them (`captions`)."""
    where: dict[str, str | tuple[str, ...]] = {}
    """Rows with these values alone, by column (`{lang: [en]}`)."""
    most: Count = 50_000
    """Texts that are taken, drawn by hash. At the width of ViT-B/32 they and their corruptions need 6 KB each."""
    min_words: Annotated[int, msgspec.Meta(ge=2)] = 3
    """Shorter texts are left out: of two words every order is a caption."""
    held_out: Share = 0.2
    """Share of the texts that the head is measured on, and learns nothing from."""
    draws: Count = 5
    """Corruptions of each text to learn from, each one of five."""
    hidden: Count = 256
    """Width between the two layers."""
    epochs: Count = 12
    learning_rate: Positive = 1e-3
    weight_decay: Annotated[float, msgspec.Meta(ge=0)] = 0.1
    batch_size: Count = 128
