"""Counts: however a pool is cut, they are those of the whole, and each language stands by itself."""

from collections import Counter

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from curate import schema
from curate.concepts import counting
from curate.concepts.counting import Tally
from curate.store import Dataset, Plan

ROW = st.fixed_dictionaries(
    {
        "state": st.sampled_from(["kept", "kept", "dropped", "failed"]),
        "lang": st.sampled_from(["en", "de", None]),
        "entries": st.lists(st.integers(0, 6), unique=True).map(sorted),
    }
)
POOL = st.lists(ROW, max_size=30)


def table(rows: list[dict]) -> pa.Table:
    rows = [row | {"state": "failed"} if row["lang"] is None else row for row in rows]
    kinds = {"state": pa.string(), "lang": pa.string(), "entries": pa.list_(pa.int32())}
    return pa.table({name: pa.array([row[name] for row in rows], kind) for name, kind in kinds.items()})


def recount(rows: list[dict]) -> list[tuple[str, int, int]]:
    kept = (row for row in rows if row["state"] == "kept" and row["lang"])
    whole = Counter((row["lang"], entry) for row in kept for entry in row["entries"])
    return sorted((lang, entry, n) for (lang, entry), n in whole.items())


def triples(rows: pa.Table) -> list[tuple[str, int, int]]:
    return [(row["lang"], row["entry"], row["count"]) for row in rows.to_pylist()]


@settings(deadline=None)
@given(POOL, st.lists(st.integers(0, 30), max_size=4))
def test_counts_do_not_depend_on_how_the_rows_are_cut(rows, cuts):
    tally, edges = Tally(), [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    for i in range(len(edges) - 1):
        tally.add(table(rows).slice(edges[i], edges[i + 1] - edges[i]))
    assert triples(schema.load("counts").hold(tally.table())) == recount(rows)


def dataset(workdir, *pools: list[dict], matched: dict[str, str] | None = None) -> Dataset:
    """A committed `counts` of some rows."""
    target, tally = Dataset(str(workdir), "counts"), Tally()
    for rows in pools:
        tally.add(table(rows))
    places = counting.parts_of(["de", "en", "fr"])
    plan = Plan(dataset="counts", stage="match", settings={}, inputs={}, parts=tuple(sorted(set(places.values()))))
    target.begin(plan)
    whole = tally.table()
    for part in plan.parts:
        mine = pa.array([places[lang] == part for lang in whole["lang"].to_pylist()], pa.bool_())
        shuffled = whole.filter(mine).take(np.random.default_rng(0).permutation(int(mine.true_count)))
        counting.write(shuffled, target, plan, part)
    extra = {"languages": counting.placed(target, plan.parts), "matched": matched or {"rule": "metaclip1"}}
    target.commit(plan, extra=extra)
    return target


def test_a_language_is_read_from_its_own_row_group(tmp_path):
    rows = [{"state": "kept", "lang": lang, "entries": [i]} for i, lang in enumerate(["fr", "de", "en", "de"])]
    counts = dataset(tmp_path, rows)
    places = counts.require().extra["languages"]
    assert {lang: place["matches"] for lang, place in places.items()} == {"de": 2, "en": 1, "fr": 1}
    assert counting.of_language(counts, "de").tolist() == [0, 1, 0, 1]
    assert counting.of_language(counts, "xx").tolist() == []
