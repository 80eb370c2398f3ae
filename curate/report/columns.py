"""Where the values of each column of facts lie, for pairs that were selected and for those that were not, with the thresholds.

Of pairs that compete for the curated set: what was fetched for the raw baseline alone is judged by no rule.

Looks at a sample that does not grow with the pool: parts by the smallest draws, row group by row group up to ROWS rows. Rows lie in
the order of a hash, so the first ones of a part are as good as any.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from curate.draw import draw
from curate.images import generations
from curate.ledger import alive
from curate.parts import zipped
from curate.recipe import Recipe, Rule
from curate.report.distributions import LAYERS, Spread, distribution
from curate.schema import Schema
from curate.selection.columns import ALIGNED, DERIVED, Facts, parse
from curate.selection.resolving import resolve
from curate.selection.rules import SETS, column_of, flat
from curate.store import Dataset

ROWS = 500_000
SHOWN = ("int32", "int64", "float32", "float64", "bool", "string")
"""Types of columns that have something to show."""
OWN = ("uid", "state", "reason")


def columns(workdir: str, recipe: Recipe) -> list[dict[str, Any]]:
    """One account for each dataset with columns to show: `images` and `duplicates` with those that a rule compares, then the tables of
    scores with all that are numbers, truth values or words. Tables of models have an account of their own (`similarity`); lengths of
    vectors, which also stand there, say nothing to a reader."""
    rules = by_column(settled(workdir, recipe))
    asked: dict[str, dict[str, None]] = defaultdict(dict)
    for name in rules:
        place = parse(name)
        if place.dataset in ALIGNED:
            asked[place.dataset][place.column] = None
    for name in (scorer.name for scorer in recipe.score.scorers):
        data = Dataset(workdir, f"scores/{name}")
        if data.manifest() is not None:
            there = _stored(data) - {*OWN}
            mine = [one for one, column in data.schema.columns.items() if column.type in SHOWN and one in there]
            asked[data.name] = dict.fromkeys(mine)
    found = (_account(workdir, recipe.seed, dataset, list(names), rules) for dataset, names in asked.items() if names)
    return [one for one in found if one and any(column["kind"] != "nothing" for column in one["columns"])]


def _stored(data: Dataset) -> set[str]:
    """The columns that a table has: an older one may lack some of its schema."""
    names = data.part_names()
    if not names:
        return set()
    with data.open_part(names[0]) as file:
        return set(file.schema_arrow.names)


def settled(workdir: str, recipe: Recipe) -> list[Rule]:
    """The selection's rules: as select settled them, where it has run (a top fraction is a threshold then)."""
    manifest = Dataset(workdir, "selection").manifest()
    if manifest is None or "rules" not in manifest.extra:
        return list(resolve(recipe.select, recipe.score, recipe.recaption))
    return msgspec.convert(manifest.extra["rules"], list[Rule])


def by_column(rules: Sequence[Rule]) -> dict[str, list[Rule]]:
    """The rules that compare each column, `<dataset>.<column>` as `full` writes it, in the order of the rules."""
    found: dict[str, list[Rule]] = {}
    for rule in flat(rules):
        if rule.rule not in SETS:
            found.setdefault(full(column_of(rule)), []).append(rule)
    return found


def full(name: str) -> str:
    """A column's name in a rule with its dataset: `lang` -> `images.lang`; a score's is its name."""
    place = parse(name)
    return f"{place.dataset.removeprefix('scores/')}.{place.column}"


def _account(
    workdir: str, seed: int, dataset: str, names: Sequence[str], rules: dict[str, list[Rule]]
) -> dict[str, Any] | None:
    """None where a dataset is not there yet, or no sampled row has entered it."""
    data = generations.current(workdir, dataset)
    manifest = data.manifest()
    if manifest is None:
        return None
    short = dataset.removeprefix("scores/")
    spreads = {name: Spread(about(data.schema, dataset, name)) for name in names}
    rows = np.zeros(len(LAYERS), dtype=np.int64)
    for tables in _groups(workdir, dataset, names, seed):
        layers = layers_of(tables)
        inside, facts = _entered(tables), Facts(tables)
        for name, spread in spreads.items():
            spread.add(facts, f"{short}.{name}", inside, layers)
        rows += np.bincount(layers[inside], minlength=len(LAYERS))
        if rows.sum() >= ROWS:
            break
    if not rows.any():
        return None
    return {
        "dataset": dataset, "name": short, "about": data.schema.about,
        "rows": dict(zip(LAYERS, rows.tolist(), strict=True)),
        "decided": Dataset(workdir, "selection").manifest() is not None,
        "columns": [
            distribution(f"{short}.{name}", spread, rules.get(f"{short}.{name}", ())) for name, spread in spreads.items()
        ],
    }  # fmt: skip


def about(known: Schema, dataset: str, name: str) -> str:
    """What a column says of a row."""
    if dataset == "images" and name in DERIVED:
        return DERIVED[name].about
    return known.columns[name].about


def _groups(workdir: str, dataset: str, names: Sequence[str], seed: int) -> Iterator[dict[str, pa.Table]]:
    """Aligned row groups of the dataset, and of what says which rows take part."""
    wanted = {"images": ["state", "curated"], "duplicates": ["state"], "selection": ["state"]}
    short = dataset.removeprefix("scores/")
    stored = [source for name in names for source in parse(f"{short}.{name}").stored]
    wanted[dataset] = list(dict.fromkeys([*wanted.get(dataset, ["state"]), *stored]))
    found = {name: (generations.current(workdir, name), some) for name, some in wanted.items()}
    inputs = {name: one for name, one in found.items() if one[0].manifest() is not None}
    parts = inputs["images"][0].part_names()
    for _, part in sorted(zip(draw(seed, "report parts", parts), parts, strict=True)):
        yield from zipped(part, inputs)


def _entered(tables: dict[str, pa.Table]) -> np.ndarray:
    """Rows that all of the tables but the selection's have kept and that are there for the curated set, bool."""
    kept = [
        alive(table["state"]).to_numpy(zero_copy_only=False) for name, table in tables.items() if name != "selection"
    ]
    return np.logical_and.reduce([*kept, tables["images"]["curated"].to_numpy(zero_copy_only=False)])


def layers_of(tables: dict[str, pa.Table]) -> np.ndarray:
    """The place of each row's layer in LAYERS, int64; before select has run, that of `other`."""
    if "selection" not in tables:
        return np.full(len(tables["images"]), LAYERS.index("other"))
    kept = alive(tables["selection"]["state"]).to_numpy(zero_copy_only=False)
    return np.where(kept, LAYERS.index("selected"), LAYERS.index("other"))
