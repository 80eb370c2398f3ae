"""Quotas of select on Spark: one shuffle by the value that is counted, and one that takes what is too many back to its part."""

import jobs  # noqa: F401 - before all others, see there

# isort: split
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec
import pyarrow as pa

from curate import parts
from curate.parts import Inputs
from curate.recipe import Rule
from curate.selection import quotas
from curate.store import Part
from jobs import engine, errors

CANDIDATE = "part string, row long, key string, best long, chance double, uid string"
RANKED = "part", "row", "row_number() over (partition by key order by best, chance, uid) as number"


def made(
    run: engine.Run, inputs: Inputs, rules: Sequence[Rule], function: Callable[..., Part], missing: list[str]
) -> list[Part]:
    """Hands each missing part the rows that are too many, and commits it. All parts are counted."""
    over: Any = None
    names = inputs["images"][0].part_names()
    for place in quotas.places(rules):
        look = partial(candidates, place=place, inputs=inputs, rules=rules, seed=run.recipe.seed)
        rows = engine.spark_rows(run.engines, look, names, CANDIDATE)
        if over is not None:
            rows = rows.join(over, ["part", "row"], "left_anti")
        many = rows.selectExpr(*RANKED).where(f"number > {rules[place].at_most}")
        found = many.selectExpr("part", f"{place} as place", "row")
        over = found if over is None else over.union(found)
    return _written(run.engines, over, function, missing)


def candidates(part: str, *, place: int, inputs: Inputs, rules: Sequence[Rule], seed: int) -> pa.Table:
    """A part's rows that a quota chooses among; runs in a worker."""
    begin, found = 0, list[pa.Table]()
    for tables in parts.zipped(part, inputs):
        rows = quotas.candidates(place, rules, tables, seed)
        numbers = pa.array(rows["row"].to_numpy() + begin)
        found.append(
            rows.set_column(0, "row", numbers).add_column(0, "part", pa.array([part] * len(rows), pa.string()))
        )
        begin += len(tables["images"])
    return pa.concat_tables(found) if found else _NONE


_NONE = pa.table({"part": pa.array([], pa.string()), "row": pa.array([], pa.int64()), "key": pa.array([], pa.string()),
                  "best": pa.array([], pa.int64()), "chance": pa.array([], pa.float64()), "uid": pa.array([], pa.string())})  # fmt: skip


def _written(engines: engine.Engines, over: Any, function: Callable[..., Part], missing: list[str]) -> list[Part]:
    function = errors.marked(function)

    def task(part: pa.Table, many: pa.Table) -> pa.Table:
        return pa.table({"record": [msgspec.json.encode(function(part["part"][0].as_py(), many)).decode()]})

    wanted = engines.spark().createDataFrame([(name,) for name in missing], "part string")
    of_parts = over.join(wanted, "part", "left_semi").groupBy("part")
    rows = wanted.groupBy("part").cogroup(of_parts).applyInArrow(task, "record string").collect()
    return [msgspec.json.decode(row.record, type=Part) for row in rows]
