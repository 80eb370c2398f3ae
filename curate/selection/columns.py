"""Columns that rules name: of `images`, of `duplicates`, of any score or captions, and those that follow from them.

`<dataset>.<column>`; a score's dataset is its name (`clip.similarity_score` stands in `scores/clip`), captions are written whole
(`captions/seen.best_similarity`), a bare name means `images`. Nothing here knows a scorer: a column is what its file says it is.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate import schema
from curate.recipe import Model, Recaption, RecipeError, Score, Value
from curate.store import nearest
from curate.texts import arrays

SCORES_PREFIX = "scores/"
ALIGNED = ("images", "duplicates")
"""Besides scores and captions, what has the rows of `images`."""


class Sides(NamedTuple):
    """The side tables that a recipe makes."""

    models: tuple[str, ...]
    """Names in score.models, in order."""
    tables: Mapping[str, str]
    """Dataset -> its schema's name."""
    unanswered: Mapping[str, Mapping[str, str]] = {}
    """Dataset -> its columns that have no value for any row, and the setting of each that would give it one."""

    @classmethod
    def of(cls, score: Score, recaption: Recaption) -> "Sides":
        scores = {one.name: "clip" if isinstance(one, Model) else one.word for one in score.all()}
        captions = {one.name: one.word for one in recaption.captioners}
        tables = {SCORES_PREFIX + name: SCORES_PREFIX + word for name, word in scores.items()}
        tables |= {f"{schema.CAPTIONS}/{name}": f"{schema.CAPTIONS}/{word}" for name, word in captions.items()}
        empty = {SCORES_PREFIX + one.name: one.unanswered() for one in score.scorers}
        return cls(tuple(model.name for model in score.models), tables, empty)

    def names(self) -> list[str]:
        """What may stand before the dot of a column's name."""
        return [name.removeprefix(SCORES_PREFIX) for name in self.tables]


class Derived(NamedTuple):
    """A column of `images` that is made when it is read."""

    type: str
    """As `schemas/` writes it."""
    sources: tuple[str, ...]
    make: Callable[..., pa.Array | np.ndarray]
    about: str


def _host(urls: pa.Array) -> pa.Array:
    after = pc.struct_field(
        pc.extract_regex(urls, r"^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?(?P<host>[^/?#:]*)"), "host"
    )
    return pc.utf8_lower(after)


def _aspect(width: pa.Array, height: pa.Array) -> np.ndarray:
    long, short = (
        pc.max_element_wise(width, height, skip_nulls=False),
        pc.min_element_wise(width, height, skip_nulls=False),
    )
    return pc.divide(pc.cast(long, pa.float64()), pc.cast(short, pa.float64()))


DERIVED = {
    "words": Derived(
        "int32", ("text",), arrays.words, "words of the text, parted by white space as Python's split does"
    ),
    "characters": Derived("int32", ("text",), pc.utf8_length, "characters (code points) of the text"),
    "file_name": Derived(
        "bool", ("text",), arrays.file_name, "whether the text is a file's name, a camera's counter or digits"
    ),
    "boilerplate": Derived("bool", ("text",), arrays.boilerplate, "whether the text is a stock word or marks alone"),
    "shorter_side": Derived(
        "int32",
        ("width", "height"),
        lambda w, h: pc.min_element_wise(w, h, skip_nulls=False),
        "pixels of the shorter side",
    ),
    "aspect": Derived("float64", ("width", "height"), _aspect, "longer side over shorter"),
    "host": Derived("string", ("url",), _host, "host of the image's URL"),
}


class Reference(NamedTuple):
    """A column's place."""

    dataset: str
    """`images`, `duplicates`, `scores/<name>` or `captions/<name>`."""
    column: str

    @property
    def stored(self) -> tuple[str, ...]:
        """The columns of its dataset that have to be read."""
        made = DERIVED.get(self.column) if self.dataset == "images" else None
        return made.sources if made else (self.column,)


def parse(name: str) -> Reference:
    """The place of a column by its name in a rule."""
    dataset, dot, column = name.partition(".")
    if not dot:
        return Reference("images", name)
    return Reference(dataset if dataset in ALIGNED or "/" in dataset else SCORES_PREFIX + dataset, column)


