"""Candidate rows of a pool, and the account of what yields none."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec
import pyarrow as pa

from curate import schema
from curate.ledger import Ledger
from curate.store import ROW_GROUP

# NUL (as HTML does), the other C0 controls that are no blanks, and lone surrogates: none can be stored as text.
_BROKEN = re.compile("[\x00-\x08\x0b\x0e-\x1f\ud800-\udfff]")
MAX_LANG, MAX_ROBOTS = 64, 1024
"""Characters kept of what a page says of itself; it is repeated in each of its rows."""
MAX_FACTS = 64 * 2**20
MAX_BREAKS = 100
"""Broken places that are listed for one file."""


class Break(msgspec.Struct, frozen=True):
    """A place where a file is broken; what stands before it, and what is found again behind it, is kept."""

    file: str
    offset: int
    error: str


@dataclass
class Account:
    """What became of the references that were read: images with their texts, and records that cannot be parsed."""

    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    breaks: list[Break] = field(default_factory=list)

    def broken(self, file: str, offset: int, error: str) -> None:
        """Notes a place where the file is broken; the first places of a file are kept as they are, the rest counted."""
        self.notes["broken_files"] = 1
        self.notes["broken_places"] += 1
        if len(self.breaks) < MAX_BREAKS:
            self.breaks.append(Break(file, offset, error[:200]))

    def ledger(self) -> Ledger:
        gone = self.dropped.total() + self.failed.total()
        counts = (dict(sorted((+counter).items())) for counter in (self.dropped, self.failed, self.notes))
        dropped, failed, notes = counts
        return Ledger(rows_in=self.kept + gone, kept=self.kept, dropped=dropped, failed=failed, notes=notes)


class Row(NamedTuple):
    """One candidate, in the order of the columns of `pairs`."""

    uid: str
    image_uid: str
    url: str
    text: str
    kind: str
    page_url: str | None
    page_robots: str | None
    page_lang: str | None
    source: str
    crawl_file: str
    record_offset: int
    member: str | None = None
    known_sha256: str | None = None
    facts: str | None = None


def table(rows: list[Row]) -> pa.Table:
    """Rows as a table of the schema of `pairs`."""
    arrow = schema.load("pairs").arrow()
    columns = list(zip(*rows, strict=True)) or [()] * len(arrow)
    return pa.Table.from_arrays([pa.array(c, f.type) for c, f in zip(columns, arrow, strict=True)], schema=arrow)


def tables(found: Iterable[Row]) -> Iterator[pa.Table]:
    """Rows in tables of at most ROW_GROUP, and of about MAX_FACTS characters of facts."""
    waiting: list[Row] = []
    size = 0
    for row in found:
        waiting.append(row)
        size += len(row.facts or "")
        if len(waiting) == ROW_GROUP or size > MAX_FACTS:
            yield table(waiting)
            waiting, size = [], 0
    if waiting:
        yield table(waiting)


def repaired(text: str) -> str:
    """The text with what cannot be stored replaced by U+FFFD."""
    return _BROKEN.sub("\ufffd", text)
