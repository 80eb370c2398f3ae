"""Where the values of each column with a threshold lie, for pairs that were selected and for those that were not.

Looks at a sample that does not grow with the pool: parts by the smallest draws, row group by row group up to ROWS rows. Rows lie in
the order of a hash, so the first ones of a part are as good as any.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from curate.draw import draw
from curate.images import generations
from curate.parts import Inputs, zipped
from curate.recipe import Recipe, Rule
from curate.report.sampling import Histogram
from curate.selection.columns import Facts
from curate.selection.resolving import resolve
from curate.selection.rules import RULES, SETS, column_of, flat, numbers
from curate.selection.selecting import BASELINE_ONLY, competing, needed
from curate.store import Dataset

ROWS, BINS = 500_000, 60
EDGE = 0.002
"""Share of the values on either side that the first and the last bin take in, so that a stray value does not set the scale."""
LAYERS = ("selected", "other", "baseline")


def limits(workdir: str, recipe: Recipe) -> list[dict[str, Any]]:
    """One account for each column with a threshold that is there, in the order of the rules; similarities of models have their own."""
    rules = settled(workdir, recipe)
    own = {f"{model.name}.similarity_score" for model in recipe.score.models}
    by_column: dict[str, list[Rule]] = {}
    for rule in flat(rules):
        if rule.rule not in SETS and RULES[rule.rule].numeric and numbers(rule) and column_of(rule) not in own:
            by_column.setdefault(column_of(rule), []).append(rule)
    return [one for column, mine in by_column.items() if (one := _account(workdir, recipe.seed, column, mine))]


def settled(workdir: str, recipe: Recipe) -> list[Rule]:
    """The selection's rules: as select settled them, where it has run (a top fraction is a threshold then)."""
    manifest = Dataset(workdir, "selection").manifest()
    if manifest is None or "rules" not in manifest.extra:
        return list(resolve(recipe.select, recipe.score, recipe.recaption))
    return msgspec.convert(manifest.extra["rules"], list[Rule])


def _account(workdir: str, seed: int, column: str, rules: Sequence[Rule]) -> dict[str, Any] | None:
    """None where a dataset is not there yet, or no sampled row has a value."""
    # Whatever a rule says of missing values, a row without one is not drawn.
    names = needed([msgspec.structs.replace(rule, where={}, per=None, best_by=None) for rule in rules])
    decided = Dataset(workdir, "selection").manifest() is not None
    names |= {"selection": ["state", "reason"]} if decided else {}
    inputs = {name: (generations.current(workdir, name), columns) for name, columns in names.items()}
    if any(data.manifest() is None for data, _ in inputs.values()):
        return None
    values, layers = _sampled(inputs, seed, column, rules)
    if not len(values):
        return None
    edges = sorted({limit for rule in rules for limit in numbers(rule)})
    low, high = _range(values, edges)
    found = [Histogram(low, high, BINS) for _ in LAYERS]
    for layer, histogram in enumerate(found):
        histogram.add(values[layers == layer])
    return {
        "column": column, "axis": column, "rules": [rule.label for rule in rules], "thresholds": edges, "rows": len(values),
        "decided": decided, "bin_width": (high - low) / BINS, "edges": [float(edge) for edge in found[0].edges],
    } | {name: one.counts.tolist() for name, one in zip(LAYERS, found, strict=True)}  # fmt: skip


def _sampled(inputs: Inputs, seed: int, column: str, rules: Sequence[Rule]) -> tuple[np.ndarray, np.ndarray]:
    """Values, float64, and for each the place of its layer."""
    values, layers, rows = [np.empty(0)], [np.empty(0, dtype=np.int64)], 0
    for tables in _groups(inputs, seed):
        found, missing = Facts(tables).numbers(column)
        here = competing(tables, rules) | _baseline(tables)
        inside = here & ~missing & np.isfinite(found)
        values.append(found[inside].astype(np.float64))
        layers.append(_layers(tables)[inside])
        rows += int(inside.sum())
        if rows >= ROWS:
            break
    return np.concatenate(values), np.concatenate(layers)


def _groups(inputs: Inputs, seed: int) -> Iterator[dict[str, pa.Table]]:
    parts = inputs["images"][0].part_names()
    for _, part in sorted(zip(draw(seed, "report parts", parts), parts, strict=True)):
        yield from zipped(part, inputs)


def _baseline(tables: dict[str, pa.Table]) -> np.ndarray:
    if "selection" not in tables:
        return np.zeros(len(tables["images"]), dtype=bool)
    reason = tables["selection"]["reason"].to_pylist()
    return np.array([one == BASELINE_ONLY for one in reason], dtype=bool)


def _layers(tables: dict[str, pa.Table]) -> np.ndarray:
    """0 selected, 1 not, 2 for the baseline alone."""
    if "selection" not in tables:
        return np.ones(len(tables["images"]), dtype=np.int64)
    kept = np.array([one == "kept" for one in tables["selection"]["state"].to_pylist()], dtype=bool)
    return np.where(_baseline(tables), 2, np.where(kept, 0, 1))


def _range(values: np.ndarray, edges: Sequence[float]) -> tuple[float, float]:
    """From the lowest to the highest value but for EDGE, with the thresholds inside."""
    low, high = np.quantile(values, [EDGE, 1 - EDGE], method="lower")
    low, high = min(float(low), *edges), max(float(high), *edges)
    return (low, high) if high > low else (low - 0.5, high + 0.5)
