"""What thresholds would keep: each rule's limit over a grid, alone and with all other rules as they are."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec.structs import replace

from curate import parts
from curate.parts import Inputs
from curate.recipe import RecipeError, Rule
from curate.selection.columns import Facts
from curate.selection.judging import judge
from curate.selection.rules import LIMITS, RULES, SETS, column_of
from curate.selection.selecting import competing
from curate.store import nearest

SUMS = ("rows", "images", "rows_with_others", "images_with_others")
MOST = 200
"""Values in the grid of one limit."""
STEPS = 5
"""Values on either side of a limit, where the grid is left to us."""
FRACTION = "top_fraction"


class Grid(NamedTuple):
    """A limit of a rule, and the values to try for it."""

    place: int
    """Of the rule among the recipe's."""
    limit: str
    values: tuple[float, ...]


class Point(NamedTuple):
    """A rule with one value of its grid, settled."""

    place: int
    rule: Rule


# -- what is asked for


def asked(words: str, rules: Sequence[Rule]) -> Grid:
    """The grid in `low_similarity.min=0.2:0.35:0.01` or `images.nbytes.min=5000,10000`: a rule by its label, kind or column, a limit,
    and values, or first, last and step. Raises RecipeError for anything else."""
    place, _, values = words.rpartition("=")
    name, _, limit = place.rpartition(".")
    # Of several rules with a name, the first is meant.
    known = {
        one: i
        for i, rule in reversed(list(enumerate(rules)))
        for one in ("" if rule.rule in SETS else column_of(rule), rule.rule, rule.label)
        if one
    }
    if name not in known:
        raise RecipeError(
            f"--grid {words!r}: no rule {name!r}: {nearest(name, list(known))}; write it as rule.limit=first:last:step"
        )
    rule = rules[known[name]]
    limits = [one for one in (*LIMITS, FRACTION) if _takes(rule, one)]
    if limit not in limits:
        raise RecipeError(f"--grid {words!r}: rule {name!r} has no limit {limit!r}: {nearest(limit, limits)}")
    if rule.per:
        raise RecipeError(
            f"--grid {words!r}: rule {name!r} has limits by the values of {rule.per}; a grid is of one limit"
        )
    return Grid(known[name], limit, tuple(_values(values, words, share=limit == FRACTION)))


def _takes(rule: Rule, limit: str) -> bool:
    kind = RULES[rule.rule]
    return any(limit in need.split("|") for need in kind.needs) or limit in kind.takes


def _values(values: str, words: str, share: bool) -> list[float]:
    found = re.fullmatch(r"([^:,]+):([^:,]+):([^:,]+)", values)
    try:
        if found is None:
            numbers = [float(one) for one in values.split(",")]
        else:
            first, last, step = (float(one) for one in found.groups())
            if not (step > 0 and last >= first and math.isfinite(last - first)):
                raise ValueError
            # Decimal steps that add up to what people write: 0.2, 0.21, and not 0.21000000000000002.
            count = min(int((last - first) / step + 1e-9), MOST) + 1
            numbers = [round(first + i * step, 12) for i in range(count)]
    except (ValueError, OverflowError):
        raise RecipeError(
            f"--grid {words!r}: give numbers as 0.2,0.25,0.3 or as first:last:step (0.2:0.35:0.01)"
        ) from None
    if len(numbers) > MOST:
        raise RecipeError(f"--grid {words!r}: more than {MOST} values; take a larger step")
    if not all(math.isfinite(one) and (not share or 0 <= one <= 1) for one in numbers):
        raise RecipeError(
            f"--grid {words!r}: {'a fraction lies in 0..1' if share else 'a limit has to be a finite number'}"
        )
    return sorted(set(numbers))


def usual(rules: Sequence[Rule]) -> list[Grid]:
    """A grid around each limit of rules that have one limit for all rows."""
    found = []
    for place, rule in enumerate(rules):
        for limit in (*LIMITS, FRACTION):
            now = getattr(rule, limit)
            if now is not None and rule.per is None:
                found.append(Grid(place, limit, tuple(_around(now, limit, rule))))
    return found


def _around(now: float, limit: str, rule: Rule) -> list[float]:
    step = 10.0 ** (math.floor(math.log10(abs(now))) - 1) if now else 0.01
    if limit == FRACTION:
        step = 0.05
    elif rule.rule in ("few_words", "few_characters", "small_image"):
        step = max(step, 1.0)
    values = [round(now + i * step, 12) for i in range(-STEPS, STEPS + 1)]
    low, high = (0.0 if now >= 0 else -math.inf), (1.0 if limit == FRACTION else math.inf)
    return [value for value in values if low <= value <= high]


def opened(rules: Sequence[Rule], grids: Sequence[Grid]) -> list[Point]:
    """The rule of every value, in order; those of fractions still have to be settled."""
    return [
        Point(grid.place, replace(rules[grid.place], **{grid.limit: value})) for grid in grids for value in grid.values
    ]


