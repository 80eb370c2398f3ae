"""What the settings of all scorers share, and of those that name a model of the recipe."""

from typing import Any, ClassVar

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

    def unanswered(self) -> dict[str, str]:
        """Columns of its table that have no value for any row, by these settings, and the setting of each that is missing."""
        return {}

    def identity(self) -> dict[str, Any]:
        return {"scorer": self.word} | super().identity()


class OfModel(Scorer, frozen=True, kw_only=True):
    """A scorer with a model of the recipe."""

    model: Name
    """Name of the model, one of score.models."""


class OfEmbeddings(OfModel, frozen=True, kw_only=True):
    """A scorer that reads the embeddings which the model has stored."""


class OfPool(OfEmbeddings, frozen=True, kw_only=True):
    """A scorer of embeddings whose answer about a pair depends on other pairs; see `curate.scores.derived`."""
