"""Turns a top fraction into a threshold, exactly, for pools of any size.

DataComp sorts all n scores in descending order, takes the one at index int(n * f), and keeps what is at least as
large. Here nothing is sorted: values are mapped to integers of the same order, and the one of that rank is found in counting
passes over 16 bits each, from the upper ones down: two of a float32 or int32, four of 64 bits. Counts of parts merge by addition.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any

import numpy as np
from msgspec.structs import replace

from curate.recipe import RecipeError, Rule
from curate.selection.columns import Facts
from curate.selection.rules import applies, column_of, flat, group

BINS = 1 << 16
MOST_GROUPS = 256
"""Values that a column `per` may have: each has counts of its own, of which the driver holds 65,536 in a pass."""

Place = tuple[int, str]
"""Place of a rule among all (`rules.flat`), and a value of its column `per` as `rules.group` writes it; empty without one."""
Known = Mapping[Place, int]
"""The upper 16 bits for each pass that is done."""
Histograms = Callable[[int, Known], Mapping[Place, np.ndarray]]
"""Number of the pass, from 0, and what the ones before have found -> int64[BINS] of each place over the whole pool: what `counted`
gives, summed."""


def ordered(values: np.ndarray) -> np.ndarray:
    """Numbers as unsigned integers of the same order: uint32 of 32 bits and less, otherwise uint64. -0.0 counts as 0.0."""
    if values.dtype.kind in "iu":
        wide = values.astype(np.int64 if values.dtype.itemsize == 8 else np.int32)
        unsigned: Any = wide.view(np.uint64 if wide.dtype.itemsize == 8 else np.uint32)
        return unsigned ^ unsigned.dtype.type(1 << (8 * unsigned.itemsize - 1))
    floats = values.astype(np.float64 if values.dtype == np.float64 else np.float32) + values.dtype.type(0)
    bits = floats.view(np.uint64 if floats.itemsize == 8 else np.uint32)
    sign = bits.dtype.type(1 << (8 * bits.itemsize - 1))
    return np.where(bits & sign, ~bits, bits | sign)


def value_of(number: int, kind: np.dtype) -> float:
    """The value that `ordered` maps to `number`, of a column of that type. Raises RecipeError where a float64 cannot hold it."""
    wide = kind.itemsize == 8
    sign = 1 << (63 if wide else 31)
    if kind.kind in "iu":
        if abs(value := number - sign) > 2**53:
            raise RecipeError(
                f"a top fraction ends at {value}: thresholds of whole numbers reach to 2**53; take a smaller unit"
            )
        return float(value)
    bits = number ^ sign if number & sign else ~number & (2 * sign - 1)
    as_bits, as_float = (np.uint64, np.float64) if wide else (np.uint32, np.float32)
    return float(np.array([bits], dtype=as_bits).view(as_float)[0])


def passes(kind: np.dtype) -> int:
    """Counting passes that a column of that type takes."""
    return 4 if kind.itemsize == 8 else 2


def fractions(rules: Sequence[Rule]) -> dict[int, Rule]:
    """The rules with a top fraction, by their place among all."""
    return {i: one for i, one in enumerate(flat(rules)) if one.top_fraction is not None or one.top_fraction_of}


def counted(
    rules: Sequence[Rule], facts: Facts, entered: np.ndarray, step: int, known: Known
) -> dict[Place, np.ndarray]:
    """Counts, int64[BINS], of the 16 bits that come in this pass, for each top fraction and group of it.

    `entered`: bool (n,), the rows that a fraction is a fraction of; those without a value, or outside the rule's `where`, are not
    counted. Raises RecipeError for more than MOST_GROUPS groups.
    """
    counts: dict[Place, np.ndarray] = {}
    for place, limits in fractions(rules).items():
        values, missing = facts.numbers(column_of(limits))
        if step >= passes(values.dtype):
            continue
        rows = entered & ~missing & applies(limits, facts)
        numbers = ordered(values)
        width, kind = 8 * numbers.itemsize, numbers.dtype.type
        for name, mine in _groups(limits, facts, rows):
            some = numbers[mine]
            if step:
                if (place, name) not in known:
                    continue
                some = some[some >> kind(width - 16 * step) == kind(known[place, name])]
            bins = some >> kind(width - 16 * step - 16) & kind(BINS - 1)
            counts[place, name] = np.bincount(bins.astype(np.int64), minlength=BINS)
    return counts


def _groups(limits: Rule, facts: Facts, rows: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """The values of the column `per` with the rows that have each; all rows under the empty string without one."""
    if limits.per is None:
        yield "", np.flatnonzero(rows)
        return
    codes, values = facts.words(limits.per)
    met = np.flatnonzero(np.bincount(codes[rows], minlength=len(values) + 1))
    check_groups(limits, len(met))
    names = [group(value) for value in [*values, None]]
    # A null and an empty string are one group.
    for name in dict.fromkeys(names[code] for code in met):
        mine = np.array([one == name for one in names])
        yield name, np.flatnonzero(rows & mine[codes])


def check_groups(limits: Rule, number: int) -> None:
    """RecipeError for a column `per` with more values than counts are kept of."""
    if number > MOST_GROUPS:
        raise RecipeError(
            f"select.rules: {limits.label}: {limits.per} has more than {MOST_GROUPS} values; a top fraction of each is found for at "
            "most so many. Take a column with fewer"
        )


def settle(rules: Sequence[Rule], kinds: Mapping[int, np.dtype], histograms: Histograms) -> tuple[Rule, ...]:
    """The rules with each top fraction replaced by the `min` (or `min_of` by group) that it means for this pool.

    `kinds`: the type of each fraction's column, by the rule's place among all. The threshold is the value at index int(n * fraction)
    of all n in descending order, the last one for 1.0. With `min` given too, the stricter one holds. Without any value there is
    nothing to keep, and any threshold serves.
    """
    wanted, known, ranks = fractions(rules), dict[Place, int](), dict[Place, int]()
    for step in range(max((passes(kinds[place]) for place in wanted), default=0)):
        for (place, name), counts in sorted(histograms(step, known).items()):
            if not step:
                rows = int(counts.sum())
                fraction = wanted[place].top_fraction_of.get(name, wanted[place].top_fraction)
                if not rows or fraction is None:
                    continue
                ranks[place, name] = min(int(rows * fraction), rows - 1)
            elif (place, name) not in known:
                continue
            bin_, ranks[place, name] = _descend(counts, ranks[place, name])
            known[place, name] = known.get((place, name), 0) << 16 | bin_
    for place, limits in wanted.items():
        check_groups(limits, sum(one == place for one, _ in known))
    found = {(place, name): value_of(number, kinds[place]) for (place, name), number in known.items()}
    return _rebuilt(rules, {place: _settled(limits, place, found) for place, limits in wanted.items()})


def _descend(counts: np.ndarray, rank: int) -> tuple[int, int]:
    """The bin of the rank-th largest, from 0, and its rank in that bin."""
    above = np.cumsum(counts[::-1])
    place = int(np.searchsorted(above, rank, side="right"))
    return BINS - 1 - place, rank - int(above[place] - counts[::-1][place])


def _settled(limits: Rule, place: int, found: Mapping[Place, float]) -> Rule:
    plain = replace(limits, top_fraction=None, top_fraction_of={})
    if limits.per is None:
        return replace(plain, min=max([x for x in (limits.min, found.get((place, ""))) if x is not None] or [-1.0]))
    mine = {name: value for (one, name), value in found.items() if one == place}
    usual = -math.inf if limits.min is None else limits.min
    return replace(
        plain, min_of=limits.min_of | {name: max(value, limits.min_of.get(name, usual)) for name, value in mine.items()}
    )


def _rebuilt(rules: Sequence[Rule], settled: Mapping[int, Rule]) -> tuple[Rule, ...]:
    """The rules with the settled ones in their places, in the order of `rules.flat`."""
    numbers = count(len(rules))

    def inside(limits: Rule) -> Rule:
        branches = [replace(one, rules=level(one.rules, [next(numbers) for _ in one.rules])) for one in limits.branches]
        return replace(limits, branches=tuple(branches)) if branches else limits

    def level(some: Sequence[Rule], places: Sequence[int]) -> tuple[Rule, ...]:
        return tuple(inside(settled.get(place, limits)) for place, limits in zip(places, some, strict=True))

    return level(rules, range(len(rules)))
