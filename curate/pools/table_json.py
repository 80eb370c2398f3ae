"""Tables in JSON: a line a row, or one document with a list of rows (RedCaps' `annotations`, or a bare list)."""

import json
import re
from collections.abc import Iterator
from typing import Any

import orjson
import pyarrow as pa

from curate.pools.candidates import Account, repaired
from curate.pools.table_blocks import BLOCK, Stream
from curate.store import ROW_GROUP

LISTS = ("annotations",)
"""Keys under which a document may hold its rows."""
MAX_COLUMNS = 256
"""Keys of a block of rows that are looked at; hostile rows may each have others."""
_START = re.compile(r'\A\s*\[|"(?:' + "|".join(LISTS) + r')"\s*:\s*\[')
_BETWEEN = re.compile(r"[\s,]*")
Rows = list[dict[str, Any]]


def parsed(block: bytes, account: Account) -> Rows:
    """The rows of a block of lines; a line that is no JSON object is a `bad_row`, one without anything is none."""
    rows: Rows = []
    for line in block.split(b"\n"):
        if not line or line.isspace():
            continue
        row = row_of(line)
        if row is None:
            account.failed["bad_row"] += 1
        else:
            rows.append(row)
    return rows


def row_of(line: bytes) -> dict[str, Any] | None:
    """The row of a line; None when it is no JSON object."""
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        # Half a UTF-8 sequence, half a surrogate pair or NaN must not cost the row.
        try:
            row = json.loads(line.decode("utf-8", "replace").removeprefix("\ufeff"), strict=False)
        except (ValueError, RecursionError):
            return None
    return row if isinstance(row, dict) else None


def objects(stream: Stream, longest: int, account: Account) -> Iterator[Rows]:
    """The rows of a document, in batches, a block in memory at a time.

    Where the document is broken, or has a row of more than `longest` characters, it ends with a `bad_row`.
    """
    import codecs

    decoder, scanner = codecs.getincrementaldecoder("utf-8")("replace"), json.JSONDecoder(strict=False)
    text, rows, inside, size = "", [], False, BLOCK
    while data := stream.read(size):
        text += decoder.decode(data)
        if not inside:
            start = _START.search(text)
            if start is None:
                text = text[-64:]
                continue
            text, inside = text[start.end() :], True
        at = 0
        while (at := _BETWEEN.match(text, at).end()) < len(text) and text[at] == "{":  # type: ignore[union-attr]
            try:
                row, at = scanner.raw_decode(text, at)
            except (ValueError, RecursionError):
                break
            rows.append(row)
            if len(rows) == ROW_GROUP:
                yield rows
                rows = []
        text = text[at:]
        if text.startswith("]"):
            yield rows
            return
        if len(text) > longest:
            break
        # A row that is not whole yet is tried again when there is twice as much of it.
        size = max(BLOCK, len(text))
    account.failed["bad_row"] += 1
    yield rows


def as_table(rows: Rows) -> pa.Table:
    """Rows as a table with a column for each key; a column of several types becomes one of strings."""
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: _column([row.get(name) for row in rows]) for name in list(names)[:MAX_COLUMNS]}
    return pa.table({name.encode("utf-8", "replace").decode(): column for name, column in columns.items()})


def _column(values: list[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError, ValueError, TypeError):
        return pa.array([_string(value) for value in values], pa.string())


def _string(value: Any) -> str | None:
    if isinstance(value, str):
        return repaired(value)
    return str(value) if isinstance(value, int | float) else None
