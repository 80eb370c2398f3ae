"""Settings of the scorers that read a text alone."""

from typing import ClassVar

from curate.scores.settings.base import Scorer
from curate.settings import Count


class Text(Scorer, frozen=True, kw_only=True, tag="text"):
    """Length, letters, repetition, file names, stock words, ImageNet-21k, personal data; see `curate.scores.text`."""


class Toxicity(Scorer, frozen=True, kw_only=True, tag="toxicity"):
    """How toxic a text is by a classifier of yours; see `curate.scores.toxicity`."""

    runtime: ClassVar[tuple[str, ...]] = ("name", "batch_size")

    classifier: str
    """Folder of a text classifier as transformers saves it: config.json, weights in safetensors, tokenizer."""
    categories: tuple[str, ...] = ()
    """Labels of the classifier that are toxic (`[toxic, obscene]`); all by default, and of a classifier that picks one of several it must
    be said."""
    batch_size: Count = 64
    max_tokens: Count = 256
    """Longer texts are cut."""
