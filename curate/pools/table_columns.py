"""Which column of a table is which: the names of the field, as `schemas/pairs.yaml` lists them, and those that a recipe gives."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from curate import CurateError, schema
from curate.hints import nearest
from curate.pools.pages import KINDS
from curate.recipe import Table

TAKEN = ("uid", "url", "known_sha256", "page_url", "page_lang")
"""Columns of `pairs` that a table may bring, beside its text."""
MAX_FACTS = 64
"""Columns that are kept as facts; those behind them are not read."""


class TableError(CurateError, ValueError):
    """A table or a subset file that cannot be used as it is; the message says what is there and what to do."""


class Columns(NamedTuple):
    """The columns of a table, by their names there."""

    taken: dict[str, str]
    """Of TAKEN, those that it has; always with url."""
    texts: tuple[tuple[str, str], ...]
    """(kind, name) of each text of a row, in the order of KINDS."""

    def names(self) -> list[str]:
        return [*self.taken.values(), *(name for _, name in self.texts)]

    def facts(self, names: Iterable[str]) -> list[str]:
        """Of a table's columns those that are neither, the first MAX_FACTS of them."""
        used = set(self.names())
        return [name for name in dict.fromkeys(names) if name and name not in used][:MAX_FACTS]


def check_names(columns: dict[str, str]) -> None:
    """Raises ValueError when a recipe names columns that `pairs` does not take."""
    known = [*TAKEN, "text", *KINDS]
    for ours in columns:
        if ours not in known:
            raise ValueError(f"table.columns: {ours!r} is no column that is taken: {nearest(ours, known)}")
    if "text" in columns and (kinds := [ours for ours in columns if ours in KINDS]):
        raise ValueError(f"table.columns: text is given, and {kinds[0]!r} too; call each text by its kind")


def resolve(names: Sequence[str], settings: Table | None, where: str) -> Columns:
    """The columns of a table that is called `where`. Raises TableError when it has no column for the URL or the text."""
    known, given = schema.load("pairs"), settings.columns if settings else {}
    for ours, theirs in given.items():
        if theirs not in names:
            raise TableError(f"{where}: table.columns.{ours}: no column {theirs!r}: {nearest(theirs, names)}")
    found = {ours: theirs for theirs, ours in known.renames(names).items()}
    found |= {ours: ours for ours in (*TAKEN, "text") if ours in names} | given
    texts = _texts(names, found, given, known.texts)
    for ours, there in (("url", "url" in found), ("text", bool(texts))):
        if not there:
            aliases = [ours, *known.columns[ours].aliases, *(known.texts if ours == "text" else ())]
            raise TableError(
                f"{where} has no column for {ours}; it has {', '.join(names)}. {_near(aliases, names)}"
                f"Known names are {', '.join(aliases)}; name another in the recipe: "
                f"extract.sources: [{{..., table: {{columns: {{{ours}: <column>}}}}}}]"
            )
    return Columns({ours: found[ours] for ours in TAKEN if ours in found}, texts)


def has_url(names: Sequence[str], settings: Table | None) -> bool:
    """Whether these are names of columns, and not values: one of them is known to hold the URL, or the recipe says so."""
    url = schema.load("pairs").columns["url"]
    given = settings.columns.values() if settings else ()
    return any(name in ("url", *url.aliases, *given) for name in names)


def _texts(
    names: Sequence[str], found: dict[str, str], given: dict[str, str], several: dict[str, str]
) -> tuple[tuple[str, str], ...]:
    kinds = {kind: given[kind] for kind in KINDS if kind in given}
    if not kinds and "text" in found:
        name = found["text"]
        kinds = {name.lower() if name.lower() in KINDS else "alt": name}
    elif not kinds:
        kinds = {kind: name for name, kind in several.items() if name in names}
    return tuple((kind, kinds[kind]) for kind in KINDS if kind in kinds)


def _near(aliases: Sequence[str], names: Sequence[str]) -> str:
    import difflib

    close = [name for alias in aliases for name in difflib.get_close_matches(alias, names, n=1, cutoff=0.5)]
    return f"Did you mean {', '.join(map(repr, dict.fromkeys(close)))}? " if close else ""
