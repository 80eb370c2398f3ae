"""What `curate plan select` prints: presets and kinds of rules, and the sizes of the set over grids of thresholds."""

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from curate.report.page import number, percent
from curate.report.untrusted import clip
from curate.selection.presets import PRESETS
from curate.selection.resolving import describe, kinds, limits_of


def print_presets(console: Console | None = None) -> None:
    """Lists the presets with their rules, and the kinds of rules that a recipe may name."""
    console = console or Console(highlight=False)
    for name, (about, rules) in PRESETS.items():
        console.print(Text(name, "bold") + Text(f"  {about}"))
        for rule in rules:
            console.print(Text(f"    {rule.label or describe(rule)}") + Text(f"  {limits_of(rule)}", "dim"))
    console.print(Text("\nKinds of rules", "bold"))
    table = _table(["rule", "asks of a row"])
    for name, about in kinds().items():
        table.add_row(name, about)
    console.print(table)


def print_account(account: dict[str, Any], console: Console | None = None) -> None:
    """Prints the account of `jobs.plan_select.plan`: the whole, the rules, and a table for each grid."""
    console = console or Console(highlight=False)
    entered, kept = account["entered"], account["kept"]
    console.print(
        Text(f"{number(entered['rows'])} pairs of {number(entered['images'])} images enter, and the recipe keeps ")
        + Text(f"{number(kept['rows'])} pairs of {number(kept['images'])} images", "bold")
        + Text(f" ({_share(kept['rows'], entered['rows'])})")
    )
    for label in account["left_out"]:
        console.print(Text(f"Not counted, since it depends on what the others keep: {clip(label)}", "yellow"))
    console.print(rules(account))
    for grid in account["grids"]:
        console.print(points(grid, entered["rows"]))


def rules(account: dict[str, Any]) -> Table:
    """What each rule drops."""
    table = _table(["rule", "would drop", "drops first"], "\nRules in their order")
    for one in account["rules"]:
        table.add_row(Text(clip(one["rule"])), number(one["drops"]), number(one["drops_first"]))
    return table


def points(grid: dict[str, Any], entered: int) -> Table:
    """What each value of a grid keeps, alone and with all other rules; the recipe's own is bold."""
    columns = [grid["limit"], "pairs alone", "images", "pairs with all rules", "images", "share"]
    if grid["limit"] == "top_fraction":
        columns.insert(1, "threshold")
    table = _table(columns, f"\n{clip(grid['rule'])}")
    for one in grid["points"]:
        cells = [
            f"{one['value']:g}",
            *map(number, (one["rows"], one["images"], one["rows_with_others"], one["images_with_others"])),
        ]
        if grid["limit"] == "top_fraction":
            cells.insert(1, f"{one['threshold']:.6g}")
        style = "bold" if one["value"] == grid["now"] else None
        table.add_row(*cells, _share(one["rows_with_others"], entered), style=style)
    return table


def _table(columns: list[str], title: str | None = None) -> Table:
    table = Table(title=Text(title, "italic") if title else None, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for i, name in enumerate(columns):
        table.add_column(name, justify="left" if not i or len(columns) == 2 else "right", overflow="fold")
    return table


def _share(rows: int, whole: int) -> str:
    return percent(rows / whole) if whole else "-"
