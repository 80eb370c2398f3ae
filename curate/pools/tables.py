"""Reads a table of pairs: Parquet, CSV, TSV, JSON lines, and documents with a list of rows.

Columns go by the names of the field (LAION, DataComp, COYO, CC3M, CC12M, RedCaps, SBU, WIT, img2dataset), see `schemas/pairs.yaml`, or
by those that the recipe gives; those of YFCC100M by their places. A table's uids, sha256 and all that it says beside URL and text are kept.
"""

from collections.abc import Iterator

import pyarrow as pa

from curate.pools import subsets, table_files, table_rows
from curate.pools.candidates import Account
from curate.pools.inputs import Input
from curate.recipe import Extract

SUFFIXES = (
    ".parquet",
    *(
        f".{kind}{packed}"
        for kind in ("csv", "tsv", "jsonl", "ndjson", "json")
        for packed in ("", *table_files.COMPRESSED)
    ),
)


def read(file: Input, settings: Extract, account: Account) -> Iterator[pa.Table]:
    """One pass over a table: tables of the schema of `pairs`; the account is whole when it is done.

    Raises TableError when it has no column for the URL or the text: that is for the recipe to say.
    """
    account.notes["files"] += 1
    for batch, columns in table_files.batches(file, settings, account):
        found = table_rows.candidates(batch, columns, file, settings, account)
        if len(found):
            yield found


def mark(file: Input) -> str | None:
    """What the subset of a file's source is, if it has one. Raises TableError when it cannot be used."""
    table = file.source.table if file.source else None
    return subsets.load(table.subset).mark() if table and table.subset else None
