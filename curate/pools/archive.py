"""Reads one file of a crawl, WARC or WAT, whatever state it is in: batches of candidate rows, and an account.

A record that cannot be parsed costs itself. Where the file itself is broken (a truncated or corrupt gzip member, bytes
that are no record), the place goes into the account, and reading goes on at the next member that can be read.
"""

from collections.abc import Iterator

import fsspec
import pyarrow as pa

from curate.pools import candidates, warc, wat
from curate.pools.candidates import Account
from curate.pools.pages import BadRecord, Page
from curate.pools.records import Record, records
from curate.recipe import Extract
from curate.store import ROW_GROUP


class Reading:
    """One pass over a file. Iterate for tables of the schema of `pairs`; the account is whole when that is done."""

    def __init__(self, path: str, name: str, settings: Extract):
        """`path` is any fsspec path; `name` is what rows and breaks call the file."""
        self.path, self.name, self.settings = path, name, settings
        self.account = Account()

    def __iter__(self) -> Iterator[pa.Table]:
        rows: list[candidates.Row] = []
        self.account.notes["files"] += 1
        with fsspec.open(self.path, "rb") as file:
            for record in records(file, self.name, self.settings.max_record_bytes, self.account):
                page = self._page(record)
                if page is None:
                    continue
                for row in candidates.rows(page, self.name, record.offset, self.settings, self.account):
                    rows.append(row)
                    if len(rows) == ROW_GROUP:
                        yield candidates.table(rows)
                        rows = []
        if rows:
            yield candidates.table(rows)

    def _page(self, record: Record) -> Page | None:
        try:
            page = _page(record, self.settings.max_record_bytes)
        except BadRecord:
            self.account.failed["bad_record"] += 1
            return None
        self.account.notes["pages" if page else "other_records"] += 1
        return page


def _page(record: Record, limit: int) -> Page | None:
    # wget writes the address in angle brackets, as the standard's own examples once did.
    url = record.url.strip().removeprefix("<").removesuffix(">")
    if record.kind == "response":
        return warc.page(record.block, url, limit)
    return wat.page(record.block, url)
