"""Tables of all formats as batches of rows: a block of the file in memory at a time, whatever its size.

A row that cannot be parsed costs itself (`bad_row`); where the file is broken the place goes into the account, and what stands
before it is kept.
"""

import csv
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import fsspec
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from curate.pools import table_columns, table_facts, table_layouts
from curate.pools.candidates import Account
from curate.pools.inputs import Input
from curate.pools.table_blocks import BLOCK, delimited, lines
from curate.pools.table_columns import Columns
from curate.pools.table_json import as_table, objects, parsed, row_of
from curate.pools.table_rows import Batch
from curate.recipe import Extract, Table
from curate.store import ROW_GROUP

COMPRESSED = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}
JSON = (".json", ".jsonl", ".ndjson")
DELIMITERS = {".csv": ",", ".tsv": "\t"}
_STEP = 2**16
_HEAD_ROWS = 100
"""Rows that are looked at to tell what the columns of a file without a header are."""
Batches = Iterator[tuple[Batch, Columns]]


def batches(file: Input, settings: Extract, account: Account) -> Batches:
    """The rows of a table, and which of its columns is which. Raises TableError when it has none for URL or text."""
    name, compression = file.name.lower(), None
    for suffix, codec in COMPRESSED.items():
        if name.endswith(suffix):
            name, compression = name.removesuffix(suffix), codec
    with fsspec.open(file.path, "rb") as opened:
        if name.endswith(".parquet"):
            yield from _parquet(opened, file, account)
            return
        stream = _Stream(opened, compression, file, account)
        if name.endswith((".csv", ".tsv", ".txt")):
            yield from _csv(stream, DELIMITERS.get(name[-4:], "\t"), file, settings, account)
        elif name.endswith(JSON[1:]) or stream.has_lines():
            yield from _json(_of_lines(stream, settings, account), file)
        elif name.endswith(JSON):
            yield from _json(objects(stream, settings.max_record_bytes, account), file)
        else:  # A file that says nothing by its name and holds no JSON: YFCC100M's.
            yield from _csv(stream, "\t", file, settings, account)


class _Stream:
    """Reads a compressed file in blocks; where it is broken it ends, and the account says so."""

    def __init__(self, opened: BinaryIO, compression: str | None, file: Input, account: Account):
        self._file, self._account, self._opened = file, account, opened
        self._stream = pa.input_stream(pa.PythonFile(opened, mode="r"), compression=compression)
        self._held = b""

    def has_lines(self) -> bool:
        """Whether the file has a row a line, whatever it is called."""
        self._held = self.read().removeprefix(b"\xef\xbb\xbf")
        first, end, _ = self._held.lstrip().partition(b"\n")
        return bool(end) and row_of(first) is not None

    def read(self, size: int = BLOCK) -> bytes:
        if self._held:
            held, self._held = self._held, b""
            return held
        # In small steps, so that what a broken block holds before it breaks is not lost with it.
        steps: list[bytes] = []
        try:
            while size > 0 and (step := self._stream.read(min(size, _STEP))):
                steps.append(step)
                size -= len(step)
        except (pa.ArrowException, OSError) as error:
            _broken(error, self._file, self._opened.tell(), self._account)
            self._stream = pa.BufferReader(b"")
        return b"".join(steps)


def _broken(error: Exception, file: Input, place: int, account: Account) -> None:
    """Puts a broken place into the account; raises the error again where it is the storage's, and not the data's."""
    if isinstance(error, OSError) and (type(error) is not OSError or error.errno is not None):
        raise error
    account.failed["bad_record"] += 1
    account.broken(file.name, place, f"{type(error).__name__}: {error}")


def _parquet(opened: BinaryIO, file: Input, account: Account) -> Batches:
    """By row group and batch. A row group that is broken costs what of it could not be read."""
    try:
        table = pq.ParquetFile(opened, pre_buffer=False, buffer_size=2**20)
        names = table.schema_arrow.names
    except (pa.ArrowException, OSError) as error:
        _broken(error, file, 0, account)
        return
    columns = table_columns.resolve(names, _settings(file), file.path)
    kinds = dict(zip(names, table.schema_arrow.types, strict=True))
    wanted = [*columns.names(), *(name for name in columns.facts(names) if table_facts.kept(kinds[name], name))]
    first = 0
    for group in range(table.num_row_groups):
        rows, read = max(table.metadata.row_group(group).num_rows, 0), 0
        try:
            size = _batch_rows(table.metadata.row_group(group))
            for batch in table.iter_batches(size, row_groups=[group], columns=wanted, use_threads=False):
                yield Batch(first + read, pa.Table.from_batches([batch])), columns
                read += len(batch)
        except (pa.ArrowException, OSError) as error:
            _broken(error, file, first + read, account)
            account.failed["bad_row"] += max(rows - read, 0)
        first += rows


