"""What a run says at its end, in the terminal: the account of each stage, what the set is worth, and where things are."""

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from curate.recipe import Recipe
from curate.report.captions import tables
from curate.report.figures import words
from curate.report.funnel import funnel, merged
from curate.report.page import number, percent, points
from curate.report.proof import BETTER, WORSE, read_json, verdict
from curate.selection.selecting import BASELINE_ONLY
from curate.store import Dataset

READ = """\
import glob, webdataset as wds
shards = sorted(glob.glob("{shards}/*.tar"))
for image, text in wds.WebDataset(shards, shardshuffle=False).decode("pil").to_tuple("jpg;png;webp", "txt"): ..."""


def print_summary(workdir: str, recipe: Recipe, console: Console | None = None) -> None:
    """Prints the account of a workdir: rows by stage, raw against curated, the report's path, how to read the shards."""
    console = console or Console(highlight=False, soft_wrap=False)
    account = funnel(workdir, recipe)
    comparison = read_json(Dataset(workdir, "evaluations"), "comparison.json")
    console.print(_stages(account))
    if captioned := tables(workdir, recipe):
        console.print(_captions(captioned))
    for check in account["checks"]:
        if not check["holds"]:
            console.print(
                Text(f"does not add up: {check['text']}: {check['left']} is not {check['right']}", "bold red")
            )
    if comparison:
        for name, metrics in comparison["sets"].items():
            console.print(_worth(name, metrics))
        said = verdict(comparison)
        console.print(Text(said["sentence"] if said else "", "bold"))
    for line in _places(workdir):
        # Never broken over lines, so that it can be copied.
        console.print(Text(line), soft_wrap=True)


def _stages(account: dict[str, Any]) -> Table:
    table = Table(title="Rows", title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.add_column("dataset", no_wrap=True)
    for name in ("rows in", "kept", "dropped", "failed"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("why", overflow="fold")
    for stage in merged(account["stages"]):
        ways = [f"{way['name']} {number(way['rows'])}" for way in _ways(stage)]
        counts = (stage["rows_in"], stage["kept"], stage["dropped_rows"], stage["failed_rows"])
        more = len(stage["tables"]) - 1
        name = stage["dataset"] if not more else f"{stage['stage']}, {more + 1} tables"
        table.add_row(name, *map(number, counts), escape(", ".join(ways)))
    if account["baseline"] and account["baseline"]["baseline_only"]:
        table.caption = (
            f"{number(account['baseline']['baseline_only'])} of the rows into download are for the raw baseline alone"
        )
        table.caption_justify = "left"
    return table


def _captions(captioned: list[dict[str, Any]]) -> Table:
    """The tables of captions: pairs that were drawn, those that have a caption, why others have none, and what it took."""
    table = Table(title="\nCaptions", title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.add_column("captioner", no_wrap=True)
    for name in ("pairs", "kept", "requests", "tokens out"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("refused, and failed", overflow="fold")
    for one in captioned:
        counts = [one["rows_in"] - one["not_drawn"], one["kept"]]
        asked = map(number, (one["requests"], one["completion_tokens"])) if one["backend"] else ("–", "–")
        ways = [f"{way['reason']} {number(way['pairs'])}" for way in one["dropped"] + one["failed"]]
        table.add_row(one["name"], *map(number, counts), *asked, escape(", ".join(ways)))
    if any(cost := [one["cost"] for one in captioned]):
        table.caption = f"by the prices in the recipe: {sum(cost):,.2f}"
        table.caption_justify = "left"
    return table


def _ways(stage: dict[str, Any]) -> list[dict[str, Any]]:
    """How rows left a stage: by reason or status; where several rules have one reason, by rule."""
    rules = [{"name": rule["rule"], "rows": rule["rows"]} for rule in stage["rules"] if rule["rows"]]
    others = [way for way in stage["dropped"] if way["name"] == BASELINE_ONLY or not rules]
    return rules + others + stage["failed"]


def _worth(name: str, metrics: dict[str, Any]) -> Table:
    table = Table(title=f"\nWorth, on {escape(name)}", title_justify="left", box=None, padding=(0, 1, 0, 0))
    table.add_column("measure", no_wrap=True)
    for column in ("raw", "curated", "points"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    styles = {BETTER: "green", WORSE: "yellow"}
    for key, m in metrics.items():
        interval = f"{points(m['difference'])} [{points(m['low'])}, {points(m['high'])}]"
        verdict_ = Text(m["verdict"], styles.get(m["verdict"], "dim"))
        table.add_row(words(key), percent(m["raw"]), percent(m["curated"]), escape(interval), verdict_)
    return table


def _places(workdir: str) -> list[str]:
    """Where the report and the shards are, and how to read them, in lines."""
    lines = []
    report, shards = Dataset(workdir, "report"), Dataset(workdir, "shards").manifest()
    if report.manifest() is not None:
        lines.append(f"\nreport   {workdir.rstrip('/')}/report/index.html")
    if shards is not None:
        tars, samples = len(shards.parts), sum(part.rows for part in shards.parts)
        what = f"{number(samples)} samples in {number(tars)} tar{'s' if tars != 1 else ''}"
        lines.append(f"shards   {workdir.rstrip('/')}/shards/*.tar ({what}); read them with\n")
        lines += [f"    {line}" for line in READ.format(shards=f"{workdir.rstrip('/')}/shards").splitlines()]
    return lines
