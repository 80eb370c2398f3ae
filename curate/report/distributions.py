"""How the values of one column are spread: bins of numbers, counts of truth values, the most frequent words."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from curate.recipe import Rule
from curate.report.sampling import Histogram, Top
from curate.report.untrusted import clip
from curate.selection.columns import Facts
from curate.selection.rules import numbers

BINS, WORDS = 40, 6
EDGE = 0.002
"""Share of the values on either side that the first and the last bin take in, so that a stray value does not set the scale."""
LAYERS = ("selected", "other")


@dataclass
class Spread:
    """The sampled values of a column, gathered row group by row group."""

    about: str
    rows: int = 0
    missing: int = 0
    whole: bool = False
    """Whether the numbers are whole ones."""
    truth: bool = False
    values: list[np.ndarray] = field(default_factory=list)
    """Finite float64."""
    layers: list[np.ndarray] = field(default_factory=list)
    """For each value the place of its layer."""
    words: Top | None = None
    """Counts of a column of strings; None for other columns."""

    def add(self, facts: Facts, name: str, inside: np.ndarray, layers: np.ndarray) -> None:
        """Takes in the rows of a row group that are `inside`, bool."""
        column = facts.column(name)
        self.rows += int(inside.sum())
        if pa.types.is_string(column.type) or pa.types.is_dictionary(column.type):
            codes, known = facts.words(name)
            counts = np.bincount(codes[inside], minlength=len(known) + 1)
            self.words = self.words or Top()
            self.words.add(
                Counter({str(known[i]): int(n) for i, n in enumerate(counts[:-1]) if n and known[i] is not None})
            )
            self.missing = self.rows - sum(self.words.counts.values()) - self.words.error
            return
        self.truth, self.whole = pa.types.is_boolean(column.type), pa.types.is_integer(column.type)
        found, missing = facts.numbers(name)
        there = inside & ~missing & np.isfinite(found)
        self.values.append(found[there].astype(np.float64))
        self.layers.append(layers[there])
        self.missing += int(inside.sum()) - int(there.sum())


def distribution(column: str, spread: Spread, rules: Sequence[Rule]) -> dict[str, Any]:
    """The account of a column as plain values; its `kind` is numbers, truth, words, constant (one number), or nothing (no row
    has a value)."""
    account = {"column": column, "about": spread.about, "rows": spread.rows - spread.missing, "missing": spread.missing,
               "rules": [rule.label for rule in rules]}  # fmt: skip
    if spread.words is not None:
        top = [{"name": clip(name, 60), "rows": rows} for name, rows in spread.words.most(WORDS)]
        return account | {"kind": "words" if top else "nothing", "distinct": len(spread.words.counts), "top": top}
    values, layers = (np.concatenate(some or [np.empty(0)]) for some in (spread.values, spread.layers))
    if not len(values):
        return account | {"kind": "nothing"}
    if spread.truth:
        return account | {"kind": "truth", "yes": _counts(layers[values > 0]), "no": _counts(layers[values == 0])}
    if values.min() == values.max() and not any(numbers(rule) for rule in rules):
        return account | {"kind": "constant", "value": float(values[0])}
    return account | {"kind": "numbers"} | _numbers(values, layers, spread.whole, rules)


def _counts(layers: np.ndarray) -> dict[str, int]:
    return {name: int((layers == place).sum()) for place, name in enumerate(LAYERS)}


def _numbers(values: np.ndarray, layers: np.ndarray, whole: bool, rules: Sequence[Rule]) -> dict[str, Any]:
    limits = sorted({limit for rule in rules for limit in numbers(rule)})
    low, high, bins = _range(values, limits, whole)
    found = [Histogram(low, high, bins) for _ in LAYERS]
    for layer, histogram in enumerate(found):
        histogram.add(values[layers == layer])
    medians = {name: round(float(np.median(mine)), 4) if len(mine := values[layers == layer]) else None
               for layer, name in enumerate(LAYERS)}  # fmt: skip
    return {
        "thresholds": limits, "medians": medians, "above_zero": int((values > 0).sum()) if whole else None,
        "least": round(float(values.min()), 4), "greatest": round(float(values.max()), 4),
        "bin_width": (high - low) / bins, "edges": [float(edge) for edge in found[0].edges],
    } | {name: one.counts.tolist() for name, one in zip(LAYERS, found, strict=True)}  # fmt: skip


def _range(values: np.ndarray, limits: Sequence[float], whole: bool) -> tuple[float, float, int]:
    """From the lowest to the highest value but for EDGE, with the thresholds inside, and the number of bins; as many whole numbers go into
    each bin, one where they are few."""
    low, high = min(float(values.min()), *limits, np.inf), max(float(values.max()), *limits, -np.inf)
    if not whole or high - low >= BINS:
        low, high = np.quantile(values, [EDGE, 1 - EDGE], method="lower")
        low, high = min(float(low), *limits, np.inf), max(float(high), *limits, -np.inf)
    if whole:
        low, high = float(np.floor(low)), float(np.ceil(high))
        width = max(1, math.ceil((high - low + 1) / BINS))
        bins = math.ceil((high - low + 1) / width)
        return low - 0.5, low - 0.5 + bins * width, bins
    return (low, high, BINS) if high > low else (low - 0.5, high + 0.5, BINS)
