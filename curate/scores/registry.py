"""The scorers that a recipe can name. Their modules are light; what is heavy is imported when a worker loads one.

A new scorer is a file here, its settings in a file of `curate.scores.settings`, its columns in `schemas/scores/<scorer>.yaml`, and a line below.
"""

from typing import Any

from curate import models
from curate.recipe import Model
from curate.scores import (
    aesthetics,
    brisque,
    clip,
    cliploss,
    clusters,
    copies,
    faces,
    grammar,
    hype,
    normsim,
    pixels,
    pseudo_labels,
    quality,
    safety,
    text,
    tmars,
    toxicity,
    vlm,
    watermark,
)
from curate.scores.contract import Kind
from curate.scores.settings import Scorer as Settings

KINDS: dict[str, Kind] = {
    "clip": clip.KIND,
    "pixels": pixels.KIND,
    "text": text.KIND,
    "brisque": brisque.KIND,
    "faces": faces.KIND,
    "quality": quality.KIND,
    "aesthetics": aesthetics.KIND,
    "safety": safety.KIND,
    "grammar": grammar.KIND,
    "toxicity": toxicity.KIND,
    "watermark": watermark.KIND,
    "copies": copies.KIND,
    "tmars": tmars.KIND,
    "vlm": vlm.KIND,
    "s_cliploss": cliploss.KIND,
    "normsim": normsim.KIND,
    "clusters": clusters.KIND,
    "hype": hype.KIND,
    "pseudo_labels": pseudo_labels.KIND,
}


def word(settings: Model | Settings) -> str:
    """Which of KINDS an item of `score.models` or `score.scorers` means."""
    return "clip" if isinstance(settings, Model) else settings.word


def kind(settings: Model | Settings) -> Kind:
    return KINDS[word(settings)]


def identity(settings: Model | Settings, of: Model | None = None) -> dict[str, Any]:
    """What the manifest of a table of scores says of the scorer; `of`: the model that it asks, or whose embeddings it reads."""
    known: dict[str, Any] = {"scorer": word(settings)} | kind(settings).identity(settings)
    if of is None:
        return known
    asked = models.identity(of)
    return known | ({"clip": asked} if kind(settings).needs == "pixels" else {"embeddings_of": asked["revision"]})