# -- the pass


def sum_parts(names: str, *, inputs: Inputs, rules: Sequence[Rule], points: Sequence[Point]) -> pa.Table:
    """SUMS over parts whose names are joined by commas, by `key`: 0 is the recipe as it is (all rows that entered, and those that it
    keeps); 1 + i what rule i drops (alone, and as the first); then the points, in order."""
    total: dict[int, np.ndarray] = {}
    for name in names.split(","):
        for key, sums in _sum_part(name, inputs, rules, points).items():
            total[key] = total.get(key, 0) + sums
    columns = {name: pa.array([int(sums[i]) for sums in total.values()], pa.int64()) for i, name in enumerate(SUMS)}
    return pa.table({"key": pa.array(list(total), pa.int32())} | columns)


def _sum_part(name: str, inputs: Inputs, rules: Sequence[Rule], points: Sequence[Point]) -> dict[int, np.ndarray]:
    total: dict[int, np.ndarray] = {}
    images = _Images()
    for tables in parts.zipped(name, inputs):
        images.next(tables["images"]["image_uid"])
        for key, masks in _masks(tables, rules, points):
            counts = [count for i, mask in enumerate(masks) for count in (mask.sum(), images.of((key, i), mask))]
            total[key] = total.get(key, 0) + np.array(counts, dtype=np.int64)
    return total


def _masks(
    tables: Mapping[str, pa.Table], rules: Sequence[Rule], points: Sequence[Point]
) -> Iterator[tuple[int, tuple[np.ndarray, np.ndarray]]]:
    """For each key two bool (n,): alone, and with all other rules."""
    facts, rows = Facts(tables), competing(tables, rules)
    drops = np.stack([judge(rule, facts).codes > 0 for rule in rules] or [np.zeros(len(rows), dtype=bool)])
    number = drops.sum(axis=0)
    yield 0, (rows, rows & (number == 0))
    before = np.zeros(len(rows), dtype=bool)
    for place in range(len(rules)):
        yield 1 + place, (rows & drops[place], rows & drops[place] & ~before)
        before |= drops[place]
    for i, point in enumerate(points):
        kept = rows & (judge(point.rule, facts).codes == 0)
        yield 1 + len(rules) + i, (kept, kept & (number == drops[point.place]))


class _Images:
    """Counts distinct images of a part, whose texts stand side by side, perhaps in several row groups."""

    def __init__(self) -> None:
        self._uids, self._codes = pa.array([], pa.string()), np.empty(0, dtype=np.int64)
        self._counted: dict[Any, str] = {}
        """The image that was counted last, by what is counted."""

    def next(self, uids: pa.ChunkedArray) -> None:
        """Goes on to the next row group."""
        self._uids = uids.combine_chunks()
        before, after = self._uids.slice(0, max(len(uids) - 1, 0)), self._uids.slice(1)
        changes = pc.not_equal(before, after).to_numpy(zero_copy_only=False)
        self._codes = np.concatenate([np.zeros(min(len(uids), 1), dtype=np.int64), np.cumsum(changes)])

    def of(self, key: Any, mask: np.ndarray) -> int:
        """Images with a row in the mask that are not counted yet."""
        rows = np.flatnonzero(mask)
        if not len(rows):
            return 0
        again = self._uids[rows[0]].as_py() == self._counted.get(key)
        self._counted[key] = self._uids[rows[-1]].as_py()
        return 1 + int(np.count_nonzero(np.diff(self._codes[rows]))) - int(again)


# -- the account


def account(
    rules: Sequence[Rule], grids: Sequence[Grid], points: Sequence[Point], sums: Mapping[int, Mapping[str, int]]
) -> dict[str, Any]:
    """The sums as plain values: what the recipe keeps, what each rule drops, and a list for each grid."""
    nothing = dict.fromkeys(SUMS, 0)
    whole = sums.get(0, nothing)
    places = iter(range(1 + len(rules), 1 + len(rules) + len(points)))
    settled = iter(points)
    return {
        "entered": {"rows": whole["rows"], "images": whole["images"]},
        "kept": {"rows": whole["rows_with_others"], "images": whole["images_with_others"]},
        "rules": [
            {
                "rule": rule.label,
                "drops": sums.get(1 + place, nothing)["rows"],
                "drops_first": sums.get(1 + place, nothing)["rows_with_others"],
            }
            for place, rule in enumerate(rules)
        ],
        "grids": [
            {
                "rule": rules[grid.place].label,
                "limit": grid.limit,
                "now": getattr(rules[grid.place], grid.limit),
                "points": [
                    {
                        "value": value,
                        "threshold": next(settled).rule.min if grid.limit == FRACTION else next(settled) and value,
                    }
                    | dict(sums.get(next(places), nothing))
                    for value in grid.values
                ],
            }
            for grid in grids
        ],
    }
