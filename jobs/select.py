"""select: the recipe's rules over the facts of all side tables; which pairs go into the training set, and why not.

python jobs/select.py -c recipe.yaml -w workdirs/mine
"""

import jobs  # noqa: F401 - before all others, see there

# isort: split
from collections.abc import Mapping, Sequence
from functools import cache, partial
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from curate import parts
from curate.images import generations
from curate.ledger import alive
from curate.parts import Inputs
from curate.recipe import Rule
from curate.selection import presets, selecting, subset, thresholds
from curate.store import Dataset, Part, Plan
from jobs import engine


def run(run: engine.Run) -> None:
    rules = presets.resolve(run.recipe.select, [model.name for model in run.recipe.score.models])
    names = {name: columns_of(name) for name in ["images", "duplicates", *map(scores_name, selecting.models_of(rules))]}
    inputs = {name: (generations.current(run.workdir, name), columns) for name, columns in names.items()}
    sources = [data.name for data, _ in inputs.values()]
    target = run.dataset("selection")
    plan = run.plan("selection", {"rules": plain(rules)}, sources, inputs["images"][0].part_names())

    @cache
    def settled() -> tuple[Rule, ...]:
        return thresholds.settle(rules, partial(histogram, run.engines, inputs))

    def launch(missing: list[str]) -> list[Part]:
        function = partial(select_part, inputs=inputs, target=target, plan=plan, rules=settled())
        return engine.spark_parts(run.engines, function, missing)

    def finish() -> Mapping[str, Any]:
        return {"rules": plain(settled()), "subset": subset.merge(target, plan.parts)}

    run.make(plan, launch, finish)


def scores_name(model: str) -> str:
    return f"{selecting.SCORES_PREFIX}{model}"


def columns_of(name: str) -> Sequence[str]:
    return {"images": selecting.IMAGES, "duplicates": selecting.DUPLICATES}.get(name, selecting.SCORES)


def plain(rules: Sequence[Rule]) -> list[dict[str, Any]]:
    """The rules as a manifest holds them, without the limits that are not set."""
    return [{k: v for k, v in msgspec.to_builtins(limits).items() if v not in (None, [], ())} for limits in rules]


def select_part(part: str, *, inputs: Inputs, target: Dataset, plan: Plan, rules: tuple[Rule, ...]) -> Part:
    """One part of the selection, its sorted uids before it; runs in a worker."""
    kept: list[str] = []
    with target.write_part(part, plan.hash) as out:
        for tables in parts.zipped(part, inputs):
            decided = selecting.select(rules=rules, **tables)
            out.write(decided)
            kept.extend(decided.filter(alive(decided["state"]))["uid"].to_pylist())
        # Inside the block, so before the part is committed: a part that is there has its uids beside it.
        subset.write_sorted(target, part, kept)
    return parts.committed(target, part, plan)


def histogram(engines: engine.Engines, inputs: Inputs, model: str, upper: int | None) -> np.ndarray:
    """The histogram of a model's scores over all parts: a sum of at most 65,536 numbers, whatever the pool."""
    function = partial(histogram_part, inputs=inputs, model=model, upper=upper)
    names = inputs["images"][0].part_names()
    rows = engine.spark_rows(engines, function, names, "bin int, count long").groupBy("bin").sum("count").toArrow()
    counts = np.zeros(thresholds.BINS, dtype=np.int64)
    counts[rows.column(0).to_numpy()] = rows.column(1).to_numpy()
    return counts


def histogram_part(part: str, *, inputs: Inputs, model: str, upper: int | None) -> pa.Table:
    """One part's histogram, without its empty bins; runs in a worker."""
    counts = np.zeros(thresholds.BINS, dtype=np.int64)
    for tables in parts.zipped(part, inputs):
        scores = {name: table for name, table in tables.items() if name.startswith(selecting.SCORES_PREFIX)}
        found = selecting.scores_of(tables["images"], tables["duplicates"], model, scores)
        counts += thresholds.histogram(found, upper)
    bins = np.flatnonzero(counts)
    return pa.table({"bin": pa.array(bins, pa.int32()), "count": pa.array(counts[bins], pa.int64())})


if __name__ == "__main__":
    engine.main(run)
