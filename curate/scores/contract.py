"""What a recipe can name as a scorer. What a scorer is: `curate.facts.contract`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from curate.facts.contract import Columns, Scorer


class OfTexts(Scorer):
    """A scorer of texts that is nothing but a function of a table of rows and the settings."""

    def __init__(self, function: Callable[[pa.Table, Any], Columns], settings: Any, reads: tuple[str, ...] = ("text",)):
        self._function, self._settings, self.reads = function, settings, reads  # type: ignore[misc]

    def score(self, rows: pa.Table, images: Columns, image_of: np.ndarray) -> Columns:
        return self._function(rows, self._settings)


@dataclass(frozen=True)
class Kind:
    """A scorer that a recipe can name."""

    needs: Literal["texts", "pixels", "embeddings", "pool"]
    """What it looks at: scorers of texts never open the tars; those of embeddings read (`reads`) the table of a model of the recipe,
    whose name is their setting `model`, and answer `score` alone; those of the pool read it too, and each row's answer depends on
    other rows: they are a `curate.scores.derived.Derived`."""
    load: Callable[..., Any]
    """(settings, device, identity that was planned with; of embeddings also the Model whose they are, and of pixels the one that
    the setting `model` names where there is that setting) -> the scorer, ready. Called once
    for each part: it caches itself what is dear. A model that is not here, or not what it was, is an error that says where it was looked for and how to get
    it."""
    identity: Callable[[Any], dict[str, Any]] = lambda settings: settings.identity()
    """What the manifest says: settings, and of a model revision, preprocessing and precision; a change makes other scores."""
    on_device: bool = False
    """Whether it has a model that wants a GPU where there is one."""
    learned_from: str = ""
    """What its model was trained on, in a sentence for the report's readers, or that it has none: a filter hands on what it has
    learned."""
    check: Callable[[Any, Any], None] = lambda settings, model: None
    """(settings, the Model that they name, or None): said before anything is scored, where the two do not go together."""
