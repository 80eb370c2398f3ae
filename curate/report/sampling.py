"""Bounded memory for a pool of any size: top counts, fixed-bin histograms, and the rows with the smallest draws."""

import heapq
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class Top:
    """Counts of the most frequent keys in at most twice `capacity` counters (Misra and Gries, 1982).

    Exact until more than `capacity` different keys were met; from then on a count is at most `error` too low, and
    every key that occurs more than `error` times is still there.
    """

    capacity: int = 50_000
    error: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, counts: Mapping[str, int]) -> None:
        self.counts.update(counts)
        if len(self.counts) > 2 * self.capacity:
            self._shrink()

    def most(self, k: int) -> list[tuple[str, int]]:
        """The k largest, ties in alphabetical order."""
        return heapq.nsmallest(k, self.counts.items(), key=lambda item: (-item[1], item[0]))

    def _shrink(self) -> None:
        cut = heapq.nlargest(self.capacity + 1, self.counts.values())[-1]
        self.error += cut
        self.counts = Counter({key: count - cut for key, count in self.counts.items() if count > cut})


class Histogram:
    """Counts in `bins` equal bins over [low, high]; what lies outside goes into the first and the last bin."""

    def __init__(self, low: float, high: float, bins: int):
        self.edges = np.linspace(low, high, bins + 1)
        self.counts = np.zeros(bins, dtype=np.int64)

    def add(self, values: np.ndarray) -> None:
        """Counts float values of shape (n,); they must be finite."""
        inside = np.clip(values, self.edges[0], self.edges[-1])
        self.counts += np.histogram(inside, self.edges)[0]

    def quantile(self, share: float) -> float | None:
        """The value below which `share` of the rows lie, by linear interpolation within a bin; None without rows."""
        total = int(self.counts.sum())
        if not total:
            return None
        cumulative = np.concatenate([[0], np.cumsum(self.counts)]) / total
        return float(np.interp(share, cumulative, self.edges))


@dataclass
class Smallest:
    """The `k` rows with the smallest draws in each group: a random sample that no order or worker can change."""

    k: int
    rows: dict[Hashable, list[tuple[float, str, Any]]] = field(default_factory=dict)

    def offer(self, group: Hashable, draws: Iterable[float], uids: Iterable[str], rows: Iterable[Any]) -> None:
        """`rows` may be a lazy iterable as long as the draws; only rows that get in are kept."""
        held = self.rows.setdefault(group, [])
        for item in zip(draws, uids, rows, strict=True):
            if len(held) < self.k or item[0] < held[-1][0]:
                held.append(item)
                held.sort(key=lambda entry: entry[:2])
                del held[self.k :]

    def taken(self, group: Hashable) -> list[Any]:
        return [row for _, _, row in self.rows.get(group, [])]
