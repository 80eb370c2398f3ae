"""`curate filter-network`: train a CLIP on trusted pairs, to score with."""

from typing import Annotated

import typer
from rich.console import Console

from curate import recipe
from curate.commands.options import Overrides, RecipeOption, WorkdirOption
from curate.disclosures import Disclosure
from curate.recipe import RecipeError
from curate.report.untrusted import clip

NAME = "filter-network"


def filter_network(
    recipe_: RecipeOption = "demo",
    workdir: WorkdirOption = "workdirs/filter",
    redo: Annotated[
        str | None, typer.Option(help=f"{NAME}: what was made under other settings or of other tars may be replaced")
    ] = None,
    overrides: Overrides = None,
) -> None:
    """Train the network of the recipe's section `filter_network` on trusted pairs; the same command goes on where it stopped.

    It goes to <workdir>/filter-network; name it in score.models as local-dir:<workdir>/filter-network. Its card says what it has seen.
    """
    from jobs import engine
    from jobs import filter_network as job

    settings = recipe.load(recipe_, overrides or [])
    if redo not in (None, NAME):
        raise RecipeError(f"--redo {redo}: this command makes one thing only: `--redo {NAME}`")
    engines = engine.Engines()
    try:
        told = job.run(engine.Run(settings, workdir, engines, frozenset({NAME} if redo else ())))
    finally:
        engines.stop()
    say(told, f"{workdir.rstrip('/')}/{job.NAME}")


def say(told: Disclosure, place: str) -> None:
    """Prints what the network was trained on, with every warning of its card."""
    console = Console(highlight=False, soft_wrap=True)
    for one in told.trained_on:
        left = sum(one.left_out.values())
        console.print(
            f"{one.name}: {one.samples:,} images of {one.tars:,} tars, {left:,} samples left out; {one.samples_seen:,} samples seen",
            markup=False,
        )
    for warning in told.warnings:
        console.print(f"WARNING: {clip(warning, 500)}", markup=False, style="bold red")
    if not any(one.overlap for one in told.trained_on):
        console.print("The recipe names no evaluation set, so the images were compared with none.", markup=False)
    console.print(f"score with it: {{name: dfn, model: 'local-dir:{place}'}} in score.models", markup=False)
