"""`curate explain`: why a pair is in the set or is not."""

import json as json_
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from curate import recipe
from curate.commands.options import WorkdirOption
from curate.explaining import account, mixing
from curate.explaining.account import ABSENT, NOT_RUN
from curate.explaining.balancing import chance
from curate.hints import nearest
from curate.ledger import DROPPED, FAILED, GONE, KEPT
from curate.report.page import number
from curate.report.untrusted import clip
from curate.settings import RecipeError

LONG = 600
"""Characters of a text; JSON has all of it."""
MOST = 50
"""Texts of an image that are told; a page's decoration may have thousands."""
STYLES = {KEPT: "green", DROPPED: "yellow", FAILED: "red", GONE: "dim", NOT_RUN: "dim", ABSENT: "dim"}
MISSING = {
    "images": "not asked for: balance did not keep it, and it is not in the baseline",
    "shards": "not in the curated set",
    "shards-raw": "not in the raw baseline",
}
"""What it means that a finished dataset has no row of the pair."""
Stage = dict[str, Any]


def explain(
    uid: Annotated[str | None, typer.Argument(help="uid of a pair; or that of an image, the key of its sample")] = None,
    workdir: WorkdirOption = "workdirs/demo",
    recipe_: Annotated[
        str | None, typer.Option("--recipe", "-c", help="the run's recipe, where it names entry lists or other pools")
    ] = None,
    url: Annotated[
        str | None,
        typer.Option("--url", help="an image's address: explains all its texts, or with UID finds that one at once"),
    ] = None,
    why: Annotated[
        str, typer.Option("--why", help="of the selection's rules: `first`, the one that dropped the pair, or `all`")
    ] = "first",
    json: Annotated[bool, typer.Option("--json", help="print plain values")] = False,
) -> None:
    """Say what every stage found out about a pair and decided, with the numbers behind it."""
    if why not in ("first", "all"):
        raise RecipeError(f"--why {clip(why, 40)!r}: {nearest(why, ['first', 'all'])}")
    where = account.Workdir(workdir, recipe.load(recipe_) if recipe_ else None, every_rule=why == "all")
    places = account.places(where, uid, url)
    found = [account.explain(where, place) for place in places[:MOST]]
    if json:
        # ASCII alone: what strangers wrote cannot steer a terminal.
        typer.echo(json_.dumps({"workdir": workdir, "texts": len(places), "pairs": found}, indent=1))
        return
    for pair in found:
        print_pair(pair)
    if len(places) > MOST:
        typer.echo(f"and {number(len(places) - MOST)} more texts of this image; explain them by their uids")


def print_pair(pair: dict[str, Any], console: Console | None = None) -> None:
    """Prints the account of one pair of `curate.explaining.account.explain`."""
    console = console or Console(highlight=False)
    for name, words in head(pair):
        console.print(Text(f"{name:<10}", "bold") + Text(words), soft_wrap=True)
    for stage in pair["stages"]:
        line = Text(f"{stage['stage']:<10}") + Text(f"{stage['state']:<12}", STYLES[stage["state"]])
        console.print(line + Text("; ".join(words for words in told(stage) if words)), soft_wrap=True)
        if stage["dataset"] == "matches" and stage.get("entries"):
            console.print(entries(stage["entries"]))
        if stage.get("every_rule"):
            console.print(every_rule(stage["every_rule"]))
    end = pair["end"]
    console.print(Text(f"{'end':<10}", "bold") + Text(f"{end['outcome']} ({end['stage']})\n", "bold"), soft_wrap=True)


