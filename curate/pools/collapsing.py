"""Parts of `pairs` from sorted candidates: rows that say the same collapse into the first of them."""

from collections.abc import Iterable, Iterator
from itertools import groupby

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate import parts, schema
from curate.ledger import Ledger
from curate.pools.pages import KINDS
from curate.store import ROW_GROUP, Dataset, Part, Plan, part_name
from curate.uid import part_of

KEYS = {"part": pa.int32(), "kind_order": pa.int32()}
"""Columns that a row is sorted by beside its own."""
ORDER = ("part", "image_uid", "uid", "kind_order", "source", "crawl_file", "record_offset")
"""Of rows with the same uid the first one in this order is kept."""


def keyed(table: pa.Table, count: int, wanted: frozenset[int]) -> pa.Table:
    """Candidates of the wanted parts, of `count` in all, with the columns that they are sorted by."""
    part = pa.array([part_of(image, count) for image in table["image_uid"].to_pylist()], KEYS["part"])
    order = pc.index_in(table["kind"], pa.array(KINDS)).cast(KEYS["kind_order"])
    table = table.append_column("part", part).append_column("kind_order", order)
    return table.filter(pc.is_in(part, pa.array(sorted(wanted), KEYS["part"])))


def collapse(tables: Iterable[pa.Table], target: Dataset, plan: Plan) -> Iterator[Part]:
    """Writes the parts that a stream of keyed candidates in ORDER holds, and yields their records.

    Memory is one row group and one of the incoming tables, whatever the size of a part.
    """
    for part, runs in groupby(_runs(tables), key=lambda run: run[0]):
        yield write(part_name(part), (table for _, table in runs), target, plan)


def write(part: str, tables: Iterable[pa.Table], target: Dataset, plan: Plan) -> Part:
    """Writes one part from its candidates in ORDER; none make an empty part."""
    columns = schema.load("pairs").arrow().names
    taken = kept = 0
    last: str | None = None

    def distinct() -> Iterator[pa.Table]:
        nonlocal taken, kept, last
        for table in tables:
            uids = table["uid"].to_numpy(zero_copy_only=False)
            first = np.concatenate(([uids[0] != last], uids[1:] != uids[:-1]))
            taken, kept, last = taken + len(uids), kept + int(first.sum()), uids[-1]
            yield table.select(columns).filter(pa.array(first))

    with target.write_part(part, plan.hash, Ledger()) as out:
        for group in row_groups(distinct()):
            out.write(group)
        repeated = {"repeated": taken - kept} if taken > kept else {}
        out.ledger += Ledger(rows_in=taken, kept=kept, dropped=repeated)
    return parts.committed(target, part, plan)


def row_groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in tables of ROW_GROUP rows; the last one may be shorter."""
    waiting: list[pa.Table] = []
    count = 0
    for table in tables:
        waiting.append(table)
        count += len(table)
        while count >= ROW_GROUP:
            whole = pa.concat_tables(waiting)
            yield whole.slice(0, ROW_GROUP).combine_chunks()
            count -= ROW_GROUP
            waiting = [whole.slice(ROW_GROUP)]
    if count:
        yield pa.concat_tables(waiting).combine_chunks()


def _runs(tables: Iterable[pa.Table]) -> Iterator[tuple[int, pa.Table]]:
    """The tables cut where the part changes: (part, rows)."""
    for table in tables:
        part = table["part"].to_numpy()
        starts = np.flatnonzero(np.diff(part, prepend=-1))
        for start, end in zip(starts, [*starts[1:], len(part)], strict=True):
            yield int(part[start]), table.slice(start, end - start)
