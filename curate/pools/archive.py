"""Reads one file of a crawl, WARC or WAT, whatever state it is in: batches of candidate rows, and an account.

A record that cannot be parsed costs itself. Where the file itself is broken (a truncated or corrupt gzip member, bytes
that are no record), the place goes into the account, and reading goes on at the next member that can be read.
"""

from collections.abc import Iterator

import fsspec
import pyarrow as pa

from curate.pools import candidates, warc, wat
from curate.pools.candidates import Account
from curate.pools.inputs import Input
from curate.pools.pages import BadRecord, Page
from curate.pools.records import Record, records
from curate.recipe import Extract
from curate.store import ROW_GROUP


def read(file: Input, settings: Extract, account: Account) -> Iterator[pa.Table]:
    """One pass over a WARC or WAT file: tables of the schema of `pairs`; the account is whole when it is done."""
    rows: list[candidates.Row] = []
    account.notes["files"] += 1
    with fsspec.open(file.path, "rb") as opened:
        for record in records(opened, file.name, settings.max_record_bytes, account):
            page = _page_or_account(record, settings, account)
            if page is None:
                continue
            if file.source:
                page = page._replace(source=file.source.name)
            for row in candidates.rows(page, file.name, record.offset, settings, account):
                rows.append(row)
                if len(rows) == ROW_GROUP:
                    yield candidates.table(rows)
                    rows = []
    if rows:
        yield candidates.table(rows)


def _page_or_account(record: Record, settings: Extract, account: Account) -> Page | None:
    try:
        page = _page(record, settings.max_record_bytes)
    except BadRecord:
        account.failed["bad_record"] += 1
        return None
    account.notes["pages" if page else "other_records"] += 1
    return page


def _page(record: Record, limit: int) -> Page | None:
    # wget writes the address in angle brackets, as the standard's own examples once did.
    url = record.url.strip().removeprefix("<").removesuffix(">")
    if record.kind == "response":
        return warc.page(record.block, url, limit)
    return wat.page(record.block, url)
