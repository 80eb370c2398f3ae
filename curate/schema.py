"""Reads `schemas/`: the one place where columns, reasons and statuses are defined. Holds tables to them."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import msgspec
import pyarrow as pa

from curate import CurateError
from curate.house import folder

TYPES: dict[str, pa.DataType] = {
    "string": pa.string(),
    "bool": pa.bool_(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "list<int32>": pa.list_(pa.int32()),
    "list<float64>": pa.list_(pa.float64()),
    "list<string>": pa.list_(pa.string()),
    "list<list<float64>>": pa.list_(pa.list_(pa.float64())),
}
ENCODED = pa.dictionary(pa.int32(), pa.string())
EMBEDDING = "embedding"
"""A column type whose width is the model's: fixed_size_list<float16>[width]."""
SCORES, CAPTIONS = "scores", "captions"
"""First words of the side tables that hold scores and captions, and the folders of their schemas."""
MAKERS = {SCORES: ("scorer", "clip"), CAPTIONS: ("captioner", "")}
"""Of side tables that a recipe may call as it likes: the setting that says whose schema a table has, and what it is where that is missing."""


class SchemaError(CurateError, ValueError):
    """A table is not what its schema says."""


class Column(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    type: str
    about: str
    nullable: bool = False
    distinct: bool = False
    """Whether hardly any value comes twice, in no order: then Parquet is spared the search for repeats, which costs more than all
    else, and statistics."""
    aliases: tuple[str, ...] = ()


class Schema(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one dataset holds: its columns in order, and the closed lists of reasons and statuses of its stage."""

    dataset: str
    stage: str
    about: str
    columns: dict[str, Column]
    dropped: dict[str, str]
    failed: dict[str, str]
    aligned_with: str | None = None
    texts: dict[str, str] = {}
    """Columns that hold one of several texts of a row, as tables name them, and the kind of each."""

    def arrow(self, embedding_width: int | None = None) -> pa.Schema:
        """The Arrow schema. Datasets with embeddings need their width."""
        return pa.schema([pa.field(n, self._type(n, embedding_width), c.nullable) for n, c in self.columns.items()])

    def repeating(self) -> list[str]:
        """The Parquet columns that are worth a dictionary, and statistics."""
        return [
            name + ".list.element" * column.type.count("list<")
            for name, column in self.columns.items()
            if not column.distinct and column.type != EMBEDDING
        ]

    def uids(self) -> list[str]:
        """The column of uids where each is there once. Without their lengths between them they are 9 % smaller and half as dear to
        write; texts and URLs are not."""
        return ["uid"] if "uid" in self.columns and self.columns["uid"].distinct else []

    def _type(self, name: str, width: int | None) -> pa.DataType:
        kind = self.columns[name].type
        if kind != EMBEDDING:
            return TYPES[kind]
        if width is None:
            raise SchemaError(f"{self.dataset}.{name} is an embedding: its width must be given")
        return pa.list_(pa.float16(), width)

    def hold(self, table: pa.Table, encoded: bool = False) -> pa.Table:
        """The table with the schema's columns in the schema's order and types; where `encoded`, a column of strings may stay
        the dictionary of strings that it came as, which Parquet writes as the same.

        Raises SchemaError for a missing or an unknown column, a type that does not cast safely, and a null in a
        column that is not nullable.
        """
        missing = [name for name in self.columns if name not in table.column_names]
        extra = [name for name in table.column_names if name not in self.columns]
        if missing or extra:
            raise SchemaError(f"{self.dataset}: missing columns {missing}, unknown columns {extra}")
        columns = []
        for name, column in self.columns.items():
            values = table.column(name)
            want = self._type(name, getattr(values.type, "list_size", None))
            if encoded and want == pa.string() and values.type == ENCODED:
                want = ENCODED
            if values.null_count and not column.nullable:
                raise SchemaError(f"{self.dataset}.{name}: {values.null_count} nulls in a column that allows none")
            try:
                columns.append(values if values.type == want else values.cast(want))
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                raise SchemaError(f"{self.dataset}.{name}: {values.type} is not {want}: {error}") from error
        fields = [pa.field(n, c.type, self.columns[n].nullable) for n, c in zip(self.columns, columns, strict=True)]
        return pa.Table.from_arrays(columns, schema=pa.schema(fields))

    def renames(self, names: Sequence[str]) -> dict[str, str]:
        """For columns that came in under another name of the field: {their name: ours}; of several, the alias that is listed first."""
        found = {}
        for ours, column in self.columns.items():
            alias = next((alias for alias in column.aliases if alias in names), None)
            if alias is not None and ours not in names:
                found[alias] = ours
        return found

    @property
    def fingerprint(self) -> Mapping[str, Any]:
        """What of the schema belongs to a dataset's identity."""
        return {name: column.type for name, column in self.columns.items()}


@cache
def load(dataset: str) -> Schema:
    """The schema of that name, or of the name's first word: `shards-raw` and the like share one.

    Side tables that a recipe may call as it likes have a schema each (`scores/clip`): see `of`.
    """
    import yaml

    name = next((name for name in (dataset, family(dataset)) if name in names()), None)
    if name is None:
        raise SchemaError(f"no schema for dataset {dataset!r}; schemas/ has {', '.join(names())}")
    file = folder("schemas").joinpath(*f"{name}.yaml".split("/"))
    return msgspec.convert(yaml.safe_load(file.read_text(encoding="utf-8")), Schema)


def of(dataset: str, settings: Mapping[str, Any]) -> Schema:
    """The schema of a dataset that was planned with these settings: a table of scores has its scorer's, whatever its name."""
    if family(dataset) not in MAKERS:
        return load(dataset)
    setting, otherwise = MAKERS[family(dataset)]
    return load(f"{family(dataset)}/{settings.get(setting, otherwise)}")


def stage_of(dataset: str) -> str:
    """The stage that makes a dataset of this name; of datasets without rows (runs, evaluations) their own word."""
    word = family(dataset)
    return next((load(name).stage for name in names() if family(name) == word), word)


def family(dataset: str) -> str:
    """The first word of a dataset's name: `scores` of `scores/clip`, `shards` of `shards-raw`."""
    return re.split("[/-]", dataset)[0]


@cache
def names() -> tuple[str, ...]:
    """All datasets that have a schema, in alphabetical order."""
    house = folder("schemas")
    found = [("", house), *((f"{sides}/", house / sides) for sides in MAKERS)]
    return tuple(
        sorted(
            at + f.name.removesuffix(".yaml") for at, rows in found for f in rows.iterdir() if f.name.endswith(".yaml")
        )
    )
