"""Rows of the pool to look at, in groups by what became of them: a random sample that does not grow with the pool.

Drawn by hash from the first row group of at most PARTS parts. Parts and rows are ordered by the hash of the image URL,
so these rows are a random sample of the pool, and their pixels stand at the beginning of a part's tars.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import pyarrow as pa

from curate.draw import draw
from curate.images import generations
from curate.ledger import DROPPED, FAILED, KEPT
from curate.parts import zipped
from curate.recipe import Recipe, Rule
from curate.report.columns import settled
from curate.report.sampling import Smallest
from curate.report.untrusted import clip
from curate.selection.columns import Facts, parse
from curate.selection.rules import SETS, column_of
from curate.selection.selecting import BASELINE_ONLY

PARTS = 8
ALONE = 400
"""Rows of the baseline alone: match and balance say why, and they are looked up there one by one."""
CLUSTER, SIMILARITY = "cluster", "similarity_score"
TIED = ("exact", "perceptual", "semantic")
SHOWN = ("uid", "image_uid", "url", "text", "width", "height", "http_status", "error")
READ = {"images": (*SHOWN, "state", "reason"), "duplicates": ("state", "reason", "representative"),
        "selection": ("state", "reason", "rule")}  # fmt: skip
"""What is read of each dataset, besides the columns that rules compare and the similarity."""


def sampled(workdir: str, recipe: Recipe, most: int) -> Smallest:
    """At most `most` rows with the smallest draws in each of the groups `kept`, (dropped, dataset, reason, rule), (failed, status) and
    (cluster, reason, representative). A row is a dict of SHOWN, `score` (similarity), `rule` and `value` (of the rule's column, in words)."""
    sample, alone = Smallest(most), Smallest(ALONE)
    rules = {str(rule.label): rule for rule in settled(workdir, recipe) if rule.rule not in SETS}
    for tables in _tables(workdir, recipe, rules):
        rows = tables["images"].select(SHOWN)
        for name in ("images", "duplicates", "selection"):
            if name in tables:
                rows = rows.append_column(f"{name}_state", tables[name]["state"])
                rows = rows.append_column(f"{name}_reason", tables[name]["reason"])
        similarity = _similarity(recipe)
        if similarity in tables:
            rows = rows.append_column("score", tables[similarity][SIMILARITY])
        if "duplicates" in tables:
            rows = rows.append_column("representative", tables["duplicates"]["representative"])
        if "selection" in tables:
            rows = rows.append_column("rule", tables["selection"]["rule"].cast(pa.string()))
            rows = rows.append_column("value", _values(tables, rules, similarity))
        draws = draw(recipe.seed, "report", rows["uid"].to_pylist())
        for row, chance in zip(rows.to_pylist(), draws, strict=True):
            for group in _groups(row):
                (alone if BASELINE_ONLY in group else sample).offer(group, [chance], [row["uid"]], [row])
    sample.rows |= alone.rows
    return sample


def groups(sample: Smallest, first: str) -> list[Any]:
    """The groups that begin with that word, in alphabetical order."""
    return sorted((group for group in sample.rows if isinstance(group, tuple) and group[0] == first), key=str)


def _similarity(recipe: Recipe) -> str:
    """The table of the first model, whose similarity stands beside each picture; empty without models."""
    return f"scores/{recipe.score.models[0].name}" if recipe.score.models else ""


def _tables(workdir: str, recipe: Recipe, rules: Mapping[str, Rule]) -> Iterator[dict[str, pa.Table]]:
    """The aligned tables of the sampled row groups, by dataset: those that are there."""
    columns: dict[str, dict[str, None]] = defaultdict(dict, {name: dict.fromkeys(some) for name, some in READ.items()})
    for place in (parse(column_of(rule)) for rule in rules.values()):
        columns[place.dataset] |= dict.fromkeys(place.stored)
    if similarity := _similarity(recipe):
        columns[similarity][SIMILARITY] = None
    found = {name: (generations.current(workdir, name), list(some)) for name, some in columns.items()}
    here = {name: one for name, one in found.items() if one[0].manifest()}
    parts = here["images"][0].part_names()
    for _, part in sorted(zip(draw(recipe.seed, "report parts", parts), parts, strict=True))[:PARTS]:
        yield from islice(zipped(part, here), 1)


def _values(tables: Mapping[str, pa.Table], rules: Mapping[str, Rule], similarity: str) -> pa.Array:
    """For each row that a rule of select dropped the value that it compared, in words; null for others, for rules that compare none, and
    for the similarity, which stands there anyway."""
    facts, by = Facts(tables), tables["selection"]["rule"].cast(pa.string()).to_pylist()
    columns = {label: column_of(rules[label]) for label in {*by} & {*rules}}
    shown = {
        label: name
        for label, name in columns.items()
        if parse(name).dataset in tables and parse(name) != (similarity, SIMILARITY)
    }
    values = {label: facts.column(name).to_pylist() for label, name in shown.items()}
    told = [_words(columns[label], values[label][row]) if label in values else None for row, label in enumerate(by)]
    return pa.array(told, pa.string())


def _words(column: str, value: Any) -> str:
    """A column with its value: `text.letters 0.25`."""
    told = f"{value:.3g}" if isinstance(value, float) else "no value" if value is None else str(value).lower()
    return f"{column.removeprefix('images.').replace('_', ' ')} {clip(told, 60)}"


def _groups(row: dict[str, Any]) -> Iterator[Any]:
    if row["images_state"] == FAILED:
        yield FAILED, row["images_reason"]
    if row["images_state"] != KEPT:
        return
    # A pair under two uids is dropped for its own image: no cluster to look at.
    if row.get("duplicates_reason") in TIED and row["representative"] != row["image_uid"]:
        yield CLUSTER, row["duplicates_reason"], row["representative"]
    if row.get("duplicates_reason"):
        yield DROPPED, "duplicates", row["duplicates_reason"], None
    elif row.get("selection_reason"):
        yield DROPPED, "selection", row["selection_reason"], row["rule"]
    elif row.get("selection_state", KEPT) == KEPT:
        yield KEPT
