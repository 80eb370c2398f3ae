"""The kinds of rules: each compares one column, and says for every row whether it stays. A kind knows nothing of the others.

`min` and `max` may be reached, `above` and `below` may not. DataComp's basic filter says "more than 2 words": `min: 3`.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from curate.recipe import RecipeError, Rule
from curate.selection.columns import Facts
from curate.store import nearest


class Judged(NamedTuple):
    """What a rule says of rows, two bool (n,)."""

    kept: np.ndarray
    missing: np.ndarray
    """The column has no value; then `kept` says nothing."""


class Kind(msgspec.Struct, frozen=True):
    """A rule that can be named in a recipe."""

    about: str
    column: str
    """The column that it compares; empty: the one that the rule names, {model}: that of the rule's model."""
    decide: Callable[[Facts, Rule, str], Judged] | None
    """None for what `judging` or `quotas` put together."""
    needs: tuple[str, ...]
    """Limits that must be set; where two are joined by "|" one of them does."""
    takes: tuple[str, ...]
    """Limits that may be set."""
    numeric: bool = False
    """Whether the column has to be of numbers or truth values."""


SETS = ("any", "all", "not")
"""Kinds whose rules stand in branches."""
OF_ALL = ("label", "where")
"""What every rule takes, but `all`, whose rules stand for themselves."""
LIMITS = ("min", "max", "above", "below")
EDGES = "|".join((*LIMITS, "min_of", "max_of"))


def within(facts: Facts, limits: Rule, column: str) -> Judged:
    """The value lies inside the limits, compared in the column's type.

    A limit on a float32 is itself rounded to float32: 0.7 in float32 is below 0.7 in float64, and a score that is written as its
    threshold would be lost. Whole numbers and truth values (0 and 1) are compared exactly.
    """
    values, missing = facts.numbers(column)
    kept = np.ones(len(values), dtype=bool)
    for name in LIMITS:
        limit = _limit(facts, limits, name)
        if limit is not None:
            kept &= _compared(values, limit, name)
    return Judged(kept, missing)


def _limit(facts: Facts, limits: Rule, name: str) -> float | np.ndarray | None:
    """A limit of all rows, or one of each row: float64, NaN where the row has none."""
    everywhere, single = getattr(limits, f"{name}_of", {}), getattr(limits, name)
    if not everywhere:
        return single
    codes, known = facts.words(limits.per or "")
    usual = math.nan if single is None else single
    return np.array([everywhere.get(group(value), usual) for value in [*known, None]])[codes]


def group(value: Any) -> str:
    """A value of the column `per` as `min_of` and its like write it; a missing one is the empty string."""
    return {None: "", True: "true", False: "false"}.get(value, str(value)) if not isinstance(value, str) else value


def _compared(values: np.ndarray, limit: float | np.ndarray, name: str) -> np.ndarray:
    border: Any = limit
    if values.dtype.kind in "iu":
        # x >= 2.5 is x >= 3 and x > 2.5 is x > 2; of the smallest and greatest int64 there is nothing beyond.
        whole = np.ceil(limit) if name in ("min", "below") else np.floor(limit)
        border = np.clip(np.nan_to_num(whole), -(2.0**63), 2.0**63 - 1024).astype(np.int64)
        values = values.astype(np.int64, copy=False)
    elif values.dtype == np.float32:
        border = np.float32(limit) if np.ndim(limit) == 0 else np.asarray(limit, dtype=np.float32)
    compare = {"min": np.greater_equal, "max": np.less_equal, "above": np.greater, "below": np.less}[name]
    return compare(values, border) | np.isnan(limit)


def among(facts: Facts, limits: Rule, column: str) -> Judged:
    """The value is one of `values`."""
    codes, known = facts.words(column)
    return Judged(np.array([value in limits.values for value in [*known, None]])[codes], codes == len(known))


def none_of(facts: Facts, limits: Rule, column: str) -> Judged:
    """The value is none of `values`."""
    kept, missing = among(facts, limits, column)
    return Judged(~kept, missing)


def applies(limits: Rule, facts: Facts) -> np.ndarray:
    """The rows that `where` lets the rule hold for, bool (n,)."""
    rows = np.ones(facts.rows, dtype=bool)
    for column, values in limits.where.items():
        wanted = Rule(rule="among", values=values if isinstance(values, tuple) else (values,))
        rows &= among(facts, wanted, column).kept
    return rows


def language(facts: Facts, limits: Rule, column: str) -> Judged:
    """The text's language is among `languages`; a text without one is not."""
    codes, known = facts.words(column)
    keeps = [value in limits.languages for value in known] + [limits.missing == "keep"]
    return Judged(np.array(keeps)[codes], np.zeros(facts.rows, dtype=bool))


def present(facts: Facts, limits: Rule, column: str) -> Judged:
    """There is a value."""
    kept = facts.column(column).is_valid().to_numpy(zero_copy_only=False)
    return Judged(kept, np.zeros(facts.rows, dtype=bool))


