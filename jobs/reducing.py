"""Reduces on Spark: rows that parts of one dataset give, summed, and written as the parts of another."""

import jobs  # noqa: F401 - before all others, see there

# isort: split
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from curate.store import Part
from jobs.engine import Engines


def batched(engines: Engines, names: Sequence[str]) -> list[str]:
    """Names joined by commas, in as many batches as the session gives a shuffle."""
    number = min(len(names), int(engines.spark().conf.get("spark.sql.shuffle.partitions")))
    return [",".join(names[i::number]) for i in range(number)]


def spark_groups(
    frame: Any, numbers: Mapping[str, int], column: str, parts: Sequence[str], function: Callable[[Any, str], str]
) -> list[Part]:
    """Makes parts from the rows of a DataFrame, one task each: rows belong to the part whose number their `column` has.

    `function` writes an Arrow table as the part of a name and returns its record as JSON. Parts without rows are made too.
    """
    from pyspark.sql import functions as f

    spark, places = frame.sparkSession, list(numbers.items())
    wanted = [int(part.rsplit("-", 1)[1]) for part in parts]
    names = dict(zip(wanted, parts, strict=True))
    number = f.create_map(*[f.lit(value) for pair in places for value in pair])[f.col(column)].alias("number")
    rows = frame.select(number, *frame.columns).where(f.col("number").isin(wanted))
    every = spark.createDataFrame([(i,) for i in wanted], "number int")
    grouped = rows.groupBy("number").cogroup(every.groupBy("number"))

    def write(key: Any, table: Any, _: Any) -> Any:
        import pyarrow as pa

        return pa.table({"record": [function(table.drop_columns("number"), names[key[0].as_py()])]})

    records = grouped.applyInArrow(write, "record string").collect()
    return [msgspec.json.decode(row.record, type=Part) for row in records]
