"""Text files in blocks of whole rows, so that what is broken costs itself: lines, and rows of CSV with quoted values."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.csv

from curate.pools.candidates import Account
from curate.recipe import Extract

BLOCK = 2**23


class Stream(Protocol):
    def read(self, size: int = ..., /) -> bytes: ...


def lines(stream: Stream, longest: int, account: Account) -> Iterator[bytes]:
    """Blocks that end where a line does; a line longer than `longest` bytes is a `bad_row` and passed over."""
    held, skipping = b"", False
    while data := stream.read(BLOCK):
        if skipping:
            _, end, data = data.partition(b"\n")
            skipping = not end
        held += data
        whole = held.rfind(b"\n") + 1
        if whole:
            yield held[:whole]
            held = held[whole:]
        elif len(held) > longest:
            account.failed["bad_row"] += 1
            held, skipping = b"", True
    if held:
        yield held


def delimited(
    held: bytes, stream: Stream, names: Sequence[str], delimiter: str, settings: Extract, account: Account
) -> Iterator[pa.Table]:
    """The rows of a CSV without its header, all columns as bytes; `held` is what was read of it before.

    Values in quotes may hold ends of lines. A quote that is not closed within four of the longest texts is a stray one: its line is
    a `bad_row`, or all that follows would be one value.
    """
    longest, skipping = 4 * settings.max_text_bytes, False
    while True:
        whole, rest, bad = _whole_rows(held, ord(delimiter), longest)
        account.failed["bad_row"] += bad
        if whole:
            yield _parsed(whole, names, delimiter, account)
        if len(rest) > settings.max_record_bytes:
            account.failed["bad_row"] += 1
            rest, skipping = b"", True
        data = stream.read(BLOCK)
        if not data:
            break
        if skipping:
            _, end, data = data.partition(b"\n")
            skipping = not end
        held = rest + data
    if rest:
        whole, rest, bad = _whole_rows(rest + b"\n", ord(delimiter), longest, final=True)
        account.failed["bad_row"] += bad + bool(rest)
        if whole:
            yield _parsed(whole, names, delimiter, account)


def _whole_rows(data: bytes, delimiter: int, longest: int, final: bool = False) -> tuple[bytes, bytes, int]:
    """(whole rows, the rest, rows left out for a stray quote). A quote opens a value at its very start alone.

    `final`: nothing comes after these bytes.
    """
    pieces: list[bytes] = []
    openers, bad = (delimiter, 10, 13), 0
    start = row = after = at = (
        0  # of what is not yet in pieces, of the row, behind the last value in quotes, of the search
    )
    while (quote := data.find(b'"', at)) >= 0:
        at = quote + 1
        if quote > start and data[quote - 1] not in openers:
            continue
        row = data.rfind(b"\n", after, quote) + 1 or row
        close = _closing(data, at)
        if 0 <= close <= quote + longest:
            after = at = close + 1
            continue
        end = data.find(b"\n", quote)
        if end < 0 or (close < 0 and not final and len(data) - quote <= longest):
            return b"".join([*pieces, data[start:row]]), data[row:], bad
        pieces.append(data[start:row])
        bad, start = bad + 1, end + 1
        row = after = at = start
    end = data.rfind(b"\n", after) + 1 or row
    return b"".join([*pieces, data[start:end]]), data[end:], bad


def _closing(data: bytes, at: int) -> int:
    """Where a value in quotes is closed; -1 when it is not. Two quotes are one that it holds."""
    while (quote := data.find(b'"', at)) >= 0 and data[quote + 1 : quote + 2] == b'"':
        at = quote + 2
    return quote


def _parsed(block: bytes, names: Sequence[str], delimiter: str, account: Account) -> pa.Table:
    bad = 0

    def skip(_row: Any) -> str:
        nonlocal bad
        bad += 1
        return "skip"

    kinds = dict.fromkeys(names, pa.binary())
    table = pa.csv.read_csv(
        pa.BufferReader(block),
        pa.csv.ReadOptions(column_names=list(names), use_threads=False, block_size=len(block) + 1),
        pa.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=skip),
        pa.csv.ConvertOptions(column_types=kinds, strings_can_be_null=False, check_utf8=False),
    )
    account.failed["bad_row"] += bad
    return table