def head(pair: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What the pair is and where it came from."""
    place, others = pair["place"], pair["texts_of_image"] - 1
    yield "pair", f"{clip(pair['uid'])}  ({place['part']}, row group {place['row_group']}, row {place['row']})"
    more = f"  (has {others} other text{'s' * (others > 1)}: --url)" if others else ""
    yield "image", f"{clip(pair['image_uid'])}{more}"
    yield "url", clip(pair["url"], 2048)
    yield "text", clip(pair["text"], LONG) + f"  ({clip(pair['kind'])})"
    if pair["page_url"] is not None:
        yield "page", clip(pair["page_url"], 2048)
    yield "source", f"{clip(pair['crawl_file'])} at byte {number(pair['record_offset'])} ({clip(pair['source'])})"
    if pair["mix"] is not None:
        yield "mix", mixing.decision(pair["mix"])


def told(stage: Stage) -> Iterator[str | None]:
    """What to say behind a stage's name and state."""
    if stage["state"] == ABSENT:
        yield MISSING.get(stage["dataset"])
    if stage["state"] == GONE:
        yield "a stage before took it out"
    # These stages have several datasets; one that is absent is told by what that means.
    if stage["stage"] in ("score", "shard") and stage["state"] in (KEPT, DROPPED, FAILED, NOT_RUN):
        yield stage["dataset"]
    if stage["reason"]:
        # Where the numbers follow, the schema's sentence would say them again without numbers.
        why = "" if stage["dataset"] == "balanced" else f" ({clip(stage['why'] or 'no word of it in the schema')})"
        yield clip(stage["reason"]) + why
    facts = {
        "matches": matched,
        "balanced": balanced,
        "images": fetched,
        "duplicates": duplicate,
        "selection": selected,
    }
    if stage["state"] not in (NOT_RUN, ABSENT):
        yield from facts.get(stage["dataset"], other)(stage)
    if stage["dataset"] == "balanced":
        yield from undecided(stage)


def matched(stage: Stage) -> Iterator[str | None]:
    if stage["lang"] is not None:
        yield f"language {clip(stage['lang'], 20)} ({stage['lang_score']:.3f})"
    if stage["entries"]:
        yield f"entries that match: {number(len(stage['entries']))}"


def balanced(stage: Stage) -> Iterator[str | None]:
    yield stage.get("decided")
    yield "drawn for the raw baseline" if stage["baseline"] else None


def undecided(stage: Stage) -> Iterator[str | None]:
    if stage.get("keep_probability_to_come") is not None:
        yield f"keep probability will be {chance(stage['keep_probability_to_come'])}"
    yield from stage.get("remarks", [])


def fetched(stage: Stage) -> Iterator[str | None]:
    yield f"HTTP {stage['http_status']}" if stage["http_status"] else None
    yield f"said: {clip(stage['error'])}" if stage["error"] else None
    if stage["nbytes"] is not None:
        yield f"{number(stage['nbytes'])} bytes"
    if stage["width"]:
        yield f"{stage['width']} x {stage['height']} {clip(stage['format'] or '?', 10)}"
    yield f"sha256 {clip(stage['sha256'], 64)}" if stage["sha256"] else None
    yield f"phash {clip(stage['phash'], 16)}" if stage["phash"] else None
    yield "for the raw baseline alone" if stage["baseline"] and not stage["curated"] else None


def duplicate(stage: Stage) -> Iterator[str | None]:
    yield f"found by {clip(stage['found_by'], 20)}" if stage["found_by"] else None
    if stage["representative"] and not stage["is_representative"]:
        yield f"cluster of {clip(stage['representative'])} at {clip(stage['representative_url'] or 'an unknown URL', 2048)}"
    elif stage["representative"]:
        yield "represents its cluster, or stands alone"


def selected(stage: Stage) -> Iterator[str | None]:
    limits = {name: value for name, value in (stage.get("limits") or {}).items() if name not in ("rule", "label")}
    if stage["rule"] not in (None, stage["reason"]):
        yield f"the rule: {clip(stage['rule'])}"
    yield "its limits: " + clip(", ".join(f"{name} {value}" for name, value in limits.items())) if limits else None
    yield "all rules that would drop it: " + clip(", ".join(stage["rules"])) if stage["rules"] else None


def every_rule(rows: list[dict[str, Any]]) -> Table:
    """What each rule of the selection says of the pair."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("          rule", "says", "column", "value"):
        table.add_column(name, overflow="fold")
    for row in rows:
        value = (
            "missing" if row["column"] and row["value"] is None else "" if row["value"] is None else str(row["value"])
        )
        said = Text(row["state"], STYLES.get(row["state"], "dim")) + Text(
            f" ({clip(row['why'])})" if row["why"] else ""
        )
        table.add_row(
            Text("          " + clip(row["rule"])), said, Text(clip(row["column"] or "")), Text(clip(value, 60))
        )
    return table


def other(stage: Stage) -> Iterator[str | None]:
    """Scores, and shards."""
    if stage.get("similarity_score") is not None:
        yield f"similarity {stage['similarity_score']:.4f}"
    elif stage["dataset"].startswith("scores/"):
        said = {name: value for name, value in stage.items() if name not in account.HEAD and value is not None}
        yield clip(", ".join(f"{name} {value}" for name, value in said.items())) if said else None
    if "shard" in stage:
        yield f"{clip(stage['shard'])}, key {clip(stage['key'])}"
        chosen = stage["text_is_the_samples"]
        yield (
            "its text is the sample's"
            if chosen
            else f"in the sample's json; its text is that of {clip(stage['text_chosen'])}"
        )


def entries(rows: list[dict[str, Any]]) -> Table:
    """Matched entries with their counts and probabilities."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("          entry", "text", "source"):
        table.add_column(name, justify="right" if "entry" in name else "left")
    for name in ("matches", "t", "p = t / max(t, matches)"):
        table.add_column(name, justify="right")
    for row in rows:
        p = "–" if row["p"] is None else chance(row["p"])
        text, source = (Text(clip(row[name] or "–", 80)) for name in ("text", "source"))
        table.add_row(str(row["id"]), text, source, number(row["count"]), number(row["t"]), p)
    return table
