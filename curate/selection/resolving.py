"""From a recipe's section to the rules that it means: presets opened, own rules in their places, names complete."""

from collections.abc import Iterator, Sequence

from msgspec.structs import fields as fields_of
from msgspec.structs import replace

from curate.recipe import Branch, Recaption, RecipeError, Rule, Score, Select
from curate.selection import columns
from curate.selection.columns import Sides
from curate.selection.judging import branch_name
from curate.selection.presets import PRESETS
from curate.selection.rules import LIMITS, RULES, SETS, check, column_of, named
from curate.store import nearest

SIGNS = {"min": ">=", "max": "<=", "above": ">", "below": "<"}


def resolve(select: Select, score: Score, recaption: Recaption | None = None) -> tuple[Rule, ...]:
    """The rules that a recipe means, in order, each with its model and its label.

    A rule of the recipe replaces the preset's rule of the same name (and column) in its place; others follow. A rule that compares
    a score without naming the model means `select.model`, or the only one in `score.models`. What stands in `all` stands for
    itself. Raises RecipeError for an unknown preset, rule, model or column, a limit that is missing or not used, a quota in a
    branch, and a rule that stands twice.
    """
    sides = columns.Sides.of(score, recaption or Recaption())
    found: list[Rule] = []
    for limits in _opened(select.preset, select.rules, select, sides, "select"):
        labels = [one.label for one in found]
        if limits.label in labels:
            # Two presets side by side may have rules of one name: equal ones are one, others are told apart by their limits.
            if limits in found:
                continue
            limits = replace(limits, label=f"{limits.label} ({', '.join(_edges(limits))})")
        if limits.label in labels:
            raise RecipeError(f"select.rules: rule {limits.label!r} stands twice; give one of them a label of its own")
        found.append(limits)
    return tuple(found)


def _opened(
    preset: str | None, own: Sequence[Rule], select: Select, sides: Sides, where: str, inside: bool = False
) -> Iterator[Rule]:
    if preset is not None and preset not in PRESETS:
        raise RecipeError(f"{where}.preset: no preset {preset!r}: {nearest(preset, list(PRESETS))}")
    for limits in own:
        check(limits, f"{where}.rules")
    for limits in _merged(preset, own, where):
        if limits.rule == "quota" and inside:
            raise RecipeError(
                f"{where}.rules: a quota counts what the rules before it have kept; it cannot stand in a branch"
            )
        if limits.rule == "all":
            for branch in limits.branches:
                yield from _opened(branch.preset, branch.rules, select, sides, where, inside)
        else:
            yield _complete(limits, select, sides, where)


def _merged(preset: str | None, own: Sequence[Rule], where: str) -> list[Rule]:
    """The preset's rules, each replaced by those of `own` that are the same rule, and the others of `own`."""
    mine: dict[tuple[str, ...], list[Rule]] = {}
    for limits in own:
        others = mine.setdefault(_key(limits), [])
        if any((one.model, one.label) == (limits.model, limits.label) for one in others):
            raise RecipeError(f"{where}.rules: rule {limits.label or limits.rule!r} stands twice; each may stand once")
        others.append(limits)
    replaced = [mine.pop(_key(limits), [limits]) for limits in (PRESETS[preset].rules if preset else ())]
    return [limits for some in (*replaced, *mine.values()) for limits in some]


def _key(limits: Rule) -> tuple[str, ...]:
    """What makes two rules the same one. The model does not, so that a recipe's rule takes the place of a preset's."""
    if RULES[limits.rule].column:
        return (limits.rule, repr(limits.where))
    return (limits.rule, repr(limits.where), limits.column or "", repr(limits.branches))


def _complete(limits: Rule, select: Select, sides: Sides, where: str) -> Rule:
    kind = check(limits, f"{where}.rules")
    changes: dict = {}
    if limits.rule in SETS:
        changes["branches"] = tuple(
            Branch(preset=branch.preset, rules=tuple(_opened(branch.preset, branch.rules, select, sides, where, True)))
            for branch in limits.branches
        )
    if "model" in kind.takes:
        changes["model"] = _model(limits, select, sides, f"{where}.rules: {limits.rule}")
    if limits.column is not None:
        changes["column"] = limits.column.replace("{clusters}", select.clusters)
    done = replace(limits, **changes)
    several = f" {done.model}" if done.model and len(sides.models) > 1 else ""
    done = replace(done, label=limits.label or describe(done) + several)
    _check_columns(done, sides, f"{where}.rules: {done.label}")
    return done


def _check_columns(limits: Rule, sides: Sides, where: str) -> None:
    """RecipeError for a column that is not there, or has another type than the rule compares."""
    for name, numeric in [] if limits.rule in SETS else named(limits):
        (columns.check_number if numeric else columns.type_of)(name, sides, where)
    if limits.values or limits.languages:
        columns.check_values(column_of(limits), limits.values or limits.languages, sides, where)
    for name, values in limits.where.items():
        columns.check_values(name, values if isinstance(values, tuple) else (values,), sides, where)


def _model(limits: Rule, select: Select, sides: Sides, where: str) -> str:
    models = list(sides.models)
    model = limits.model or select.model
    if model is not None and model not in models:
        raise RecipeError(f"{where}: model {model!r} is not in score.models: {nearest(model, models)}")
    if model is None and len(models) != 1:
        raise RecipeError(f"{where}: name its model; score.models has {', '.join(models) or 'none'}")
    return model or models[0]


def describe(limits: Rule) -> str:
    """A rule in words: what it asks of a row."""
    column = limits.column
    words = {
        "threshold": f"{column} {', '.join(_edges(limits)) or 'within limits'}",
        "top_fraction": f"top {_percent(limits)}of {column}",
        "among": f"{column} among {_values(limits.values)}",
        "none_of": f"{column} none of {_values(limits.values)}",
        "present": f"{column} present",
        "quota": f"at most {limits.at_most} of each {column}",
    }.get(limits.rule, limits.rule)
    if limits.rule in SETS:
        words = f"{limits.rule}({', '.join(map(branch_name, limits.branches))})"
    per = f" per {limits.per}" if limits.per else ""
    where = [f"{column} {_values(value)}" for column, value in limits.where.items()]
    return (words + per + (f" where {' and '.join(where)}" if where else ""))[:200]


def _edges(limits: Rule) -> list[str]:
    return [f"{SIGNS[name]} {limit:g}" for name in LIMITS if (limit := getattr(limits, name)) is not None]


def _percent(limits: Rule) -> str:
    return "" if limits.top_fraction is None else f"{100 * limits.top_fraction:g} % "


def _values(values) -> str:
    return ", ".join(str(value).lower() if isinstance(value, bool) else str(value)
                     for value in (values if isinstance(values, tuple) else (values,)))  # fmt: skip


def limits_of(limits: Rule) -> str:
    """The limits that a rule has, in words."""
    fields = {field.name: field.default for field in fields_of(Rule)}
    given = {name: value for name in fields if (value := getattr(limits, name)) not in (fields[name], {}, ())}
    hidden = ("rule", "label", "missing", "branches")
    return ", ".join(f"{name} {_values(value)}" for name, value in given.items() if name not in hidden)


def kinds() -> dict[str, str]:
    """The kinds of rules and what each asks of a row."""
    return {name: kind.about for name, kind in RULES.items()}
