"""Fetches again what failed, into the next generation of `images`; older ones stay as they are (Ray or Spark).

python jobs/retry.py -c recipe.yaml -w workdirs/mine --status http_5xx,timeout
"""

import jobs  # noqa: F401 - before all others, see there

# isort: split
from functools import partial

from curate import schema
from curate.images import generations
from curate.images.agent import require_contact
from curate.images.consent.rules import table
from curate.images.retrying import SOURCES, Failures, check_sources, retry_part, told
from jobs import engine
from jobs.download import launch, shelf


def run(run: engine.Run, failures: Failures) -> None:
    settings, images = run.recipe.download, generations.newest(run.workdir)
    parts = images.part_names()
    check_sources(run.workdir, images)
    if not failures.any_in(images):
        print(f"retry: nothing to retry: no row of {images.name} failed with {failures}", flush=True)
        return
    require_contact(settings.contact, settings.allow_addresses)
    consent = table(settings.consent_rules, settings.consent_off, settings.opt_out_directives).fingerprint
    target = generations.following(images)
    plan = run.plan(
        target.name, settings.identity() | {"retry": failures._asdict()}, [images.name, *SOURCES], parts,
        consent_rules=consent,
    )  # fmt: skip
    pairs, matches, balanced = (run.dataset(name) for name in SOURCES)
    part = partial(
        retry_part, images=images, pairs=pairs, matches=matches, balanced=balanced, failures=failures, target=target,
        plan=plan, settings=settings, shelf=shelf(run),
    )  # fmt: skip
    made = run.make(plan, partial(launch, run, part))
    print(f"retry: {told(made.ledger.notes, list(schema.load('images').failed))}", flush=True)


if __name__ == "__main__":
    import typer

    from curate.cli import guarded
    from curate.commands.retry import retry

    guarded(lambda: typer.run(retry))
