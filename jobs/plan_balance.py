"""plan balance: how large the set would be for several thresholds, from one pass over `matches`; writes no dataset.

python jobs/plan_balance.py -c recipe.yaml -w workdirs/mine balance.t=20000
"""

import jobs  # noqa: F401 - before all others, see there

# isort: split
from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec

from curate.concepts import merging, planning, thresholds
from curate.recipe import Balance
from jobs import engine, errors, reducing

COLUMNS = ", ".join(["lang string", "asked int", *(f"{name} double" for name in planning.SUMS)])


def run(run: engine.Run) -> None:
    """Prints the account of the recipe's own t as JSON."""
    print(msgspec.json.format(msgspec.json.encode(plan(run, [run.recipe.balance.t])), indent=1).decode(), flush=True)


def plan(run: engine.Run, ts: Sequence[int]) -> dict[str, Any]:
    """The account for each t of English; other languages' follow from it as the recipe says."""
    settings, matches = run.recipe.balance, run.dataset("matches")
    pool = merging.sources(run.workdir, settings)
    merging.check_decides(pool, matches)
    asked = [thresholds.resolve(pool, with_t(settings, t)) for t in ts]
    pairs = run.dataset("pairs") if settings.one_text_per_image else None
    function = partial(
        planning.sum_parts, matches=matches, pairs=pairs, pool=pool, asked=asked, seed=run.recipe.seed
    )  # fmt: skip
    rows = engine.spark_rows(run.engines, function, reducing.batched(run.engines, matches.part_names()), COLUMNS)
    with errors.unwrapped():
        summed = rows.groupBy("lang", "asked").sum(*planning.SUMS).collect()
    found = [{"lang": row.lang, "asked": row.asked} | {s: row[f"sum({s})"] for s in planning.SUMS} for row in summed]
    account = planning.account(pool, asked, sorted(found, key=lambda row: (row["lang"], row["asked"])))
    for t, one in zip(ts, account["thresholds"], strict=True):
        one["t"] = t
    how = {"one_text_per_image": settings.one_text_per_image, "online": settings.online, "seed": run.recipe.seed}
    return {"workdir": run.workdir, "matched": matches.require().ledger.kept} | how | account


def with_t(settings: Balance, t: int) -> Balance:
    """The settings with another t of English, wherever the recipe gives it."""
    others = {lang: given for lang, given in settings.t_of.items() if lang != thresholds.ENGLISH}
    return msgspec.structs.replace(settings, t=t, t_of=others)


if __name__ == "__main__":
    engine.main(run)
