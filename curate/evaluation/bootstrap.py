"""Intervals and comparisons by bootstrap (Efron 1979): what of a difference is more than the luck of the items.

Percentile intervals of 95 %. Two sets are compared on the same items (paired) and seeds: seeds and items are both
resampled, so that with several seeds the interval also covers how much a training's seed matters. With one seed it
covers the items alone.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from curate.draw import draw

CURATED, RAW, NOISE = "curated is better", "raw is better", "within the noise"
INTERVAL = (2.5, 97.5)
_BLOCK = 64


def interval(values: np.ndarray, resamples: int, seed: int, purpose: str) -> dict[str, float]:
    """Mean of the values (shape (items,)) and its interval: {"value", "low", "high"}."""
    one = values.astype(np.float64)
    means = np.concatenate([weights @ one for weights in _item_weights(len(one), resamples, _rng(seed, purpose))])
    low, high = np.percentile(means, INTERVAL)
    return {"value": _round(one.mean()), "low": _round(low), "high": _round(high)}


def compare(
    raw: Sequence[np.ndarray], curated: Sequence[np.ndarray], resamples: int, seed: int, purpose: str
) -> dict[str, Any]:
    """Means of both sets, their difference curated - raw with its interval, the verdict, and the means by seed.

    `raw` and `curated` hold one array of outcomes (shape (items,)) a training seed, in the same order of seeds.
    """
    one, other = np.array(raw, np.float64), np.array(curated, np.float64)
    difference, rng = other - one, _rng(seed, purpose)
    seeds = len(difference)
    found = []
    for weights in _item_weights(difference.shape[1], resamples, rng):
        chosen = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=len(weights)) / seeds
        found.append(np.einsum("bs,sb->b", chosen, difference @ weights.T))
    low, high = (_round(v) for v in np.percentile(np.concatenate(found), INTERVAL))
    verdict = CURATED if low > 0 else RAW if high < 0 else NOISE
    by_seed = {"raw": [_round(v) for v in one.mean(axis=1)], "curated": [_round(v) for v in other.mean(axis=1)]}
    return {
        "raw": _round(one.mean()), "curated": _round(other.mean()), "difference": _round(difference.mean()),
        "low": low, "high": high, "verdict": verdict, "by_seed": by_seed,
    }  # fmt: skip


def _item_weights(items: int, resamples: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Resamples of items as weights that sum to 1, a block of resamples at a time: float64, shape (block, items)."""
    for start in range(0, resamples, _BLOCK):
        size = min(_BLOCK, resamples - start)
        yield rng.multinomial(items, np.full(items, 1 / items), size=size) / items


def _rng(seed: int, purpose: str) -> np.random.Generator:
    return np.random.default_rng(int(draw(seed, "bootstrap", [purpose])[0] * 2**53))


def _round(value: float) -> float:
    return round(float(value), 6)
