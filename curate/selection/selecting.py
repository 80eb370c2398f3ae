"""Puts the rules in a row: each pair keeps the first one that dropped it, and on demand all that would have."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import pyarrow as pa

from curate.ledger import DROPPED, GONE, KEPT, alive
from curate.recipe import Rule
from curate.schema import ENCODED
from curate.selection.columns import SCORES_PREFIX, Facts, parse
from curate.selection.judging import Over, Verdict, first, judge
from curate.selection.rules import SETS, flat, named

BASELINE_ONLY = "baseline_only"
FIRST, ALONE = "dropped by ", "would drop "
"""How notes of the ledger that count rules begin: the rows that a rule dropped as the first, and all that it would have dropped."""
STATES = (GONE, KEPT, DROPPED)


def needed(rules: Sequence[Rule], more: Mapping[str, Sequence[str]] | None = None) -> dict[str, list[str]]:
    """What selecting reads: the columns of each dataset, `images` first; `more` of them beside those of the rules."""
    columns: dict[str, dict[str, None]] = {"images": dict.fromkeys(("state", "curated")), "duplicates": {"state": None}}
    places = [parse(name) for limits in rules for name, _ in named(limits)]
    for dataset, column in [(place.dataset, stored) for place in places for stored in place.stored]:
        columns.setdefault(dataset, {"state": None})[column] = None
    for dataset, names in (more or {}).items():
        columns[dataset] |= dict.fromkeys(names)
    return {dataset: list(names) for dataset, names in columns.items()}


def required(rules: Sequence[Rule]) -> set[str]:
    """The scores whose rows have to be there: those that some rule reads which does not let a missing value pass."""
    return {
        place.dataset
        for limits in flat(rules)
        if limits.missing == "drop"
        for name in (limits.where if limits.rule in SETS else dict(named(limits)))
        if (place := parse(name)).dataset.startswith(SCORES_PREFIX)
    }


def entered(tables: Mapping[str, pa.Table], rules: Sequence[Rule]) -> np.ndarray:
    """Rows that reach this stage, bool: fetched, no duplicate, and scored by everything that the rules cannot do without."""
    names = ["images", "duplicates", *sorted(required(rules))]
    return np.logical_and.reduce([alive(tables[name]["state"]).to_numpy(zero_copy_only=False) for name in names])


def competing(tables: Mapping[str, pa.Table], rules: Sequence[Rule]) -> np.ndarray:
    """Rows that a top fraction is a fraction of, bool: those that entered, without the ones that were fetched for the baseline
    alone; whatever the rules say."""
    return entered(tables, rules) & tables["images"]["curated"].to_numpy(zero_copy_only=False)


def select(
    tables: Mapping[str, pa.Table],
    rules: Sequence[Rule],
    *,
    why: Literal["first", "all"] = "first",
    over: Over | None = None,
) -> pa.Table:
    """The decision about each pair.

    In: aligned rows of the datasets that `needed` names; rules that `resolving.resolve` and `thresholds.settle` have seen; for each
    quota, by its place, the rows that are too many. Out: the columns of `schemas/selection.yaml`, row for row.
    """
    facts, rows = Facts(tables), entered(tables, rules)
    curated = tables["images"]["curated"].to_numpy(zero_copy_only=False)
    verdict = first(rules, facts, over)
    reasons = list(dict.fromkeys([BASELINE_ONLY, *(cause.reason for cause in verdict.causes)]))
    labels = list(dict.fromkeys(cause.rule for cause in verdict.causes))
    # The last place of each table is that of null.
    reason_of = np.array([len(reasons), *(reasons.index(cause.reason) for cause in verdict.causes)])
    label_of = np.array([len(labels), *(labels.index(cause.rule) for cause in verdict.causes)])
    codes = np.where(rows & curated, verdict.codes, 0)
    reason = np.where(rows & ~curated, 0, reason_of[codes])
    state = np.where(rows, np.where((codes > 0) | ~curated, 2, 1), 0)
    return pa.table(
        {
            "uid": tables["images"]["uid"],
            "state": _encoded(state, STATES),
            "reason": _encoded(reason, reasons),
            "rule": _encoded(label_of[codes], labels),
            "rules": all_rules(rules, facts, rows & curated, over)
            if why == "all"
            else pa.nulls(facts.rows, pa.list_(pa.string())),
        }
    )


def all_rules(rules: Sequence[Rule], facts: Facts, rows: np.ndarray, over: Over | None = None) -> pa.ListArray:
    """For each of `rows` the labels of all rules that would drop it, in their order; null for others."""
    found: list[Verdict] = [judge(limits, facts, (over or {}).get(place)) for place, limits in enumerate(rules)]
    drops = np.stack([verdict.codes > 0 for verdict in found]) if found else np.zeros((0, facts.rows), dtype=bool)
    drops &= rows
    labels = pa.array([limits.label for limits in rules], pa.string())
    places = np.nonzero(drops.T)[1]
    offsets = np.concatenate([[0], np.cumsum(drops.sum(axis=0))]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), labels.take(pa.array(places)), mask=pa.array(~rows))


def notes(decided: pa.Table) -> dict[str, int]:
    """How many rows each rule dropped as the first, and, where that was asked for, how many it would have dropped alone."""
    found: dict[str, int] = defaultdict(int)
    for words, column in ((FIRST, decided["rule"]), (ALONE, decided["rules"])):
        values = column.combine_chunks()
        values = values.flatten() if pa.types.is_list(values.type) else values
        for one in values.value_counts().to_pylist():
            if one["values"] is not None:
                found[words + one["values"]] += one["counts"]
    return found


def _encoded(codes: np.ndarray, words: Sequence[str]) -> pa.DictionaryArray:
    """Words by number; the number after the last is null."""
    indices = pa.array(codes.astype(np.int32), mask=codes == len(words))
    return pa.DictionaryArray.from_arrays(indices, pa.array(words, pa.string())).cast(ENCODED)
