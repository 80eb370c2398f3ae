"""plan select: how large the set would be over a grid of thresholds, from one pass over the side tables; writes no dataset.

python jobs/plan_select.py -c recipe.yaml -w workdirs/mine
"""

import jobs  # noqa: F401 - before all others, see there

# isort: split
from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec

from curate.selection import planning, quotas, resolving
from curate.selection.planning import Point
from jobs import counting, engine, errors, reducing

COLUMNS = ", ".join(["key int", *(f"{name} long" for name in planning.SUMS)])


def run(run: engine.Run) -> None:
    """Prints the account of the usual grids as JSON."""
    print(msgspec.json.format(msgspec.json.encode(plan(run, [])), indent=1).decode(), flush=True)


def plan(run: engine.Run, grids: Sequence[str]) -> dict[str, Any]:
    """The account of the recipe's rules for grids as `planning.asked` reads them; without any, for one around each limit.

    Quotas are left out: what they drop depends on what the other rules have kept.
    """
    every = resolving.resolve(run.recipe.select, run.recipe.score, run.recipe.recaption)
    rules = [rule for rule in every if rule.rule != "quota"]
    wanted = [planning.asked(words, rules) for words in grids] or planning.usual(rules)
    points = planning.opened(rules, wanted)
    inputs = counting.inputs(run, rules, {"images": ("image_uid",)})
    # One count serves all fractions, of the recipe and of the grids.
    settled = counting.settle(run.engines, inputs, [*rules, *(point.rule for point in points)])
    now = settled[: len(rules)]
    tried = [Point(point.place, rule) for point, rule in zip(points, settled[len(rules) :], strict=True)]
    function = partial(planning.sum_parts, inputs=inputs, rules=now, points=tried)
    rows = engine.spark_rows(
        run.engines, function, reducing.batched(run.engines, inputs["images"][0].part_names()), COLUMNS
    )
    with errors.unwrapped():
        summed = rows.groupBy("key").sum(*planning.SUMS).collect()
    sums = {row.key: {name: row[f"sum({name})"] for name in planning.SUMS} for row in summed}
    left_out = [every[place].label for place in quotas.places(every)]
    return {"workdir": run.workdir, "left_out": left_out} | planning.account(rules, wanted, tried, sums)


if __name__ == "__main__":
    engine.main(run)