def is_not(facts: Facts, limits: Rule, column: str) -> Judged:
    """The column, of truth values, says no."""
    values, missing = facts.numbers(column)
    return Judged(values == 0, missing)


RULES: dict[str, Kind] = {
    "language": Kind("the text's language is among `languages`", "images.lang", language, ("languages",), ("column", "missing")),
    "few_words": Kind("at least `min` words", "images.words", within, ("min",), (), True),
    "few_characters": Kind("at least `min` characters", "images.characters", within, ("min",), (), True),
    "small_image": Kind("the shorter side has at least `min` pixels", "images.shorter_side", within, ("min",), (), True),
    "elongated_image": Kind("the longer side is at most `max` times the shorter", "images.aspect", within, ("max",), (), True),
    "low_similarity": Kind(
        "the similarity by `model` is at least `min`, or in the `top_fraction`", "{model}.similarity_score", within,
        ("min|min_of|top_fraction|top_fraction_of",), ("model", "per", "missing"), True,
    ),
    "file_name": Kind("the text is no file's name", "images.file_name", is_not, (), (), True),
    "boilerplate": Kind("the text is no stock word", "images.boilerplate", is_not, (), (), True),
    "threshold": Kind("the column lies within limits", "", within, ("column", EDGES), ("per", "missing"), True),
    "top_fraction": Kind(
        "the column is among its greatest values", "", within, ("column", "top_fraction|top_fraction_of"),
        ("min", "per", "missing"), True,
    ),
    "among": Kind("the column has one of `values`", "", among, ("column", "values"), ("missing",)),
    "none_of": Kind("the column has none of `values`", "", none_of, ("column", "values"), ("missing",)),
    "present": Kind("the column has a value", "", present, ("column",), ()),
    "quota": Kind("one of the first `at_most` of its value", "", None, ("column", "at_most"), ("best_by", "missing")),
    "any": Kind("a branch keeps the row", "", None, ("branches",), ()),
    "all": Kind("all branches keep the row; its rules stand for themselves", "", None, ("branches",), ()),
    "not": Kind("no branch keeps the row", "", None, ("branches",), ()),
}  # fmt: skip


def check(limits: Rule, where: str) -> Kind:
    """The kind of a rule in a recipe. Raises RecipeError naming `where` when it is unknown, or lacks a limit, or has
    one that it does not use."""
    if limits.rule not in RULES:
        raise RecipeError(f"{where}: unknown rule {limits.rule!r}: {nearest(limits.rule, list(RULES))}")
    kind = RULES[limits.rule]
    usual = {field.name: field.default for field in msgspec.structs.fields(Rule)}
    given = [name for name in usual if name != "rule" and getattr(limits, name) not in (usual[name], {}, ())]
    for need in kind.needs:
        if not set(need.split("|")) & set(given):
            raise RecipeError(f"{where}: rule {limits.rule!r} needs {need.replace('|', ' or ')}")
    takes = [*(limit for need in kind.needs for limit in need.split("|")), *kind.takes]
    for name in given:
        if name not in (*takes, *(OF_ALL if limits.rule != "all" else ())):
            uses = ", ".join(takes) or "no limits"
            raise RecipeError(f"{where}: rule {limits.rule!r} does not use {name}; it takes {uses}")
    by_value = [name for name in given if name.endswith("_of")]
    if by_value and limits.per is None:
        raise RecipeError(f"{where}: rule {limits.rule!r} has {by_value[0]}, and `per` names no column for its values")
    if limits.per and not by_value and limits.top_fraction is None:
        raise RecipeError(f"{where}: rule {limits.rule!r} has `per`, and neither a fraction nor limits by its values")
    if any(not math.isfinite(limit) for limit in numbers(limits)):
        raise RecipeError(f"{where}: rule {limits.rule!r}: a limit has to be a finite number")
    return kind


def numbers(limits: Rule) -> list[float]:
    """All limits of a rule that are compared with values."""
    single = [getattr(limits, name) for name in LIMITS]
    return [limit for limit in [*single, *limits.min_of.values(), *limits.max_of.values()] if limit is not None]


def column_of(limits: Rule) -> str:
    """The column that a resolved rule compares; empty for sets."""
    return limits.column or RULES[limits.rule].column.format(model=limits.model)


def named(limits: Rule) -> list[tuple[str, bool]]:
    """All columns that a resolved rule names, with whether each has to be of numbers; those of its branches too."""
    if limits.rule in SETS:
        inner = [one for branch in limits.branches for rule in branch.rules for one in named(rule)]
        return [*inner, *((name, False) for name in limits.where)]
    own = [(column_of(limits), RULES[limits.rule].numeric)]
    return (
        own
        + [(name, False) for name in (limits.per, *limits.where) if name]
        + [(name, True) for name in [limits.best_by] if name]
    )


def flat(rules: Sequence[Rule]) -> list[Rule]:
    """The rules, and those in their branches."""
    inner = [rule for limits in rules for branch in limits.branches for rule in flat(branch.rules)]
    return [*rules, *inner]
