"""`curate retry`: ask again for the images that failed, and for no others."""

from typing import Annotated

import typer

from curate import recipe
from curate.commands.options import Overrides, RecipeOption, WorkdirOption


def retry(
    recipe_: RecipeOption = "demo",
    workdir: WorkdirOption = "workdirs/demo",
    status: Annotated[
        str | None, typer.Option(help="comma-separated statuses, e.g. http_5xx,timeout; by default those that may pass")
    ] = None,
    http: Annotated[
        str | None,
        typer.Option(help="comma-separated HTTP statuses, e.g. 429,503: what failed with one is retried too"),
    ] = None,
    redo: Annotated[
        str | None, typer.Option(help="download: a retry that was begun otherwise and not finished may be replaced")
    ] = None,
    overrides: Overrides = None,
) -> None:
    """Fetch again what failed, by status, into new files beside the old ones; the same command goes on where it stopped."""
    from curate.cli import following
    from curate.images.retrying import Failures
    from jobs import engine
    from jobs import retry as job

    settings, failures, replace = recipe.load(recipe_, overrides or []), Failures.parse(status, http), following(redo)
    engines = engine.Engines()
    try:
        job.run(engine.Run(settings, workdir, engines, replace), failures)
    finally:
        engines.stop()
