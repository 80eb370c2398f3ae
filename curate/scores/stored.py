"""Scores from embeddings that a model of the recipe has stored: nothing is fetched or decoded."""

from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate import parts
from curate.facts.contract import Scorer
from curate.facts.laying import NO_EMBEDDING, laid
from curate.ledger import KEPT, alive
from curate.schema import Schema
from curate.scores import registry
from curate.scores.making import Task
from curate.store import Dataset, Part


def score_part(part: str, *, images: Dataset, embeddings: Dataset, task: Task, device: str) -> Part:
    """Makes one part of a table from the part of the model's table beside it; runs in a worker."""
    scorer = registry.kind(task.settings).load(task.settings, device, task.plan.settings, task.model)
    inputs = {"images": (images, ["state"]), "embeddings": (embeddings, ["state", *scorer.reads])}
    work = partial(score, scorer=scorer, known=task.target.schema)
    return parts.annotate(part, inputs=inputs, target=task.target, plan=task.plan, work=work)


def score(images: pa.Table, embeddings: pa.Table, *, scorer: Scorer, known: Schema) -> pa.Table:
    """The table for a row group. Pairs that the model has no embeddings of fail as `no_embedding`."""
    live = np.flatnonzero(alive(images["state"]).to_numpy(zero_copy_only=False))
    entered = embeddings.take(pa.array(live))
    fit = pc.equal(entered["state"], KEPT).to_numpy(zero_copy_only=False)
    answers = scorer.score(entered.filter(pa.array(fit, pa.bool_())), {}, np.zeros(0, np.int64))
    return laid(images["uid"], live, fit, answers, known, NO_EMBEDDING)
