"""Weights and quotas of sources on Spark: where each source is cut, and the parts of `pairs` behind the cuts."""

import jobs  # noqa: F401 - before all others, see there

# isort: split
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
import pyarrow as pa

from curate.pools import mixing
from curate.pools.mixing import Cut, Search
from curate.store import Dataset, Part, Plan
from jobs import engine, errors, reducing

Summed = Callable[[pa.Table, Mapping[str, Search], int], pa.Table]


def parts(run: engine.Run, whole: Dataset, target: Dataset, plan: Plan, missing: Sequence[str]) -> list[Part]:
    """Makes the missing parts of `pairs` from those of all distinct pairs."""
    if not target.fs.exists(target.path(mixing.FILE)):
        target.put(mixing.FILE, msgspec.json.encode(cuts(run, whole)))
    function = partial(
        mixing.mix_part, whole=whole, target=target, plan=plan, cuts=said(target), seed=run.recipe.seed
    )  # fmt: skip
    return engine.spark_parts(run.engines, function, missing)


def said(target: Dataset) -> dict[str, Cut]:
    """The cuts of a dataset, by source."""
    return msgspec.json.decode(target.fs.cat_file(target.path(mixing.FILE)), type=dict[str, Cut])


def account(target: Dataset) -> dict[str, Any]:
    """What a manifest says of the mix: for each source pairs found and kept, and the greatest draw that was taken, in [0, 1)."""
    return {
        name: {"found": cut.found, "kept": cut.kept, "threshold": None if cut.draw is None else cut.draw * 2.0**-53}
        for name, cut in sorted(said(target).items())
    }


def cuts(run: engine.Run, whole: Dataset) -> dict[str, Cut]:
    """Where each source is cut. The driver holds the counts of a few thousand bins a source, whatever the pool."""

    def counted(searches: Mapping[str, Search]) -> list[tuple[str, int, int]]:
        rows = _rows(run, whole, mixing.counts, searches, "source string, bin bigint, pairs bigint")
        with errors.unwrapped():
            summed = rows.groupBy("source", "bin").sum("pairs").collect()
        return [(row.source, row.bin, row["sum(pairs)"]) for row in summed]

    def looked_at(searches: Mapping[str, Search]) -> list[tuple[str, int, str]]:
        rows = _rows(run, whole, mixing.looked_at, searches, "source string, draw bigint, name string")
        with errors.unwrapped():
            return [(row.source, row.draw, row.name) for row in rows.collect()]

    return mixing.cuts(run.recipe.extract.sources, counted, looked_at)


def _rows(run: engine.Run, whole: Dataset, function: Summed, searches: Mapping[str, Search], columns: str) -> Any:
    read = partial(_of_parts, function=function, whole=whole, searches=dict(searches), seed=run.recipe.seed)
    return engine.spark_rows(run.engines, read, reducing.batched(run.engines, whole.part_names()), columns)


def _of_parts(names: str, function: Summed, whole: Dataset, searches: Mapping[str, Search], seed: int) -> pa.Table:
    found: list[pa.Table] = [function(mixing.NOTHING, searches, seed)]
    for part in names.split(","):
        with whole.open_part(part) as file:
            for group in range(file.num_row_groups):
                found.append(function(file.read_row_group(group, columns=mixing.COLUMNS), searches, seed))
            found = [mixing.summed(found)]
    return mixing.summed(found)
