"""The rule table: a YAML file of the package, or one that the recipe names, held to one schema."""

import re
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import xxhash
import yaml

from curate import CurateError
from curate.hints import nearest

Read = Literal["robots_txt", "well_known", "response_header", "page_meta"]
Syntax = Literal["robots", "directives", "dictionary", "value", "tdmrep"]
When = Literal["before", "response", "page"]

WHEN: dict[str, str] = {
    "robots_txt": "before",
    "well_known": "before",
    "response_header": "response",
    "page_meta": "page",
}
"""When a rule is checked follows from where it stands; a table says both, and they must agree."""
SYNTAXES: dict[str, tuple[str, ...]] = {
    "robots_txt": ("robots", "dictionary"),
    "well_known": ("tdmrep",),
    "response_header": ("directives", "dictionary", "value"),
    "page_meta": ("directives", "value"),
}
"""The syntaxes that can stand in each place."""
SHIPPED = "curate/images/consent/rules.yaml"
MAX_TABLE = 2**20
"""Bytes of a table."""


class RulesError(CurateError, ValueError):
    """A rule table, or a setting about it, that cannot be used; the message names the place and what would be valid."""


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of the table; see the head of `rules.yaml` for what the columns mean."""

    name: Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_]*$", max_length=40)]
    read: Read
    field: str
    syntax: Syntax
    when: When
    forbids: tuple[str, ...]
    allows: tuple[str, ...]
    source: str
    heeded: bool = True


class Table(msgspec.Struct, frozen=True):
    """The rules that hold, in the order of the file."""

    rules: tuple[Rule, ...]

    def of(self, read: Read) -> tuple[Rule, ...]:
        return tuple(rule for rule in self.rules if rule.read == read)

    @property
    def fingerprint(self) -> str:
        """xxh3-128 of the rules that hold; 32 hex digits."""
        return xxhash.xxh3_128_hexdigest(msgspec.json.encode(self.rules))


def table(path: str | None = None, off: Iterable[str] = (), directives: Iterable[str] | None = None) -> Table:
    """The table at `path` (by default the one that ships) without the rules that are off.

    `directives` stand in place of the table's own in rules of that syntax; `none` counts where noindex does.
    Raises RulesError for a table that is none, an unknown key, value or rule.
    """
    found = load(path)
    names = [rule.name for rule in found]
    for name in off:
        if name not in names:
            raise RulesError(f"consent_off: {path or SHIPPED} has no rule {name!r}: {nearest(name, names)}")
    rules = [rule for rule in found if rule.heeded and rule.name not in set(off)]
    if directives is not None:
        plain = tuple(dict.fromkeys(word.strip().lower() for word in directives))
        plain += ("none",) if "noindex" in plain and "none" not in plain else ()
        rules = [msgspec.structs.replace(r, forbids=plain) if r.syntax == "directives" else r for r in rules]
    return Table(tuple(rules))


def load(path: str | None = None) -> tuple[Rule, ...]:
    """All rules of a table, on or off. Raises RulesError."""
    where = path or SHIPPED
    try:
        text = (Path(path) if path else files("curate.images.consent") / "rules.yaml").read_text(encoding="utf-8")
        data = yaml.safe_load(text) if len(text) <= MAX_TABLE else None
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise RulesError(f"consent_rules: {where} is no readable YAML file: {error}") from error
    rows = data.get("rules") if isinstance(data, dict) and set(data) == {"rules"} else None
    if not isinstance(rows, list):
        raise RulesError(f"consent_rules: {where} must be a mapping with the one key `rules`, a list; see {SHIPPED}")
    rules = tuple(_rule(row, f"consent_rules: {where}: rules[{index}]") for index, row in enumerate(rows))
    names = [rule.name for rule in rules]
    for name in names:
        if names.count(name) > 1:
            raise RulesError(
                f"consent_rules: {where}: {name!r} names {names.count(name)} rules; give each its own name"
            )
    return rules


def _rule(row: Any, where: str) -> Rule:
    if not isinstance(row, dict):
        raise RulesError(f"{where}: a rule is a mapping, not {type(row).__name__}")
    known = list(Rule.__struct_fields__)
    for key in row:
        if key not in known:
            raise RulesError(f"{where}: unknown key {key!r}: {nearest(str(key), known)}")
    choices = {"read": Read, "syntax": Syntax, "when": When}
    for key, kind in choices.items():
        valid = list(kind.__args__)  # type: ignore[attr-defined]
        if key in row and row[key] not in valid:
            raise RulesError(
                f"{where}.{key}: {row[key]!r} is none of {', '.join(valid)}: {nearest(str(row[key]), valid)}"
            )
    try:
        rule = msgspec.convert(row, Rule)
    except msgspec.ValidationError as error:
        place = re.search(r" - at `\$\.?(.*?)`$", str(error))
        said = str(error).split(" - at ")[0]
        raise RulesError(f"{where}{f'.{place[1]}' if place else ''}: {said}") from error
    if rule.when != WHEN[rule.read]:
        raise RulesError(f"{where}.when: {rule.read} is read {WHEN[rule.read]!r}, not {rule.when!r}")
    if rule.syntax not in SYNTAXES[rule.read]:
        raise RulesError(
            f"{where}.syntax: {rule.syntax!r} cannot stand in {rule.read}, which takes {', '.join(SYNTAXES[rule.read])}"
        )
    if rule.read == "page_meta" and rule.allows:
        raise RulesError(f"{where}.allows: a page does not speak for the images that it shows; leave it empty")
    if rule.read == "well_known" and not rule.field.startswith("/"):
        raise RulesError(f"{where}.field: {rule.field!r} is no path; write /.well-known/name.json")
    return msgspec.structs.replace(rule, field=rule.field if rule.read == "well_known" else rule.field.lower())