def _batch_rows(group: Any) -> int:
    """Rows of a row group that make a block."""
    return max(1, min(ROW_GROUP, BLOCK * max(group.num_rows, 1) // max(group.total_byte_size, 1)))


def _csv(stream: _Stream, delimiter: str, file: Input, settings: Extract, account: Account) -> Batches:
    head = stream.read()
    while head and b"\n" not in head and len(head) <= settings.max_record_bytes and (more := stream.read()):
        head += more
    head = head.removeprefix(b"\xef\xbb\xbf")
    if not head.strip():
        return
    layout = table_layouts.known(_first_rows(head, "\t"))
    if layout:
        names, delimiter, header = list(layout), "\t", False
    else:
        names, delimiter, header = _head(head, delimiter, file)
    columns = table_columns.resolve(names, _head_settings(names, header, head, delimiter, file), file.path)
    body = head.partition(b"\n")[2] if header else head
    first = 0
    for table in delimited(body, stream, names, delimiter, settings, account):
        table = table_layouts.unescaped(table) if layout else table
        yield Batch(first, table, written=True), columns
        first += len(table)


def _head(head: bytes, delimiter: str, file: Input) -> tuple[list[str], str, bool]:
    """(names of the columns, delimiter, whether the first row is a header). A file may be called .csv and have tabs."""
    settings, found = _settings(file), None
    for sign in dict.fromkeys((delimiter, "\t", ",", ";", "|")):
        rows = _first_rows(head, sign)
        if table_columns.has_url(rows[0], settings):
            names = [name if name not in rows[0][:at] else f"{name}.{at}" for at, name in enumerate(rows[0])]
            return names, sign, True
        if found is None and len(rows[0]) > 1 and any(map(_is_url, rows[0])):
            found = [f"f{at}" for at in range(len(rows[0]))], sign, False
    return found or (_first_rows(head, delimiter)[0], delimiter, True)


def _head_settings(names: Sequence[str], header: bool, head: bytes, delimiter: str, file: Input) -> Table | None:
    """The recipe's names of columns; of a table of two columns without a header, the one with URLs is the URL (CC3M, CC12M)."""
    settings = _settings(file)
    if tuple(names) in table_layouts.LAYOUTS and not (settings and settings.columns):
        return msgspec.structs.replace(table_layouts.SETTINGS, subset=settings.subset if settings else None)
    if header or len(names) != 2 or (settings and settings.columns):
        return settings
    rows = [row for row in _first_rows(head, delimiter) if len(row) == 2]
    url = max((0, 1), key=lambda at: sum(_is_url(row[at]) for row in rows))
    return Table(columns={"url": names[url], "alt": names[1 - url]})


def _first_rows(head: bytes, delimiter: str) -> list[list[str]]:
    lines = head.split(b"\n", _HEAD_ROWS)[:_HEAD_ROWS]
    found: list[list[str]] = []
    for line in lines:
        try:
            found += csv.reader([line.decode("utf-8", "replace").rstrip("\r").replace("\0", "")], delimiter=delimiter)
        except csv.Error:
            found.append([])
    return [row or [""] for row in found] or [[""]]


def _is_url(value: str) -> bool:
    return value.strip().lower().startswith(("http://", "https://"))


def _of_lines(stream: _Stream, settings: Extract, account: Account) -> Iterator[list[dict[str, Any]]]:
    for block in lines(stream, settings.max_record_bytes, account):
        yield parsed(block, account)


def _json(blocks: Iterator[list[dict[str, Any]]], file: Input) -> Batches:
    columns, first = None, 0
    for rows in blocks:
        if not rows:
            continue
        table = as_table(rows)
        columns = columns or table_columns.resolve(table.schema.names, _settings(file), file.path)
        yield Batch(first, table), columns
        first += len(rows)


def _settings(file: Input) -> Table | None:
    return file.source.table if file.source else None
