"""The rules: each takes the facts about rows and says which to keep. A rule knows its limits and nothing of the others.

The facts are a table with the columns text, lang, width, height, and `similarity/<model>` for each scored model.
Limits are inclusive. DataComp's basic filter says the same with "more than": more than 2 words is `min: 3`.
"""

import re
from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files

import msgspec
import numpy as np
import pyarrow as pa

from curate.recipe import RecipeError, Rule
from curate.store import nearest

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


IMAGE_SUFFIX = r"\.(jpe?g|jfif|png|gif|webp|avif|heic|heif|bmp|tiff?|svg|ico|psd|eps|raw|cr2|nef|arw|dng|pdf)"
FILE_NAME = re.compile(
    rf"""\s*(
        \S+{IMAGE_SUFFIX}([?\#]\S*)?                                      # cat-2.jpg, a/b/cat.png?w=200
      | (img|image|dsc[a-z]?|dcim|pict?|p|pxl|mvi|gopr|sam|scan|wp|vid|mg|dji|cimg|imag|photo|foto)?[-_]?\d+([-_ ().]+(wa)?\d+)*\)?
                                                                          # IMG_9916, DSCN0042, P1010023, 5582, 2021-04-03
      | _?(img|dsc[a-z]?|dscn|pict|mg)[-_ ]+\w*\d\w*                      # _MG_0412, IMG 9916a
      | (screen[ ]?shot|whatsapp[ ]image|bildschirmfoto|captura)\b.*\d.*  # Screenshot 2021-04-03 at 10.01.59
    )\s*""",
    re.IGNORECASE | re.VERBOSE,
)


@rule("file_name")
def file_name(facts: pa.Table, limits: Rule) -> np.ndarray:
    """The text is not a file's name, a camera's counter, or nothing but digits."""
    return _flags(not is_file_name(text) for text in facts["text"].to_pylist())


def is_file_name(text: str) -> bool:
    """Whether the whole text is a file's name; file systems end them at 255 bytes, which also bounds the search."""
    return len(text) <= 255 and FILE_NAME.fullmatch(text) is not None


@rule("boilerplate")
def boilerplate(facts: pa.Table, limits: Rule) -> np.ndarray:
    """The text is not a stock word (`boilerplate.txt`), with or without a number, nor made of marks alone."""
    return _flags(not is_boilerplate(text) for text in facts["text"].to_pylist())


def is_boilerplate(text: str) -> bool:
    """Whether the text is a stock word, for which case, marks around it and a trailing number do not count."""
    return bare(text) in stock_words()


def bare(text: str) -> str:
    """The case-folded text without marks around it and a number after it, its words parted by one blank."""
    word = re.sub(r"^[\W_]+|[\W\d_]+$", "", text.casefold())
    return re.sub(r"[\s_-]+", " ", word)


@cache
def stock_words() -> frozenset[str]:
    """The stock words, and the empty text."""
    lines = (files("curate.selection") / "boilerplate.txt").read_text(encoding="utf-8").splitlines()
    return frozenset({""} | {bare(line) for line in lines if not line.startswith("#")})


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
