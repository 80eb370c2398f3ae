"""What the settings of all scorers share, and of those that name a model of the recipe."""

from curate.settings import Name, Tagged


class Scorer(Tagged, frozen=True, kw_only=True, tag_field="scorer"):
    """One item of `score.scorers`: its table is `scores/<name>`, its word a key of `curate.scores.registry.KINDS`."""

    def unanswered(self) -> dict[str, str]:
        """Columns of its table that have no value for any row, by these settings, and the setting of each that is missing."""
        return {}


class OfModel(Scorer, frozen=True, kw_only=True):
    """A scorer with a model of the recipe."""

    model: Name
    """Name of the model, one of score.models."""


class OfEmbeddings(OfModel, frozen=True, kw_only=True):
    """A scorer that reads the embeddings which the model has stored."""


class OfPool(OfEmbeddings, frozen=True, kw_only=True):
    """A scorer of embeddings whose answer about a pair depends on other pairs; see `curate.scores.derived`."""
