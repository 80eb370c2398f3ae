"""The `curate` command: run the road, or one stage of it; look at recipes and at what a workdir holds."""

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from curate import CurateError, __version__, recipe
from curate.commands import counts, explain, filter_network, grammar_head, metadata, plan, retry
from curate.commands.options import Overrides, RecipeOption, WorkdirOption
from curate.hints import nearest
from curate.recipe import RecipeError

app = typer.Typer(
    help="From a raw web pool of image-text pairs to a training set, with the proof that it is worth training on.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.add_typer(counts.app, name="counts")
app.add_typer(metadata.app, name="metadata")
app.add_typer(plan.app, name="plan")
app.command()(explain.explain)
app.command()(retry.retry)
app.command()(filter_network.filter_network)
app.command()(grammar_head.grammar_head)


@app.command()
def run(
    recipe_: RecipeOption = "demo",
    workdir: WorkdirOption = "workdirs/demo",
    stages: Annotated[str | None, typer.Option(help="comma-separated stages, or FIRST..LAST; all by default")] = None,
    redo: Annotated[
        str | None, typer.Option(help="stages whose old datasets may be replaced, and all that follow")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would run and what is done, and stop")] = False,
    overrides: Overrides = None,
) -> None:
    """Run the road from crawl to report. The same command again goes on where it stopped."""
    from jobs import road

    settings = recipe.load(recipe_, overrides or [])
    wanted = pick(stages)
    replace = following(redo)
    if dry_run:
        road.show(settings, workdir, wanted)
    else:
        road.travel(settings, workdir, wanted, replace)


@app.command()
def show(recipe_: RecipeOption = "demo", overrides: Overrides = None) -> None:
    """Print the resolved recipe: every setting with its value."""
    import msgspec
    import yaml

    plain = msgspec.to_builtins(recipe.load(recipe_, overrides or []))
    typer.echo(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True), nl=False)


@app.command()
def summary(recipe_: RecipeOption = "demo", workdir: WorkdirOption = "workdirs/demo") -> None:
    """Print the account of a workdir: rows in, kept, dropped, failed; and what the set is worth."""
    from curate.report.summary import print_summary

    print_summary(workdir, recipe.load(recipe_))


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def pick(stages: str | None) -> tuple[str, ...]:
    """The stages named by `a,b` or `a..b`, in the order of the road. Raises RecipeError for an unknown one."""
    if not stages:
        return recipe.STAGES
    if ".." in stages:
        first, last = (known(word) if word else edge for word, edge in
                       zip(stages.split("..", 1), (recipe.STAGES[0], recipe.STAGES[-1]), strict=True))  # fmt: skip
        return recipe.STAGES[recipe.STAGES.index(first) : recipe.STAGES.index(last) + 1]
    wanted = {known(word.strip()) for word in stages.split(",")}
    return tuple(stage for stage in recipe.STAGES if stage in wanted)


def following(redo: str | None) -> frozenset[str]:
    """The earliest stage named and all after it: what follows from replaced data has to be replaced too."""
    if not redo:
        return frozenset()
    first = min(recipe.STAGES.index(known(word.strip())) for word in redo.split(","))
    return frozenset(recipe.STAGES[first:])


def known(stage: str) -> str:
    if stage not in recipe.STAGES:
        raise RecipeError(f"no stage {stage!r}: {nearest(stage, recipe.STAGES)}")
    return stage


def guarded(command: Callable[[], object]) -> None:
    """Runs a command; expected errors are one message and exit code 2, without a traceback."""
    try:
        command()
    except CurateError as error:
        print(f"curate: {error}", file=sys.stderr)
        sys.exit(2)


def main() -> None:
    """Entry point of the `curate` command."""
    guarded(app)


if __name__ == "__main__":
    main()
