"""What a rule says of every row of a row group, with the reason and the rule's name where it drops one."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from curate.recipe import Branch, Rule
from curate.selection.columns import Facts
from curate.selection.rules import RULES, SETS, applies, column_of

Over = Mapping[int, np.ndarray]
"""Place of a quota among the rules -> bool (n,): the rows that are too many for it."""


class Cause(NamedTuple):
    """Why a row is dropped."""

    reason: str
    """Of the closed list in `schemas/selection.yaml`."""
    rule: str


class Verdict(NamedTuple):
    """What a rule, or a list of rules, says of n rows."""

    codes: np.ndarray
    """int32 (n,): 0 where the row stays, otherwise 1 + an index in `causes`."""
    causes: list[Cause]


def judge(limits: Rule, facts: Facts, over: np.ndarray | None = None) -> Verdict:
    """The verdict of one rule that is resolved and settled; a quota's is given by `over`."""
    label = limits.label or limits.rule
    if limits.rule in SETS:
        codes, causes = (_any if limits.rule == "any" else _not)(limits, facts, label)
    else:
        codes, causes = _single(limits, facts, over), [Cause(limits.rule, label), Cause("missing", label)]
    if limits.where:
        codes[~applies(limits, facts)] = 0
    return Verdict(codes, causes)


def _single(limits: Rule, facts: Facts, over: np.ndarray | None) -> np.ndarray:
    if limits.top_fraction is not None or limits.top_fraction_of:
        raise ValueError(f"{limits.label}: a top fraction has to be settled into a limit before rows are judged")
    decide, column = RULES[limits.rule].decide, column_of(limits)
    if decide is None:
        missing = facts.column(column).is_null().to_numpy(zero_copy_only=False)
        kept = np.ones(facts.rows, dtype=bool) if over is None else ~over
    else:
        kept, missing = decide(facts, limits, column)
    codes = np.where(kept | missing, 0, 1).astype(np.int32)
    if limits.missing == "drop":
        codes[missing] = 2
    return codes


def first(rules: Sequence[Rule], facts: Facts, over: Over | None = None) -> Verdict:
    """The verdict of rules in order: each row is dropped by the first that does not keep it."""
    codes, causes = np.zeros(facts.rows, dtype=np.int32), list[Cause]()
    for place, limits in enumerate(rules):
        mine, why = judge(limits, facts, (over or {}).get(place))
        codes = np.where((codes == 0) & (mine > 0), mine + len(causes), codes)
        causes += why
    return Verdict(codes.astype(np.int32, copy=False), causes)


def _any(limits: Rule, facts: Facts, label: str) -> tuple[np.ndarray, list[Cause]]:
    """A row that no branch keeps is told the first rule that dropped it in each of them."""
    found = [first(branch.rules, facts) for branch in limits.branches]
    dropped = np.logical_and.reduce([verdict.codes > 0 for verdict in found])
    codes, causes = np.zeros(facts.rows, dtype=np.int32), list[Cause]()
    met, places = np.unique(np.stack([verdict.codes[dropped] for verdict in found]), axis=1, return_inverse=True)
    for ways in met.T:
        words = " | ".join(verdict.causes[way - 1].rule for verdict, way in zip(found, ways, strict=True))
        causes.append(Cause("any", f"{label}: {words}"))
    codes[dropped] = places.reshape(-1) + 1
    return codes, causes


def _not(limits: Rule, facts: Facts, label: str) -> tuple[np.ndarray, list[Cause]]:
    """A row that a branch keeps is told which, the first of them."""
    codes, causes = np.zeros(facts.rows, dtype=np.int32), list[Cause]()
    for branch in limits.branches:
        codes[(codes == 0) & (first(branch.rules, facts).codes == 0)] = len(causes) + 1
        causes.append(Cause("not", label if len(limits.branches) == 1 else f"{label}: {branch_name(branch)}"))
    return codes, causes


def branch_name(branch: Branch) -> str:
    """A branch in words: its preset, and its own rules."""
    names = [branch.preset] if branch.preset else []
    own = [rule.label or rule.rule for rule in branch.rules] if not branch.preset else []
    return " & ".join([*names, *own])
