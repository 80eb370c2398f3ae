"""Which models and scorers say something of a pair."""

from typing import ClassVar

from curate.scores.settings import AnyScorer, OfModel, Scorer
from curate.settings import Count, Settings
from curate.store import nearest
from curate.weights import Model


class Score(Settings, frozen=True, kw_only=True):
    runtime: ClassVar[tuple[str, ...]] = ("workers", "device", "threads")

    models: tuple[Model, ...] = ()
    scorers: tuple[AnyScorer, ...] = ()
    """Further facts, each a table `scores/<name>` of its own (`{scorer: pixels}`); see `curate.scores.settings`."""
    npz: bool = False
    """Whether the models' embeddings also lie beside each part as `.npz`, float16, under DataComp's keys (`b32_img`, `b32_txt`)."""
    device: str = "auto"
    """`auto` takes CUDA where present."""
    workers: Count = 1
    threads: Count = 2
    """In each worker, that decode images and make them ready while the models compute."""

    def __post_init__(self) -> None:
        names = self.names()
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"two of models and scorers are called {twice[0]!r}; give one of them another name")
        for scorer in self.scorers:
            if isinstance(scorer, OfModel):
                self.models_of(scorer)

    def all(self) -> list["Model | Scorer"]:
        """Models and scorers, in order: a table each."""
        return [*self.models, *self.scorers]

    def names(self) -> list[str]:
        """What the tables of this stage are called, after `scores/`, in order."""
        return [one.name for one in self.all()]

    def model_of(self, scorer: OfModel) -> Model:
        """The model that a scorer names. ValueError for a name that none has."""
        return self.named(scorer.model, scorer)

    def models_of(self, scorer: OfModel) -> list[Model]:
        """All models whose tables a scorer reads."""
        beside = getattr(scorer, "cosine", None)
        return [self.model_of(scorer), *([self.named(beside, scorer)] if beside else [])]

    def named(self, name: str, scorer: Scorer) -> Model:
        """The model of a name that stands in a scorer's settings. ValueError for a name that none has."""
        named = {model.name: model for model in self.models}
        if name not in named:
            hint = nearest(name, list(named)) if named else "there are none"
            raise ValueError(f"scorers: {scorer.name} names the model {name!r}, which is none of score.models: {hint}")
        return named[name]
