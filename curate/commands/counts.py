"""`curate counts`: what the pools of several workdirs count together."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from curate.commands.options import WorkdirOption
from curate.concepts import merging
from curate.concepts.counting import CountError
from curate.concepts.merging import Pool
from curate.report.page import number
from curate.report.untrusted import clip
from curate.store import Dataset, Manifest

app = typer.Typer(help="Counts of entries: look at them, merge those of several pools.", no_args_is_help=True)


@app.command()
def merge(
    add: Annotated[list[str], typer.Argument(help="workdirs whose counts are added up")],
    out: Annotated[str, typer.Option(help="folder for the sum; give it as a workdir to balance.add_counts")],
    remove: Annotated[
        list[str] | None, typer.Option(help="workdir whose counts are taken off; may be repeated")
    ] = None,
) -> None:
    """Add up the counts of pools that were matched by the same rule and lists, and take others off. Matches are not read.

    A crawl that joins a pool: merge its counts with the sum so far. One that leaves: `--remove` it.
    """
    pool = Pool(tuple(counts_of(workdir) for workdir in add), tuple(counts_of(workdir) for workdir in remove or ()))
    print_counts(merging.merge(pool, Dataset(out, "counts")))


@app.command()
def show(workdir: WorkdirOption = "workdirs/demo") -> None:
    """Print how many entries of each language have matches, and how many."""
    print_counts(counts_of(workdir).require())


def counts_of(workdir: str) -> Dataset:
    """The counts of a workdir. Raises CountError where there are none: a misspelt one would count for nothing."""
    counts = Dataset(workdir, "counts")
    if counts.manifest() is None:
        raise CountError(
            f"{counts.root} is not there or not finished; run the stage match on {workdir}, or correct the path"
        )
    return counts


def print_counts(manifest: Manifest, console: Console | None = None) -> None:
    """Prints a line for each language, most matches first, and their sum."""
    console, languages = console or Console(highlight=False), manifest.extra["languages"]
    table = Table(box=None, padding=(0, 2, 0, 0), show_footer=True)
    everything = {what: sum(place[what] for place in languages.values()) for what in ("entries", "matches")}
    table.add_column("language", footer="all")
    table.add_column("entries with matches", number(everything["entries"]), justify="right")
    table.add_column("matches", number(everything["matches"]), justify="right")
    for lang, place in sorted(languages.items(), key=lambda item: (-item[1]["matches"], item[0])):
        table.add_row(Text(clip(lang, 20)), number(place["entries"]), number(place["matches"]))
    console.print(table)
