"""Reduces on Spark: rows that parts of one dataset give, summed, and written as the parts of another."""

import jobs  # noqa: F401 - before all others, see there

# isort: split
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from curate.store import Part
from jobs import errors
from jobs.engine import Engines


def batched(engines: Engines, names: Sequence[str]) -> list[str]:
    """Names joined by commas, in as many batches as the session gives a shuffle."""
    number = min(len(names), int(engines.spark().conf.get("spark.sql.shuffle.partitions")))
    return [",".join(names[i::number]) for i in range(number)]


def spark_groups(
    frame: Any,
    numbers: Mapping[str, int],
    column: str,
    parts: Sequence[str],
    function: Callable[[Any, str], str],
    nothing: Any,
) -> list[Part]:
    """Makes parts from the rows of a DataFrame, one task each: rows belong to the part whose number their `column` has.

    `function` writes an Arrow table as the part of a name and returns its record as JSON. For parts without rows that is done
    here, with `nothing`, a table of the same columns.
    """
    from pyspark.sql import functions as f

    function = errors.marked(function)
    wanted = {int(part.rsplit("-", 1)[1]): part for part in parts}
    number = f.create_map(*[f.lit(value) for pair in numbers.items() for value in pair])[f.col(column)].alias("number")
    rows = frame.select(number, *frame.columns).where(f.col("number").isin(list(wanted)))

    def write(key: Any, table: Any) -> Any:
        import pyarrow as pa

        place = key[0].as_py()
        record = function(table.drop_columns("number"), wanted[place])
        return pa.table({"number": pa.array([place], pa.int32()), "record": [record]})

    done = rows.groupBy("number").applyInArrow(write, "number int, record string").collect()
    records = [row.record for row in done]
    there = {row.number for row in done}
    records += [function(nothing, part) for place, part in wanted.items() if place not in there]
    return [msgspec.json.decode(record, type=Part) for record in records]
