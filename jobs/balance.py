"""balance: which matched pairs are kept, decided by hash; and which pairs of the pool serve as the raw baseline.

python jobs/balance.py -c recipe.yaml -w workdirs/mine
"""

import jobs  # noqa: F401 - before all others, see there

# isort: split
from collections.abc import Mapping
from functools import lru_cache, partial

import numpy as np
import pyarrow as pa

from curate import parts
from curate.concepts import balancing, counting
from curate.recipe import Balance
from curate.store import Dataset
from jobs import engine


def run(run: engine.Run) -> None:
    recipe, matches, counts = run.recipe, run.dataset("matches"), run.dataset("counts")
    settings = recipe.balance.identity() | {"seed": recipe.seed}
    plan = run.plan("balanced", settings, ["matches", "counts"], matches.part_names())
    function = partial(
        parts.annotate,
        inputs={"matches": (matches, balancing.MATCHES)},
        target=run.dataset("balanced"),
        plan=plan,
        work=partial(
            balance, workdir=run.workdir, version=counts.fingerprint, settings=recipe.balance, seed=recipe.seed
        ),
    )
    run.make(plan, lambda missing: engine.spark_parts(run.engines, function, missing))


def balance(matches: pa.Table, *, workdir: str, version: str, settings: Balance, seed: int) -> pa.Table:
    """The library's function with the pool's counts; runs in a worker."""
    return balancing.balance(matches, dense_counts(workdir, version), settings, seed)


@lru_cache(maxsize=1)
def dense_counts(workdir: str, version: str) -> Mapping[str, np.ndarray]:
    """The counts, read once in a worker; `version` is their fingerprint, so that a long-lived worker holds no old ones."""
    return counting.read(Dataset(workdir, "counts"))


if __name__ == "__main__":
    engine.main(run)
