"""What a table says of its rows beyond URL and text, as one JSON object a row; made column by column."""

from collections.abc import Sequence

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from curate.pools.table_values import strings

MAX_FACT = 1024
"""Bytes of a string that is kept as a fact; longer ones are left out."""
NESTED = ("face_bboxes",)
"""Columns of lists that are kept. Embeddings and images would be carried through every stage."""
_NUMBER = r"^-?(?:0|[1-9]\d{0,17})(?:\.\d{1,17})?(?:[eE][+-]?\d{1,2})?$"


def objects(table: pa.Table, names: Sequence[str], written: bool = False) -> pa.Array:
    """The named columns of each row as a JSON object with its keys in order: strings, null where a row says nothing.

    Nulls, NaN, infinities and strings longer than MAX_FACT are left out. Where numbers stand `written` as strings (CSV), they
    become numbers.
    """
    members = [
        _member(name, values)
        for name in sorted(names)
        if (values := _json(table.column(table.schema.names.index(name)), name, written)) is not None
    ]
    if not members:
        return pa.nulls(len(table), pa.string())
    joined = pc.binary_join_element_wise(*members, "") if len(members) > 1 else members[0]
    whole = pc.replace_substring(pc.binary_join_element_wise("{", joined, "}", ""), "{,", "{", max_replacements=1)
    return pc.if_else(pc.equal(joined, ""), pa.scalar(None, pa.string()), whole)


def kept(kind: pa.DataType, name: str) -> bool:
    """Whether a column of this type is kept as a fact."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return name in NESTED or any(
        test(kind)
        for test in (
            pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_string, pa.types.is_large_string,
            pa.types.is_decimal, pa.types.is_temporal,
        )
    )  # fmt: skip


def _member(name: str, values: pa.Array) -> pa.Array:
    key = "," + orjson.dumps(name.encode("utf-8", "replace").decode()).decode() + ":"
    return pc.fill_null(pc.binary_join_element_wise(key, values, ""), "")


def _json(column: pa.ChunkedArray, name: str, written: bool) -> pa.Array | None:
    """The values as JSON; null where there is nothing to say."""
    kind = column.type
    if pa.types.is_null(kind) or not (written or kept(kind, name)):
        return None
    values = column.combine_chunks()
    if pa.types.is_nested(kind):
        return pa.array([None if v is None else orjson.dumps(v).decode() for v in values.to_pylist()], pa.string())
    if pa.types.is_floating(kind):
        values = pc.if_else(pc.is_finite(values), values, pa.scalar(None, kind))
        return (values.cast(pa.float32()) if pa.types.is_float16(kind) else values).cast(pa.string())
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_decimal(kind):
        return values.cast(pa.string())
    return _quoted(strings(values), written)


def _quoted(values: pa.Array, written: bool) -> pa.Array:
    empty = pc.or_(pc.equal(values, ""), pc.greater(pc.binary_length(values), MAX_FACT))
    values = pc.if_else(empty, pa.scalar(None, pa.string()), values)
    plain = pc.binary_join_element_wise('"', values, '"', "")
    special = pc.fill_null(pc.match_substring_regex(values, r'["\\\x00-\x1f]'), False)
    if pc.any(special).as_py():
        escaped = [orjson.dumps(value).decode() for value in values.filter(special).to_pylist()]
        plain = pc.replace_with_mask(plain, special, pa.array(escaped, pa.string()))
    if written:
        plain = pc.if_else(pc.fill_null(pc.match_substring_regex(values, _NUMBER), False), values, plain)
    return plain
