"""Reads one file of a crawl, WARC or WAT, whatever state it is in: batches of candidate rows, and an account.

A record that cannot be parsed costs itself. Where the file itself is broken (a truncated or corrupt gzip member, bytes
that are no record), the place goes into the account, and reading goes on at the next member that can be read.
"""

from collections.abc import Iterator
from contextlib import ExitStack

import pyarrow as pa

from curate.pools import batches, opening, warc, wat
from curate.pools.candidates import Account
from curate.pools.inputs import Input
from curate.pools.records import Record, records
from curate.recipe import Extract
from curate.store import ROW_GROUP

Waiting = dict[bool, list[Record]]
"""Responses (True) and metadata about them."""
BATCH = 2 * 2**20
"""Bytes of records that are read to rows at once; one that is longer is a batch of its own. Twice as many cost WATs more in fresh pages
of memory than WARCs gain by it."""


def read(file: Input, settings: Extract, account: Account) -> Iterator[pa.Table]:
    """One pass over a WARC or WAT file: tables of the schema of `pairs`, each of at most ROW_GROUP rows; the account is whole when it
    is done."""
    account.notes["files"] += 1
    for table in _tables(file, settings, account):
        # Short ones stay as they are: whoever writes them joins them, and a copy here would be a second one.
        for start in range(0, len(table), ROW_GROUP):
            yield table.slice(start, ROW_GROUP)


def _tables(file: Input, settings: Extract, account: Account) -> Iterator[pa.Table]:
    waiting: Waiting = {True: [], False: []}
    size = 0
    with ExitStack() as stack:
        opened = opening.opened(file, account, stack)
        for record in records(opened, file.name, settings.max_record_bytes, account) if opened else ():
            waiting[record.response].append(record)
            size += len(record.block)
            if size >= BATCH:
                yield from _rows(waiting, file, settings, account)
                size = 0
    yield from _rows(waiting, file, settings, account)


def _rows(waiting: Waiting, file: Input, settings: Extract, account: Account) -> Iterator[pa.Table]:
    """The candidates of the records that wait, which wait no longer."""
    for response, found in waiting.items():
        if found:
            batch = warc.batch(found, settings.max_record_bytes) if response else wat.batch(found)
            source = file.source.name if file.source else "warc" if response else "wat"
            found.clear()
            yield from batches.tables(batch, source, file.name, settings, account)
