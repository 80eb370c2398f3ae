"""`curate plan`: what a setting would lead to, before the work is done."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from curate import recipe
from curate.commands.options import Overrides, RecipeOption, WorkdirOption
from curate.recipe import RecipeError
from curate.report.page import number, percent
from curate.report.untrusted import clip

app = typer.Typer(help="Say what a setting would lead to, before the work is done.", no_args_is_help=True)

MOST_LANGUAGES = 20
"""Languages in the table; all of them stand in the JSON."""


@app.callback()
def plan() -> None:
    """Say what a setting would lead to, before the work is done."""


@app.command()
def balance(
    recipe_: RecipeOption = "demo",
    workdir: WorkdirOption = "workdirs/demo",
    t: Annotated[
        str | None, typer.Option("--t", help="thresholds of English, comma-separated; the recipe's by default")
    ] = None,
    json: Annotated[str | None, typer.Option("--json", help="write the numbers into this file")] = None,
    overrides: Overrides = None,
) -> None:
    """Expected set sizes for thresholds t, from one pass over the matches. Fetches nothing and changes nothing."""
    from jobs import engine, plan_balance

    settings = recipe.load(recipe_, overrides or [])
    _check_place(json)
    ts = asked(t) if t is not None else [settings.balance.t]
    engines = engine.Engines()
    try:
        account = plan_balance.plan(engine.Run(settings, workdir, engines), ts)
    finally:
        engines.stop()
    _write(json, account)
    print_account(account)


@app.command()
def select(
    recipe_: RecipeOption = "demo",
    workdir: WorkdirOption = "workdirs/demo",
    grid: Annotated[
        list[str] | None,
        typer.Option(
            "--grid", help="rule.limit=first:last:step or a comma list, as in low_similarity.min=0.2:0.35:0.01"
        ),
    ] = None,
    presets: Annotated[bool, typer.Option("--presets", help="list the presets and kinds of rules, and stop")] = False,
    json: Annotated[str | None, typer.Option("--json", help="write the numbers into this file")] = None,
    overrides: Overrides = None,
) -> None:
    """Sizes of the set over grids of thresholds, from one pass over the side tables. Changes nothing."""
    from curate.commands import plan_select as told
    from jobs import engine, plan_select

    if presets:
        told.print_presets()
        return
    settings = recipe.load(recipe_, overrides or [])
    _check_place(json)
    engines = engine.Engines()
    try:
        account = plan_select.plan(engine.Run(settings, workdir, engines), grid or [])
    finally:
        engines.stop()
    _write(json, account)
    told.print_account(account)


def _check_place(json: str | None) -> None:
    """RecipeError for a file that cannot be written, before the work."""
    if json and not Path(json).absolute().parent.is_dir():
        raise RecipeError(f"--json: there is no folder {Path(json).parent} to write {Path(json).name} into")


def _write(json: str | None, account: dict[str, Any]) -> None:
    if json:
        with open(json, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(account), indent=1) + b"\n")


def asked(words: str) -> list[int]:
    """The thresholds in `1000,20_000`, ascending and each once. Raises RecipeError for anything but whole numbers from 1 up."""
    found = []
    for word in words.split(","):
        if not re.fullmatch(r"[0-9][0-9_]{0,17}", word.strip()) or int(word) < 1:
            raise RecipeError(
                f"--t: {clip(word, 40)!r} is no threshold; give whole numbers from 1 up, as in --t 1000,20000,170000"
            )
        found.append(int(word))
    return sorted(set(found))


# -- the account on a terminal


def print_account(account: dict[str, Any], console: Console | None = None) -> None:
    """Prints the account of `jobs.plan_balance.plan`: the sizes, where they come from, languages, the head/tail curve."""
    console = console or Console(highlight=False)
    for table in bands(account, sizes, console):
        console.print(table)
    for line in remarks(account):
        console.print(Text(line))
    if len(account["curves"]) > 1:
        for table in bands(account, languages, console):
            console.print(table)
    if account["curves"]:
        console.print(curve(account))


def bands(account: dict[str, Any], made: Callable[[dict[str, Any]], Table], console: Console) -> Iterator[Table]:
    """A table of the account, cut between thresholds so that no number is cut off at the terminal's edge."""
    plans, wide = account["thresholds"], console.options.update(width=10_000)
    while plans:
        some = len(plans)
        while some > 1:
            table = made(account | {"thresholds": plans[:some]})
            if console.measure(table, options=wide).maximum <= console.width:
                break
            some -= 1
        yield made(account | {"thresholds": plans[:some]})
        plans = plans[some:]


