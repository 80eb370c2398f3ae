"""select: the recipe's rules over the facts of all side tables; which pairs go into the training set, and why not.

python jobs/select.py -c recipe.yaml -w workdirs/mine
"""

import jobs  # noqa: F401 - before all others, see there

# isort: split
from collections.abc import Mapping, Sequence
from functools import cache, partial
from typing import Any

import msgspec
import pyarrow as pa

from curate import parts
from curate.ledger import alive
from curate.parts import Inputs
from curate.recipe import Rule
from curate.selection import quotas, resolving, selecting, subset
from curate.store import Dataset, Part, Plan
from jobs import counting, engine
from jobs.quotas import made


def run(run: engine.Run) -> None:
    settings = run.recipe.select
    rules = resolving.resolve(settings, run.recipe.score, run.recipe.recaption)
    inputs = counting.inputs(run, rules)
    target = run.dataset("selection")
    sources = [data.name for data, _ in inputs.values()]
    identity: dict[str, Any] = {"rules": plain(rules), "why": settings.why}
    if quotas.places(rules):
        identity["seed"] = run.recipe.seed
    plan = run.plan("selection", identity, sources, inputs["images"][0].part_names())
    settled = cache(lambda: counting.settle(run.engines, inputs, rules))

    def launch(missing: list[str]) -> list[Part]:
        function = partial(select_part, inputs=inputs, target=target, plan=plan, rules=settled(), why=settings.why)
        if quotas.places(rules):
            return made(run, inputs, settled(), function, missing)
        return engine.spark_parts(run.engines, function, missing)

    def finish() -> Mapping[str, Any]:
        return {"rules": plain(settled()), "subset": subset.merge(target, plan.parts)}

    run.make(plan, launch, finish)


def plain(rules: Sequence[Rule]) -> list[dict[str, Any]]:
    """The rules as a manifest holds them, without the limits that are not set."""
    return [_without_defaults(msgspec.to_builtins(limits)) for limits in rules]


def _without_defaults(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            k: _without_defaults(v)
            for k, v in value.items()
            if v not in (None, [], (), {}) and (k, v) != ("missing", "drop")
        }
    return [_without_defaults(one) for one in value] if isinstance(value, list | tuple) else value


def select_part(
    part: str,
    over: pa.Table | None = None,
    *,
    inputs: Inputs,
    target: Dataset,
    plan: Plan,
    rules: tuple[Rule, ...],
    why: Any,
) -> Part:
    """One part of the selection, its sorted uids before it; runs in a worker. `over`: the rows that are too many for quotas."""
    kept: list[pa.ChunkedArray] = []
    begin = 0
    with target.write_part(part, plan.hash) as out:
        for tables in parts.zipped(part, inputs):
            rows = len(tables["images"])
            decided = selecting.select(tables, rules, why=why, over=quotas.over_of(over, begin, rows))
            out.write(decided)
            out.note(**selecting.notes(decided))
            kept.append(decided["uid"].filter(alive(decided["state"])))
            begin += rows
        # Inside the block, so before the part is committed: a part that is there has its uids beside it.
        subset.write_sorted(target, part, pa.chunked_array(kept, pa.string()).combine_chunks())
    return parts.committed(target, part, plan)


if __name__ == "__main__":
    engine.main(run)
