"""Where the scores of a model lie, for pairs that were selected and for those that were not, and the thresholds."""

from typing import Any

import msgspec
import numpy as np
import pyarrow.compute as pc

from curate.recipe import Recipe, Rule
from curate.report.sampling import Histogram
from curate.selection.resolving import resolve
from curate.selection.rules import SETS, column_of, flat, numbers
from curate.store import Dataset

LOW, HIGH, BINS = -1.0, 1.0, 200
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def similarity(workdir: str, recipe: Recipe) -> list[dict[str, Any]]:
    """One account per scored model that is there. Cosines lie in [-1, 1]; 200 bins of 0.01, on the page trimmed."""
    found, rules = [], settled(workdir, recipe)
    for model in recipe.score.models:
        scores = Dataset(workdir, f"scores/{model.name}")
        if scores.manifest() is not None:
            account = _account(scores, Dataset(workdir, "selection"), model.name) | _limits(rules, model.name)
            found.append(account | {"trained_on": _disclosed(scores, model.name)})
    return found


def settled(workdir: str, recipe: Recipe) -> list[Rule]:
    """The selection's rules: as select settled them, where it has run (a top fraction is a threshold then)."""
    means = list(resolve(recipe.select, recipe.score, recipe.recaption))
    manifest = Dataset(workdir, "selection").manifest()
    return means if manifest is None else means + msgspec.convert(manifest.extra.get("rules", []), list[Rule])


def _disclosed(scores: Dataset, model: str) -> dict[str, Any] | None:
    """What the model was trained on, as the scores' manifest has it: its sets with their sizes, and what is to be warned of. None where
    the model said nothing."""
    told = scores.require().extra.get("disclosures", {}).get(model)
    if told is None:
        return None
    sets = [
        {"name": one["name"], "samples": one["samples"], "fingerprint": one["fingerprint"]}
        for one in told["trained_on"]
    ]
    return {"sets": sets, "samples_seen": told["samples_seen"], "warnings": told["warnings"]}


def _account(scores: Dataset, selection: Dataset, model: str) -> dict[str, Any]:
    selected, other, baseline = (Histogram(LOW, HIGH, BINS) for _ in range(3))
    decided = selection.manifest() is not None
    decisions = selection.batches(["state", "reason"]) if decided else None
    for table in scores.batches(["similarity_score"]):
        values = table["similarity_score"].to_numpy().astype(np.float64)
        finite = np.isfinite(values)
        mine, alone = np.zeros(len(values), bool), np.zeros(len(values), bool)
        if decisions is not None:
            decision = next(decisions)
            mine = pc.equal(decision["state"], "kept").to_numpy()
            alone = pc.fill_null(pc.equal(decision["reason"], "baseline_only"), False).to_numpy()
        selected.add(values[finite & mine])
        baseline.add(values[finite & alone])
        other.add(values[finite & ~mine & ~alone])
    whole = Histogram(LOW, HIGH, BINS)
    whole.counts = selected.counts + other.counts + baseline.counts
    shown = np.flatnonzero(whole.counts)
    first, last = (int(shown[0]), int(shown[-1]) + 1) if len(shown) else (0, 0)
    return {
        "model": model, "axis": f"cosine of image and text ({model})", "rows": int(whole.counts.sum()), "selected_rows": int(selected.counts.sum()),
        "decided": decided, "bin_width": (HIGH - LOW) / BINS,
        "edges": [round(float(edge), 6) for edge in whole.edges[first : last + 1]] if len(shown) else [],
        "selected": selected.counts[first:last].tolist(), "other": other.counts[first:last].tolist(),
        "baseline": baseline.counts[first:last].tolist(),
        "quantiles": {str(share): _rounded(whole.quantile(share)) for share in QUANTILES},
    }  # fmt: skip


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _limits(rules: list[Rule], model: str) -> dict[str, Any]:
    """The thresholds that the selection puts on this model's score."""
    mine = [rule for rule in flat(rules) if rule.rule not in SETS and column_of(rule) == f"{model}.similarity_score"]
    return {
        "thresholds": sorted({limit for rule in mine for limit in numbers(rule)}),
        "top_fractions": sorted({rule.top_fraction for rule in mine if rule.top_fraction is not None}),
    }
