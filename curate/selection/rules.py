"""The rules: each takes the facts about rows and says which to keep. A rule knows its limits and nothing of the others.

The facts are a table with the columns text, lang, width, height, and `similarity/<model>` for each scored model.
Limits are inclusive. DataComp's basic filter says the same with "more than": more than 2 words is `min: 3`.
"""

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
import pyarrow as pa

from curate.recipe import RecipeError, Rule
from curate.store import nearest
from curate.texts.stock import is_boilerplate, is_file_name

Keep = Callable[[pa.Table, Rule], np.ndarray]
"""Facts and limits in; bool per row out, true where the row stays."""


class Kind(msgspec.Struct, frozen=True):
    """A rule that can be named in a recipe."""

    keep: Keep
    needs: tuple[str, ...]
    """Limits that must be set; where two are joined by "|" one of them does."""
    takes: tuple[str, ...]
    """Limits that may be set."""


RULES: dict[str, Kind] = {}
SIMILARITY = "similarity/"


def rule(name: str, *needs: str, takes: Sequence[str] = ()) -> Callable[[Keep], Keep]:
    """Makes a function known as a rule; `needs` are the limits that a recipe must give it."""

    def register(keep: Keep) -> Keep:
        RULES[name] = Kind(keep, needs, (*[limit for need in needs for limit in need.split("|")], *takes))
        return keep

    return register


@rule("language", "languages")
def language(facts: pa.Table, limits: Rule) -> np.ndarray:
    """The text's language is among `languages`."""
    return _flags(lang in limits.languages for lang in facts["lang"].to_pylist())


@rule("few_words", "min")
def few_words(facts: pa.Table, limits: Rule) -> np.ndarray:
    """At least `min` words, split at any white space."""
    return _flags(len(text.split()) >= _limit(limits.min) for text in facts["text"].to_pylist())


@rule("few_characters", "min")
def few_characters(facts: pa.Table, limits: Rule) -> np.ndarray:
    """At least `min` characters (code points)."""
    return _flags(len(text) >= _limit(limits.min) for text in facts["text"].to_pylist())


@rule("small_image", "min")
def small_image(facts: pa.Table, limits: Rule) -> np.ndarray:
    """The shorter side has at least `min` pixels."""
    return np.minimum(*_sides(facts)) >= _limit(limits.min)


@rule("elongated_image", "max")
def elongated_image(facts: pa.Table, limits: Rule) -> np.ndarray:
    """The longer side is at most `max` times the shorter."""
    width, height = _sides(facts)
    return np.maximum(width, height) / np.minimum(width, height) <= _limit(limits.max)


@rule("low_similarity", "min|top_fraction", takes=("model",))
def low_similarity(facts: pa.Table, limits: Rule) -> np.ndarray:
    """The similarity is at least `min`, compared in float32 as it was written.

    A `top_fraction` has to be turned into `min` first (`thresholds.settle`): it depends on all rows.
    """
    if limits.min is None:
        raise ValueError("low_similarity: settle top_fraction into min before rows are judged")
    return facts[f"{SIMILARITY}{limits.model}"].to_numpy() >= np.float32(limits.min)


@rule("file_name")
def file_name(facts: pa.Table, limits: Rule) -> np.ndarray:
    """The text is not a file's name, a camera's counter, or nothing but digits."""
    return _flags(not is_file_name(text) for text in facts["text"].to_pylist())


@rule("boilerplate")
def boilerplate(facts: pa.Table, limits: Rule) -> np.ndarray:
    """The text is not a stock word (`curate/texts/boilerplate.txt`), with or without a number, nor made of marks alone."""
    return _flags(not is_boilerplate(text) for text in facts["text"].to_pylist())


def check(limits: Rule, where: str) -> Kind:
    """The kind of a rule in a recipe. Raises RecipeError naming `where` when it is unknown, or lacks a limit, or has
    one that it does not use."""
    if limits.rule not in RULES:
        raise RecipeError(f"{where}: unknown rule {limits.rule!r}: {nearest(limits.rule, list(RULES))}")
    kind = RULES[limits.rule]
    given = [name for name in limits.__struct_fields__ if name != "rule" and getattr(limits, name) not in (None, ())]
    for need in kind.needs:
        if not set(need.split("|")) & set(given):
            raise RecipeError(f"{where}: rule {limits.rule!r} needs {need.replace('|', ' or ')}")
    for name in given:
        if name not in kind.takes:
            uses = ", ".join(kind.takes) or "no limits"
            raise RecipeError(f"{where}: rule {limits.rule!r} does not use {name}; it takes {uses}")
    return kind


def _limit(value: float | None) -> float:
    assert value is not None  # `check` has seen to it
    return value


def _sides(facts: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    return facts["width"].to_numpy(), facts["height"].to_numpy()


def _flags(values) -> np.ndarray:
    return np.fromiter(values, dtype=bool)
