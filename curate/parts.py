"""Runs a stage's function over one part: reads the aligned inputs row group by row group, commits one output part.

This is what an engine's worker executes. Memory is one row group of each input, whatever the size of the part.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack

import pyarrow as pa

from curate.store import Dataset, Part, Plan, StoreError

Work = Callable[..., pa.Table]
"""A stage's function: one table per input, by dataset name as keyword, in; the output table, row for row, out."""

Inputs = Mapping[str, tuple[Dataset, Sequence[str]]]
"""Keyword of the stage's function -> (dataset, columns to read). The first is the one that is annotated."""


def annotate(part: str, *, inputs: Inputs, target: Dataset, plan: Plan, work: Work) -> Part:
    """Makes one part of a side table: same rows, same order, same row groups as the part that it annotates.

    Raises StoreError when the inputs are not aligned or `work` returns other rows than it was given.
    """
    with target.write_part(part, plan.hash) as out:
        for tables in zipped(part, inputs):
            first = next(iter(tables.values()))
            result = work(**tables)
            if not result["uid"].equals(first["uid"]):
                raise StoreError(f"{target.root}/{part}: the stage's function returned other rows than it was given")
            out.write(result)
    return committed(target, part, plan)


def zipped(part: str, inputs: Inputs):
    """Yields one table per input for each row group, checked by uid to be the same rows; columns as asked, plus uid."""
    with ExitStack() as stack:
        files = {name: stack.enter_context(data.open_part(part)) for name, (data, _) in inputs.items()}
        groups = {name: file.num_row_groups for name, file in files.items()}
        if len(set(groups.values())) > 1:
            raise StoreError(f"{part}: inputs are not aligned: row groups {groups}")
        for group in range(max(groups.values())):
            tables = {}
            for name, file in files.items():
                columns = list(dict.fromkeys(["uid", *inputs[name][1]]))
                tables[name] = file.read_row_group(group, columns=columns)
            uids = [table["uid"] for table in tables.values()]
            if any(not uids[0].equals(other) for other in uids[1:]):
                raise StoreError(
                    f"{part}: {', '.join(inputs)} are not aligned in row group {group}; redo the side tables"
                )
            yield tables


def committed(target: Dataset, part: str, plan: Plan) -> Part:
    """The record of a part that was just written."""
    record = target.committed(part, plan.hash)
    if record is None:
        raise StoreError(
            f"{target.root}/{part}.parquet is gone right after it was written; is another run at work there?"
        )
    return record


class Rows:
    """The rows of tables, as many at a time as are asked for. Holds no more than that and one table."""

    def __init__(self, tables: Iterable[pa.Table]):
        self._tables, self._held = iter(tables), pa.table({"uid": pa.array([], pa.string())})

    def take(self, rows: int) -> pa.Table:
        """The next rows, fewer when there are no more."""
        while len(self._held) < rows and (more := next(self._tables, None)) is not None:
            self._held = pa.concat_tables([self._held, more]) if len(self._held) else more
        taken, self._held = self._held.slice(0, rows), self._held.slice(rows)
        return taken
