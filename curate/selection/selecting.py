"""Puts the rules in a row: each pair keeps the first one that dropped it."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from curate.ledger import DROPPED, GONE, KEPT, alive
from curate.recipe import Rule
from curate.selection.rules import RULES, SIMILARITY

IMAGES = ("state", "curated", "text", "lang", "width", "height")
"""What selecting reads of `images`."""
DUPLICATES = ("state",)
SCORES = ("state", "similarity_score")
SCORES_PREFIX = "scores/"


def models_of(rules: Sequence[Rule]) -> list[str]:
    """Names of the models whose scores the rules compare."""
    return sorted({limits.model for limits in rules if limits.model is not None})


def entered(images: pa.Table, duplicates: pa.Table, scores: dict[str, pa.Table]) -> np.ndarray:
    """Rows that reach this stage, bool: fetched, no duplicate, and scored by every model that the rules compare."""
    masks = [alive(table["state"]) for table in (images, duplicates, *scores.values())]
    return np.logical_and.reduce([mask.to_numpy(zero_copy_only=False) for mask in masks])


def select(*, images: pa.Table, duplicates: pa.Table, rules: Sequence[Rule], **scores: pa.Table) -> pa.Table:
    """The decision about each pair.

    In: rows of `images`, `duplicates` and one table per model under the keyword `scores/<model>`, aligned; rules that
    `presets.resolve` and `thresholds.settle` have seen. Out: the columns of `schemas/selection.yaml`, row for row.
    """
    rows = np.flatnonzero(entered(images, duplicates, scores))
    state = np.full(len(images), GONE, dtype=object)
    reason = np.full(len(images), None, dtype=object)
    state[rows] = KEPT
    curated = images["curated"].to_numpy(zero_copy_only=False)[rows]
    state[rows[~curated]], reason[rows[~curated]] = DROPPED, "baseline_only"
    rows = rows[curated]
    facts = images.select(["text", "lang", "width", "height"])
    for name, table in scores.items():
        facts = facts.append_column(SIMILARITY + name.removeprefix(SCORES_PREFIX), table["similarity_score"])
    for limits in rules:
        kept = RULES[limits.rule].keep(facts.take(rows), limits)
        state[rows[~kept]], reason[rows[~kept]] = DROPPED, limits.rule
        rows = rows[kept]
    return pa.table(
        {"uid": images["uid"], "state": pa.array(state, pa.string()), "reason": pa.array(reason, pa.string())}
    )


def scores_of(images: pa.Table, duplicates: pa.Table, model: str, scores: dict[str, pa.Table]) -> np.ndarray:
    """One model's scores, float32, of the rows that a top fraction is a fraction of: those that entered, without the
    ones that were fetched for the baseline alone; whatever the other rules say."""
    curated = images["curated"].to_numpy(zero_copy_only=False)
    rows = entered(images, duplicates, scores) & curated
    return scores[SCORES_PREFIX + model]["similarity_score"].to_numpy()[rows]