def sizes(account: dict[str, Any]) -> Table:
    """What each t keeps and why, a column for each."""
    plans = account["thresholds"]
    table = _table("\nExpected sets", ["t of English", *(number(one["t"]) for one in plans)])
    _add(table, "pairs that balance draws for", plans, lambda one: number(one["pairs"]))
    _add(table, "pairs kept, expected", plans, lambda one: _count(one["expected"]), "bold")
    _add(table, "  give or take (1 sigma)", plans, lambda one: _count(one["sigma"]))
    _add(table, "  share of the pairs", plans, lambda one: _percent(one["share"]))
    named = {
        "tail_entry": "  for certain: some entry is in the tail",
        "one_head_entry": "  by their one entry, in the head",
        "several_head_entries": "  by several entries, all in the head",
    }
    for name, words in named.items():
        _add(table, words, plans, lambda one, name=name: _of(one["classes"][name]))
    _add(table, "keeps by entries: sum of p", plans, lambda one: _count(one["keeps"]))
    _add(table, "  keeps for each pair kept", plans, lambda one: _ratio(one["keeps_a_pair"]))
    _add(table, "matches in the pairs kept", plans, lambda one: _count(one["expected_matches"]))
    _add(table, "  matches for each pair kept", plans, lambda one: _ratio(one["matches_a_pair"]))
    _add(table, "tail's share of matches, of all pairs", plans, lambda one: _percent(one["tail_share_of_matches"]))
    _add(table, "  of the pairs kept", plans, lambda one: _percent(one["expected_tail_share"]))
    _add(table, "entries in the tail (count up to t)", plans, lambda one: number(one["tail_entries"]))
    _add(table, "entries in the head", plans, lambda one: number(one["head_entries"]))
    if any(one["tail_share"] is not None for one in plans):
        _add(table, "tail share that sets others' t", plans, lambda one: _percent(one["tail_share"]))
    return table


def remarks(account: dict[str, Any]) -> list[str]:
    """How to read the table, and what of the settings stands behind it."""
    lines = [
        "",
        "An entry keeps about min(t, count) of its texts; a pair that several entries keep is one pair, so keeps exceed pairs.",
    ]
    if account["one_text_per_image"]:
        others = account["matched"] - account["thresholds"][0]["pairs"]
        lines.append(
            f"One text an image: {number(others)} of {number(account['matched'])} matched pairs are left out first, by the choice "
            f"that balance makes with seed {account['seed']}."
        )
    if account["online"]:
        lines.append("balance.online: all pairs that balance draws for are fetched; the sizes are those of an epoch.")
    return lines


def languages(account: dict[str, Any]) -> Table:
    """t and expected pairs of the languages with most pairs."""
    plans = account["thresholds"]
    table = _table(
        "\nLanguages: t and expected pairs", ["language", "pairs", *(f"t(en) {number(one['t'])}" for one in plans)]
    )
    pairs = {lang: one["pairs"] for lang, one in plans[0]["languages"].items()}
    ranked = sorted(pairs, key=lambda lang: (-pairs[lang], lang))
    for lang in ranked[:MOST_LANGUAGES]:
        cells = [
            f"{number(one['languages'][lang]['t'])}: {_count(one['languages'][lang]['expected'])}" for one in plans
        ]
        table.add_row(Text(clip(lang, 20)), number(pairs[lang]), *cells)
    if len(ranked) > MOST_LANGUAGES:
        table.caption, table.caption_justify = f"and {len(ranked) - MOST_LANGUAGES} more: --json FILE", "left"
    return table


def curve(account: dict[str, Any]) -> Table:
    """The head/tail curve of English, or else of the language with most pairs."""
    pairs = {lang: one["pairs"] for lang, one in account["thresholds"][0]["languages"].items()}
    lang = "en" if "en" in account["curves"] else max(account["curves"], key=lambda lang: (pairs[lang], lang))
    title = f"\nHead and tail of {clip(lang, 20)}: entries from the rarest on"
    table = _table(title, ["share of entries", "share of matches", "matches of the last one"])
    for point in account["curves"][lang]:
        table.add_row(f"{100 * point['entries']:.4g} %", f"{100 * point['matches']:.2f} %", number(point["count"]))
    return table


def _table(title: str, columns: list[str]) -> Table:
    table = Table(title=Text(title, "italic"), title_justify="left", box=None, padding=(0, 2, 0, 0))
    for i, name in enumerate(columns):
        table.add_column(name, justify="right" if i else "left", no_wrap=i > 0)
    return table


def _add(table: Table, name: str, plans: list[dict[str, Any]], cell: Any, style: str | None = None) -> None:
    table.add_row(name, *(cell(one) for one in plans), style=style)


def _of(one: dict[str, Any]) -> str:
    if one["expected"] == one["pairs"]:
        return number(one["pairs"])
    return f"{_count(one['expected'])} of {number(one['pairs'])}"


def _count(value: float) -> str:
    return number(round(value))


def _percent(share: float | None) -> str:
    return "-" if share is None else percent(share)


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
