"""From YAML to the recipe: what is wrong in it is said with the place, the value and the nearest valid name."""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
import yaml

from curate.backends.settings import URL
from curate.house import folder
from curate.recipe.tree import Recipe
from curate.settings import NAME, RecipeError, Settings, tagged
from curate.store import nearest

PATTERNS = {
    URL: "a URL without user, password, query and fragment (a key stands in the environment)",
    NAME: "a name of lower-case letters, digits, `_` and `-`",
}
"""What stands behind patterns of the settings, in words."""


def load(path: str, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe in a YAML file (or the name of one that ships), with dotted overrides (`select.rules=[]`) applied.

    Relative paths inside are left as they are: they count from the working directory. Raises RecipeError.
    """
    file = Path(path)
    text = file.read_text(encoding="utf-8") if file.is_file() else _shipped(path)
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"{path}: not YAML: {error}") from error
    if not isinstance(data, dict):
        raise RecipeError(f"{path}: a recipe is a mapping of sections, not {type(data).__name__}")
    for override in overrides:
        _override(data, override)
    return build(data, path)


def build(data: dict[str, Any], where: str = "recipe") -> Recipe:
    """The recipe in plain values. Raises RecipeError naming the place, the value, and the nearest valid key."""
    _check_keys(Recipe, data, where)
    _check_numbers(data, where)
    try:
        return msgspec.convert(data, Recipe)
    except msgspec.ValidationError as error:
        place = re.search(r"at `\$(.*?)`", str(error))
        value = _at(data, place.group(1)) if place else None
        said = str(error).split(" - at ")[0]
        for pattern, meant in PATTERNS.items():
            said = said.replace(f"`str` matching regex {pattern!r}", meant)
        spot = place.group(1).lstrip(".") if place else ""
        # What a section says of itself names its own values.
        got = f", got {value!r}" if place and not isinstance(value, dict) else ""
        raise RecipeError(f"{where}: {spot}{': ' if spot else ''}{said}{got}") from error


def _check_keys(kind: type[Settings], data: dict[str, Any], where: str) -> None:
    known = msgspec.structs.fields(kind)
    types = {field.name: field.type for field in known}
    for key, value in data.items():
        if key not in types:
            raise RecipeError(f"{where}: unknown key {key!r}: {nearest(str(key), list(types))}")
        inner = _settings_types(types[key])
        for index, item in enumerate(value if isinstance(value, list) else [value]):
            if inner and isinstance(item, dict):
                place = f"{where}: {key}" + (f"[{index}]" if isinstance(value, list) else "")
                _check_keys(*tagged(inner, item, place), place)
            elif words := _words(types[key]):
                _check_word(item, words, f"{where}: {key}")


def _check_word(value: Any, words: Sequence[str], where: str) -> None:
    """Raises RecipeError for a word that is none of those that stand to choose."""
    if isinstance(value, str) and value not in words:
        raise RecipeError(f"{where}: {value!r} is none of its words: {nearest(value, words)}")


def _words(kind: Any) -> list[str]:
    """The words that a type has to choose from; none where any text will do."""
    if kind is str:
        return []
    if get_origin(kind) is Literal:
        return [word for word in get_args(kind) if isinstance(word, str)]
    if get_origin(kind) is dict:
        return []
    inner = get_args(kind)[:1] if get_origin(kind) is Annotated else get_args(kind)
    return [] if str in inner else [word for arg in inner for word in _words(arg)]


def _check_numbers(value: Any, where: str) -> None:
    """Raises RecipeError for YAML's .nan and .inf: no comparison with the one is true, and no clock or count takes the other."""
    if isinstance(value, float) and not math.isfinite(value):
        raise RecipeError(f"{where}: {value} is no number to count or compare with; give a finite one, or leave it out")
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            _check_numbers(item, f"{where}: {key}" if isinstance(key, str) else f"{where}[{key}]")


def _settings_types(kind: Any) -> list[type[Settings]]:
    if isinstance(kind, type) and issubclass(kind, Settings):
        return [kind]
    return [found for arg in getattr(kind, "__args__", ()) for found in _settings_types(arg)]


def _override(data: dict[str, Any], override: str) -> None:
    key, sign, value = override.partition("=")
    if not sign:
        raise RecipeError(f"override {override!r}: write it as section.key=value")
    *sections, last = key.split(".")
    place = data
    for section in sections:
        place = place.setdefault(section, {})
        if not isinstance(place, dict):
            raise RecipeError(f"override {override!r}: {section!r} is a value, not a section")
    place[last] = yaml.safe_load(value)


def _at(data: Any, path: str) -> Any:
    for key in re.findall(r"\.(\w+)|\[(\d+|\.\.\.)\]", path):
        try:
            data = data[key[0]] if key[0] else data[int(key[1])]
        except (KeyError, IndexError, TypeError, ValueError):
            return data
    return data


def _shipped(name: str) -> str:
    shipped = {f.name.removesuffix(".yaml"): f for f in folder("recipes").iterdir() if f.name.endswith(".yaml")}
    stem = Path(name).name.removesuffix(".yaml")
    if stem not in shipped:
        raise RecipeError(f"no recipe at {name}: {nearest(stem, list(shipped))}")
    return shipped[stem].read_text(encoding="utf-8")
