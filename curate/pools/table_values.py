"""Columns of a table as what they should be: text that can be stored, URLs in WHATWG form, and why they are not."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.pools.addresses import absolute
from curate.pools.candidates import repaired

PROBLEMS = ("", "no_url", "bad_url", "url_not_http", "url_too_long")
"""What may be wrong with a URL; a row holds the number of one."""
_NORMAL = (
    r"^https?://(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]+"
    r"(?:/(?:[A-Za-z0-9_~-][A-Za-z0-9._~!$&()*+,;=:@%-]*)?)+(?:\?[A-Za-z0-9._~!$&()*+,;=:@%/?-]*)?$"
)
"""URLs that are in WHATWG form as they stand, nine of ten on the web: no port, no fragment, no dot segment, nothing to escape, a last
label that is no number. `xn--` is left to the parser, which checks it. Parsing takes ten times as long as this."""


def strings(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """A column as valid UTF-8 strings; what cannot be stored becomes U+FFFD, what is no text at all null."""
    values = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    kind = values.type
    if pa.types.is_nested(kind) or pa.types.is_null(kind):
        return pa.nulls(len(values), pa.string())
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or _is_string(kind):
        values = _decoded(values)
    else:
        values = values.cast(pa.string())
    return _each(values, pc.match_substring_regex(values, "[\x00-\x08\x0b\x0e-\x1f]"), repaired)


def texts(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """A column as texts without the blanks at their ends; "" where there is none."""
    return pc.fill_null(pc.utf8_trim_whitespace(strings(column)), "")


def urls(column: pa.Array | pa.ChunkedArray, limit: int) -> tuple[pa.Array, np.ndarray]:
    """(URLs in WHATWG form, "" where there is none; the number in PROBLEMS of each, uint8), held to `limit` characters."""
    values = pc.fill_null(strings(column), "")
    normal = pc.and_(pc.match_substring_regex(values, _NORMAL), pc.invert(pc.match_substring(values, "xn--")))
    problems = np.zeros(len(values), dtype=np.uint8)
    odd = np.flatnonzero(~normal.to_numpy(zero_copy_only=False))
    if len(odd):
        found = [_url(value) for value in values.take(pa.array(odd)).to_pylist()]
        problems[odd] = [problem for _, problem in found]
        values = pc.replace_with_mask(values, pc.invert(normal), pa.array([url for url, _ in found], pa.string()))
    long = pc.greater(pc.binary_length(values), limit).to_numpy(zero_copy_only=False)
    problems[long & (problems == 0)] = PROBLEMS.index("url_too_long")
    return values, problems


def _url(address: str) -> tuple[str, int]:
    if not address.strip():
        return "", PROBLEMS.index("no_url")
    try:
        url = absolute(address, None)
    except ValueError:
        return "", PROBLEMS.index("bad_url")
    return (url, 0) if url.startswith(("http://", "https://")) else ("", PROBLEMS.index("url_not_http"))


def _is_string(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _decoded(values: pa.Array) -> pa.Array:
    """Bytes, or what a file calls strings, as strings: Parquet's are checked by no one."""
    raw = values.cast(pa.binary())
    try:
        return raw.cast(pa.string())
    except pa.ArrowInvalid:
        return pa.array([None if v is None else v.decode("utf-8", "replace") for v in raw.to_pylist()], pa.string())


def _each(values: pa.Array, where: pa.Array, function: Callable[[str], str]) -> pa.Array:
    """The values with `function` applied where a mask says so."""
    where = pc.fill_null(where, False)
    if not pc.any(where).as_py():
        return values
    return pc.replace_with_mask(values, where, pa.array(map(function, values.filter(where).to_pylist()), pa.string()))
