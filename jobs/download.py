"""Fetches the images of the pairs that balance kept or the baseline drew; every row comes back with a status (Ray or Spark)."""

import jobs  # noqa: F401 - before all others, see there

# isort: split
from collections.abc import Sequence
from functools import partial

from curate.images import generations
from curate.images.agent import require_contact
from curate.images.consent.rules import table
from curate.images.downloading import download_part
from curate.pools import inputs
from curate.pools.members import Shelf
from curate.store import Part
from jobs import engine


def run(run: engine.Run) -> None:
    pairs, matches, balanced = (run.dataset(name) for name in ("pairs", "matches", "balanced"))
    settings = run.recipe.download
    require_contact(settings.contact, settings.allow_addresses)
    consent = table(settings.consent_rules, settings.consent_off, settings.opt_out_directives).fingerprint
    plan = run.plan(
        "images", settings.identity(), ["pairs", "matches", "balanced"], pairs.part_names(), consent_rules=consent
    )
    part = partial(
        download_part, pairs=pairs, matches=matches, balanced=balanced, target=run.dataset("images"), plan=plan,
        settings=settings, shelf=shelf(run),
    )  # fmt: skip
    run.make(plan, partial(launch, run, part))
    if plan.stage in run.redo:
        for retried in list(generations.stale(run.workdir)):
            retried.remove()


def launch(run: engine.Run, part: engine.PartFunction, missing: Sequence[str]) -> list[Part]:
    """Fetches parts where the recipe has its workers."""
    settings = run.recipe.download
    parts = engine.spark_parts if settings.launcher == "spark" else engine.ray_parts
    return parts(run.engines, part, missing, workers=settings.workers)


def shelf(run: engine.Run) -> Shelf | None:
    """Where images at hand are; None for a pool that has none, so that one whose files are gone can be fetched."""
    if not run.dataset("pairs").require().ledger.notes.get("at_hand"):
        return None
    return Shelf.of(inputs.expand(run.recipe.extract, run.recipe.seed))


if __name__ == "__main__":
    engine.main(run)
