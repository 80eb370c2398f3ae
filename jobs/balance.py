"""balance: which matched pairs are kept, decided by hash; and which pairs of the pool serve as the raw baseline.

python jobs/balance.py -c recipe.yaml -w workdirs/mine
"""

import jobs  # noqa: F401 - before all others, see there

# isort: split
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np

from curate import parts
from curate.concepts import balancing, merging, thresholds
from curate.concepts.merging import Pool
from curate.concepts.thresholds import Thresholds
from curate.ledger import alive
from curate.recipe import Balance
from curate.store import Dataset, Part, Plan
from jobs import engine


def run(run: engine.Run) -> None:
    recipe, matches = run.recipe, run.dataset("matches")
    pool = merging.sources(run.workdir, recipe.balance)
    merging.check_decides(pool, matches)
    found = thresholds.resolve(pool, recipe.balance)
    settings = recipe.balance.identity() | {"seed": recipe.seed}
    plan = run.plan("balanced", settings, ["matches", "counts"], matches.part_names(), **merging.marks(pool))
    function = partial(
        balance_part,
        pairs=run.dataset("pairs"),
        matches=matches,
        target=run.dataset("balanced"),
        plan=plan,
        pool=pool,
        found=found,
        settings=recipe.balance,
        seed=recipe.seed,
    )
    run.make(plan, lambda missing: engine.spark_parts(run.engines, function, missing), lambda: account(found))


def account(found: Thresholds) -> dict[str, Any]:
    """What the manifest says of how it was decided."""
    return asdict(found)


def balance_part(
    part: str, *, pairs: Dataset, matches: Dataset, target: Dataset, plan: Plan, pool: Pool, found: Thresholds,
    settings: Balance, seed: int,
) -> Part:  # fmt: skip
    """One part of `balanced`; runs in a worker."""
    chosen = None
    if settings.one_text_per_image:
        rows = matches.read_part(part, ["uid", "state"])
        matched = alive(rows["state"]).to_numpy(zero_copy_only=False)
        chosen = balancing.chosen_texts(pairs.read_part(part, ["image_uid"])["image_uid"], rows["uid"], matched, seed)
    done = 0

    def work(matches: Any) -> Any:
        nonlocal done
        mine = None if chosen is None else chosen[done : done + len(matches)]
        done += len(matches)
        return balancing.balance(matches, partial(odds, plan.hash, pool, found), settings, seed, mine)

    return parts.annotate(part, inputs={"matches": (matches, balancing.MATCHES)}, target=target, plan=plan, work=work)


_ODDS: dict[tuple[str, str], np.ndarray] = {}


def odds(version: str, pool: Pool, found: Thresholds, lang: str) -> np.ndarray:
    """A language's entry probabilities, read when its first text comes. A long-lived worker keeps those of one plan alone."""
    if any(known != version for known, _ in _ODDS):
        _ODDS.clear()
    if (version, lang) not in _ODDS:
        _ODDS[version, lang] = balancing.odds(pool.of(lang), found.t.get(lang, 1))
    return _ODDS[version, lang]


if __name__ == "__main__":
    engine.main(run)
