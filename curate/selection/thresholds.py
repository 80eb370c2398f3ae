"""Turns a top fraction into a threshold, exactly, for pools of any size.

DataComp sorts all n scores in descending order, takes the one at index int(n * f), and keeps what is at least as
large. Here nothing is sorted: the float32 scores are mapped to integers of the same order, and the one of that rank
is found in two counting passes, by its upper 16 bits and then by its lower 16. Counts of parts merge by addition.
"""

from collections.abc import Callable, Iterator

import msgspec
import numpy as np

from curate.recipe import Rule

BINS = 1 << 16

Histogram = Callable[[str, int | None], np.ndarray]
"""(model, upper bits or None) -> int64[BINS] over the whole pool: `histogram` of all its scores, summed."""


def ordered(scores: np.ndarray) -> np.ndarray:
    """float32 as uint32 of the same order. -0.0 counts as 0.0."""
    bits = (scores.astype(np.float32) + np.float32(0)).view(np.uint32)
    return np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))


def score_of(number: int) -> np.float32:
    """The score that `ordered` maps to `number`."""
    bits = number & 0x7FFFFFFF if number >> 31 else ~number & 0xFFFFFFFF
    return np.array([bits], dtype=np.uint32).view(np.float32)[0]


def histogram(scores: np.ndarray, upper: int | None) -> np.ndarray:
    """Counts, int64[BINS], of the scores' upper 16 bits; or, of those with the upper bits `upper`, of their lower 16."""
    numbers = ordered(scores)
    bins = numbers >> 16 if upper is None else (numbers & 0xFFFF)[numbers >> 16 == upper]
    return np.bincount(bins, minlength=BINS).astype(np.int64)


def threshold(model: str, fraction: float, histograms: Histogram) -> float | None:
    """The score at index int(n * fraction) of all n in descending order (the last for 1.0); None without scores."""
    counts = histograms(model, None)
    n = int(counts.sum())
    if not n:
        return None
    upper, rank = _descend(counts, min(int(n * fraction), n - 1))
    lower, _ = _descend(histograms(model, upper), rank)
    return float(score_of(upper << 16 | lower))


def _descend(counts: np.ndarray, rank: int) -> tuple[int, int]:
    """The bin of the rank-th largest, from 0, and its rank in that bin."""
    above = np.cumsum(counts[::-1])
    place = int(np.searchsorted(above, rank, side="right"))
    return BINS - 1 - place, rank - int(above[place] - counts[::-1][place])


def settle(rules: tuple[Rule, ...], histograms: Histogram) -> tuple[Rule, ...]:
    """The rules with each `top_fraction` replaced by the `min` that it means for this pool.

    With both given, the stricter one holds. Without any score there is nothing to keep, and any threshold serves.
    """

    def settled() -> Iterator[Rule]:
        for limits in rules:
            if limits.top_fraction is None:
                yield limits
                continue
            assert limits.model is not None  # `presets.resolve` has seen to it
            found = threshold(limits.model, limits.top_fraction, histograms)
            lowest = max(x for x in (limits.min, found, -1.0) if x is not None)
            yield msgspec.structs.replace(limits, min=lowest, top_fraction=None)

    return tuple(settled())
