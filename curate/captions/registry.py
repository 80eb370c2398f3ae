"""The captioners that a recipe can name. Their modules are light; what is heavy is imported when a worker loads one.

A new captioner is a file here with its settings and its KIND, its columns in `schemas/captions/<captioner>.yaml`, and a line below.
"""

from collections.abc import Sequence
from typing import Any

from curate import models as clips
from curate.backends import registry as backends
from curate.backends.settings import Backend
from curate.captions import (
    agents,
    candidates,
    consistency,
    describe,
    features,
    fuse,
    grounding,
    labels,
    pose,
    rank,
    realign,
    regions,
    rewrite,
    translate,
)
from curate.captions.contract import Kind
from curate.captions.settings import Captioner
from curate.weights import Model

KINDS: dict[str, Kind] = {
    "agents": agents.KIND,
    "candidates": candidates.KIND,
    "consistency": consistency.KIND,
    "describe": describe.KIND,
    "features": features.KIND,
    "fuse": fuse.KIND,
    "grounding": grounding.KIND,
    "labels": labels.KIND,
    "pose": pose.KIND,
    "rank": rank.KIND,
    "realign": realign.KIND,
    "regions": regions.KIND,
    "rewrite": rewrite.KIND,
    "translate": translate.KIND,
}
AnyCaptioner = (
    agents.Agents
    | candidates.Candidates
    | consistency.Consistency
    | describe.Describe
    | features.Features
    | fuse.Fuse
    | grounding.Grounding
    | labels.Labels
    | pose.Pose
    | rank.Rank
    | realign.Realign
    | regions.Regions
    | rewrite.Rewrite
    | translate.Translate
)
"""Settings of any of them; a union."""


def kind(settings: Captioner) -> Kind:
    return KINDS[settings.word]


def identity(settings: Captioner, backend: Backend | None, models: Sequence[Model] = ()) -> dict[str, Any]:
    """What the manifest of a table of captions says of the captioner, of the backend that it asks, and of the models that it names."""
    known: dict[str, Any] = {"captioner": settings.word} | kind(settings).identity(settings)
    if backend is not None:
        known["asks"] = backends.kind(backend).identity(backend)
    if models:
        known["models"] = {model.name: clips.identity(model) for model in models}
    return known
