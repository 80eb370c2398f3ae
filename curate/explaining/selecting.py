"""Which rules of a selection would keep a pair, one by one: judged anew from its facts, by the rules as select settled them."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pyarrow as pa

from curate.explaining.finding import Place
from curate.images import generations
from curate.ledger import DROPPED, GONE, KEPT
from curate.recipe import Rule
from curate.selection.columns import Facts
from curate.selection.judging import judge
from curate.selection.rules import SETS, column_of
from curate.selection.selecting import needed
from curate.store import Dataset

Row = dict[str, Any]
UNKNOWN = "not known from one pair"
"""Of a quota that did not drop the pair as the first rule: it counts others."""


def limits_of(selection: Dataset, label: str | None) -> Row | None:
    """The rule with this label, as the manifest has it; of a rule with branches the label may say how each of them failed."""
    rules: list[Row] = selection.require().extra.get("rules", [])
    return next(
        (rule for rule in rules if label == rule["label"] or (label or "").startswith(f"{rule['label']}: ")), None
    )


def every_rule(root: str, place: Place, selected: Row) -> list[Row]:
    """For each rule, in order: `rule` (its label), `column` and `value` (of rules that compare one), `state` (kept, dropped, or
    UNKNOWN) and `why`, how each branch failed. Empty for a pair that did not reach the stage."""
    rules = msgspec.convert(Dataset(root, "selection").require().extra.get("rules", []), list[Rule])
    if selected["state"] == GONE or not rules:
        return []
    facts = Facts(
        {name: _row(generations.current(root, name), place, columns) for name, columns in needed(rules).items()}
    )
    return [_judged(rule, facts, selected) for rule in rules]


def _row(data: Dataset, place: Place, columns: Sequence[str]) -> pa.Table:
    with data.open_part(place.part) as file:
        return file.read_row_group(place.group, columns=list(columns)).slice(place.row, 1).combine_chunks()


def _judged(rule: Rule, facts: Facts, selected: Row) -> Row:
    said: Row = {"rule": rule.label, "column": None, "value": None, "why": None}
    if rule.rule not in SETS:
        said |= {"column": column_of(rule), "value": facts.column(column_of(rule))[0].as_py()}
    if rule.rule == "quota":
        return said | {"state": DROPPED if selected["rule"] == rule.label else UNKNOWN}
    codes, causes = judge(rule, facts)
    if not codes[0]:
        return said | {"state": KEPT}
    cause = causes[codes[0] - 1]
    return said | {
        "state": DROPPED,
        "why": cause.rule.removeprefix(f"{rule.label}: ") if cause.rule != rule.label else None,
    }
