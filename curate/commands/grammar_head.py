"""`curate grammar-head`: train the head that says how grammatical a text is."""

from typing import Annotated, Any

import typer
from rich.console import Console

from curate import recipe
from curate.commands.options import Overrides, RecipeOption, WorkdirOption
from curate.report.page import number
from curate.settings import RecipeError

NAME = "grammar-head"
WEAK = 0.65
"""AUROC below which a head is said to be of little use."""


def grammar_head(
    recipe_: RecipeOption = "demo",
    workdir: WorkdirOption = "workdirs/grammar",
    redo: Annotated[
        str | None, typer.Option(help=f"{NAME}: what was made under other settings or of other texts may be replaced")
    ] = None,
    overrides: Overrides = None,
) -> None:
    """Train the head of the recipe's section `grammar_head` on good sentences and corruptions of them, and measure it on others.

    It goes to <workdir>/grammar-head; name head.safetensors there in a scorer `grammar`. Its card, head.json, says what it is worth.
    """
    from jobs import engine
    from jobs import grammar_head as job

    settings = recipe.load(recipe_, overrides or [])
    if redo not in (None, NAME):
        raise RecipeError(f"--redo {redo}: this command makes one thing only: `--redo {NAME}`")
    engines = engine.Engines()
    try:
        run = engine.Run(settings, workdir, engines, frozenset({NAME} if redo else ()))
        say(job.run(run), f"{workdir.rstrip('/')}/{job.NAME}/{job.WEIGHTS}", job.model_of(run).name)
    finally:
        engines.stop()


def say(card: Any, place: str, model: str) -> None:
    """Prints what the head was trained on and how well it does on texts that it has not seen."""
    console = Console(highlight=False, soft_wrap=True)
    held = card.held_out
    console.print(
        f"{number(card.training_texts)} texts and {number(card.training_corruptions)} corruptions learned from; AUROC there "
        f"{card.training_auroc:.3f}"
    )
    console.print(
        f"held out: {number(held.texts)} texts and {number(held.corruptions)} corruptions; AUROC {held.auroc:.3f}"
    )
    console.print("  " + ", ".join(f"{kind} {value:.3f}" for kind, value in held.auroc_of.items()))
    if held.auroc < WEAK:
        console.print(
            f"WARNING: an AUROC of 0.5 is chance. The embeddings of {model} hardly tell the order of words; rank by this head with care.",
            markup=False, style="bold red",
        )  # fmt: skip
    console.print(f"score with it: {{scorer: grammar, model: {model}, head: '{place}'}} in score.scorers", markup=False)
