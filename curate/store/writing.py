"""Writes a part as row groups held to a schema; its ledger and the plan's hash go into its footer."""

from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from curate.ledger import Ledger, of_states
from curate.schema import Schema
from curate.store.plan import encoded

ROW_GROUP = 32_768
"""Rows in a row group of a dataset that others annotate; side tables repeat the row groups of what they annotate.

It is the batch that a stage's function gets. A batch costs its start: what it evicts from the processor's caches, and a few
hundred calls into NumPy, Arrow and Parquet. Of 8,192 rows, `match` took 0.2 CPU seconds a million more (of 1.7) than of 32,768."""

FOOTER = b"curate"


class PartWriter:
    """Writes the tables of one part as row groups, held to the dataset's schema, and keeps the account."""

    def __init__(self, schema: Schema, where: str, file: BinaryIO, ledger: Ledger | None):
        """`where` is the part's place, for what is said of it."""
        self._schema, self._where, self._file = schema, where, file
        self._writer: pq.ParquetWriter | None = None
        self.ledger, self._counts_states = ledger or Ledger(), ledger is None

    def write(self, table: pa.Table) -> None:
        """Appends one table as one row group. Raises SchemaError or LedgerError when it is not what it should be."""
        table = self._schema.hold(table, encoded=True)
        if self._counts_states:
            if "state" in table.column_names:
                self.ledger += of_states(table["state"], table["reason"])
            else:
                self.ledger += Ledger(rows_in=len(table), kept=len(table))
        if self._writer is None:
            self._open(table.schema)
        assert self._writer is not None
        if len(table):
            self._writer.write_table(table.cast(self._writer.schema), row_group_size=len(table))

    def note(self, **counts: int) -> None:
        """Adds counts to the ledger's notes."""
        self.ledger += Ledger(notes=counts)

    def _open(self, arrow: pa.Schema) -> None:
        # A reader is to find plain strings, and only embeddings need Arrow's own schema to come back as they were.
        wide = any(pa.types.is_fixed_size_list(column.type) for column in arrow)
        repeating = self._schema.repeating()
        # The least and the greatest of values in no order tell a reader nothing, and finding them is a tenth of writing them.
        self._writer = pq.ParquetWriter(
            self._file,
            arrow,
            compression="zstd",
            use_dictionary=repeating,
            write_statistics=repeating,
            column_encoding=dict.fromkeys(self._schema.uids(), "DELTA_LENGTH_BYTE_ARRAY"),
            store_schema=wide,
        )

    def abandon(self) -> None:
        """Forgets what was written; the file under it is about to be removed."""
        if self._writer is not None:
            self._writer.is_open = False

    def finish(self, plan_hash: str) -> None:
        if self._writer is None:
            self._open(self._schema.arrow(embedding_width=1))
        assert self._writer is not None
        self.ledger.check(self._where, self._schema.dropped, self._schema.failed)
        self._writer.add_key_value_metadata({FOOTER: encoded({"plan": plan_hash, "ledger": self.ledger})})
        self._writer.close()