def type_of(name: str, sides: Sides, where: str) -> str:
    """The type of a rule's column, as `schemas/` writes it. RecipeError when it is in no dataset that the recipe makes, or not in that
    one, or of a type that rules do not compare."""
    dataset, column = parse(name)
    if dataset in ALIGNED:
        known = schema.load(dataset)
    elif dataset in sides.tables:
        known = schema.load(sides.tables[dataset])
    else:
        side = dataset.removeprefix(SCORES_PREFIX)
        stage = "recaption" if schema.family(dataset) == schema.CAPTIONS else "score"
        raise RecipeError(
            f"{where}: the column {name!r} wants the side table {dataset}, and the recipe makes none: add {side!r} under "
            f"`{stage}`, or name another: {nearest(side, [*ALIGNED, *sides.names()])}"
        )
    if dataset == "images" and column in DERIVED:
        return DERIVED[column].type
    columns = [one for one in known.columns if one not in ("uid", "state")]
    if column not in columns:
        hint = nearest(column, [*columns, *(DERIVED if dataset == "images" else ())])
        more = "" if "." in name else "; a score's column is written <name of the score>.<column>"
        raise RecipeError(f"{where}: {dataset} has no column {column!r}: {hint}{more}")
    if (setting := sides.unanswered.get(dataset, {}).get(column)) is not None:
        score = dataset.removeprefix(SCORES_PREFIX)
        raise RecipeError(
            f"{where}: {name} is missing in every row, since the scorer {score!r} of score.scorers names no `{setting}`: add one to it "
            f"(`{setting}: ...`), or leave the rule out"
        )
    kind = known.columns[column].type
    if kind == schema.EMBEDDING or kind.startswith("list"):
        raise RecipeError(f"{where}: {name} is {kind}; rules compare numbers, strings and truth values")
    return kind


def check_number(name: str, sides: Sides, where: str) -> None:
    """RecipeError for a column that is no number or truth value, as for `type_of`."""
    if type_of(name, sides, where) == "string":
        raise RecipeError(f"{where}: {name} is a string; compare it with the rule `among`")


def check_values(name: str, values: Sequence[Value], sides: Sides, where: str) -> None:
    """RecipeError for a value that the column can never have, as for `type_of`."""
    kind = type_of(name, sides, where)
    wanted = {"string": str, "bool": bool}.get(kind, int)
    for value in values:
        if type(value) is not wanted:
            raise RecipeError(f"{where}: {name} is of type {kind}, and {value!r} is none; no row could have it")


class Numbers(NamedTuple):
    """A column to be compared."""

    values: np.ndarray
    """(n,) in the column's own type; truth values as uint8; 0 where missing."""
    missing: np.ndarray
    """bool (n,); a null, or not a number."""


class Words(NamedTuple):
    """A column of few values."""

    codes: np.ndarray
    """int32 (n,): index in `known`, or len(known) where missing."""
    known: list


class Facts:
    """What is known of a row group, by column; each is made once."""

    def __init__(self, tables: Mapping[str, pa.Table]):
        self._tables = tables
        self._columns: dict[str, pa.Array] = {}
        self._numbers: dict[str, Numbers] = {}
        self._words: dict[str, Words] = {}
        self.rows = len(next(iter(tables.values())))

    def column(self, name: str) -> pa.Array:
        """A column by its name in a rule."""
        if name not in self._columns:
            place = parse(name)
            stored = [_whole(self._tables[place.dataset][source]) for source in place.stored]
            made = DERIVED.get(place.column) if place.dataset == "images" else None
            self._columns[name] = pa.array(made.make(*stored)) if made else stored[0]
        return self._columns[name]

    def numbers(self, name: str) -> Numbers:
        """A column of numbers or truth values."""
        if name not in self._numbers:
            column = self.column(name)
            if pa.types.is_boolean(column.type):
                column = column.cast(pa.uint8())
            missing = column.is_null().to_numpy(zero_copy_only=False)
            values = (column.fill_null(0) if column.null_count else column).to_numpy(zero_copy_only=False)
            if values.dtype.kind == "f":
                missing = missing | np.isnan(values)
            self._numbers[name] = Numbers(values, missing)
        return self._numbers[name]

    def words(self, name: str) -> Words:
        """A column of strings, whole numbers or truth values."""
        if name not in self._words:
            coded = self.column(name)
            coded = coded if pa.types.is_dictionary(coded.type) else coded.dictionary_encode()
            known = coded.dictionary.to_pylist()
            codes = coded.indices.fill_null(len(known)).to_numpy(zero_copy_only=False)
            self._words[name] = Words(codes.astype(np.int32, copy=False), known)
        return self._words[name]


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
