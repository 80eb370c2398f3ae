"""Named lists of rules, and how a recipe's own rules change them."""

from collections.abc import Sequence

import msgspec

from curate.recipe import RecipeError, Rule, Select
from curate.selection.rules import check
from curate.store import nearest

PRESETS: dict[str, tuple[Rule, ...]] = {
    # DataComp's basic filter (Gadre et al., 2023): English, more than 2 words, more than 5 characters, shorter side
    # at least 200, aspect at most 3.
    "basic": (
        Rule(rule="language", languages=("en",)),
        Rule(rule="few_words", min=3),
        Rule(rule="few_characters", min=6),
        Rule(rule="small_image", min=200),
        Rule(rule="elongated_image", max=3.0),
    ),
    # DataComp's CLIP score filter at its best fraction.
    "clip_score": (Rule(rule="low_similarity", top_fraction=0.3),),
}


def resolve(select: Select, models: Sequence[str]) -> tuple[Rule, ...]:
    """The rules that a recipe means, in order, each with its model.

    A rule of the recipe replaces the preset's rule of the same name in its place; others follow. A rule that compares
    a score without naming the model means the only one in `models` (names of `score.models`). Raises RecipeError for
    an unknown preset, rule or model, a limit that is missing or not used, and a rule that stands twice.
    """
    if select.preset is not None and select.preset not in PRESETS:
        raise RecipeError(f"select.preset: no preset {select.preset!r}: {nearest(select.preset, list(PRESETS))}")
    own = {limits.rule: limits for limits in select.rules}
    if len(own) < len(select.rules):
        twice = next(one.rule for index, one in enumerate(select.rules) if own[one.rule] is not select.rules[index])
        raise RecipeError(f"select.rules: rule {twice!r} stands twice; each may stand once")
    preset = PRESETS[select.preset] if select.preset else ()
    merged = [own.pop(limits.rule, limits) for limits in preset] + list(own.values())
    return tuple(_with_model(limits, models) for limits in merged)


def _with_model(limits: Rule, models: Sequence[str]) -> Rule:
    where = f"select.rules: {limits.rule}"
    kind = check(limits, "select.rules")
    if "model" not in kind.takes:
        return limits
    if limits.model is not None and limits.model not in models:
        raise RecipeError(f"{where}: model {limits.model!r} is not in score.models: {nearest(limits.model, models)}")
    if limits.model is None and len(models) != 1:
        raise RecipeError(f"{where}: name its model; score.models has {', '.join(models) or 'none'}")
    return msgspec.structs.replace(limits, model=limits.model or models[0])
