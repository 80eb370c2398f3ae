"""Counts merge: however a pool is cut, the sum is that of the whole; a pool that was added can be taken off again."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate import schema
from curate.concepts import counting, thresholds
from curate.concepts.counting import CountError, Pool, Tally
from curate.recipe import Balance
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


def as_triples(pool: Pool) -> list[tuple[str, int, int]]:
    found = []
    for lang in pool.languages():
        counts = pool.of(lang)
        found += [(lang, int(entry), int(counts[entry])) for entry in np.flatnonzero(counts)]
    return found


def test_merged_pools_are_the_recount_of_both_and_removing_one_gives_the_other(tmp_path):
    chance = np.random.default_rng(0)

    def crawl(n: int, entries: int) -> list[dict]:
        return [
            {"state": str(chance.choice(["kept", "kept", "dropped"])), "lang": str(chance.choice(["en", "de"])),
             "entries": sorted(chance.choice(entries, chance.integers(1, 5), replace=False).tolist())}
            for _ in range(n)
        ]  # fmt: skip

    old, new = crawl(500, 50), crawl(300, 90)
    a, b = dataset(tmp_path / "a", old), dataset(tmp_path / "b", new)
    assert as_triples(Pool((a,))) == recount(old)
    assert as_triples(Pool((a, b))) == recount(old + new) == as_triples(Pool((dataset(tmp_path / "ab", old, new),)))
    assert as_triples(Pool((a, b), (b,))) == recount(old)
    assert as_triples(Pool((dataset(tmp_path / "abc", old, new),), (a,))) == recount(new)


def test_more_than_there_is_cannot_be_removed(tmp_path):
    row = {"state": "kept", "lang": "en", "entries": [3]}
    one, two = dataset(tmp_path / "one", [row]), dataset(tmp_path / "two", [row, row])
    with pytest.raises(CountError, match=r"entry 3 of 'en' has 1 matches, and 2 are to be removed"):
        Pool((one,), (two,)).of("en")


def test_what_was_never_added_is_refused_before_any_language_is_asked_for(tmp_path):
    english, german = ([{"state": "kept", "lang": lang, "entries": [3]}] for lang in ("en", "de"))
    one, other = dataset(tmp_path / "one", english), dataset(tmp_path / "other", german)
    with pytest.raises(CountError, match=r"entry 3 of 'de' has 0 matches, and 1 are to be removed"):
        Pool((one,), (other,)).check()


def test_a_language_that_was_removed_whole_is_no_language_of_the_pool(tmp_path):
    english, german = ([{"state": "kept", "lang": lang, "entries": [3]}] for lang in ("en", "de"))
    both, gone = dataset(tmp_path / "both", english, german), dataset(tmp_path / "gone", german)
    pool = Pool((both,), (gone,))
    pool.check()
    assert pool.languages() == ["en"] and not pool.of("de").any()
    assert thresholds.resolve(pool, Balance(t=2)) == thresholds.Thresholds({"en": 2}, None)


def test_pools_matched_by_other_rules_or_lists_do_not_go_together(tmp_path):
    one = dataset(tmp_path / "one", [], matched={"rule": "metaclip1", "metadata/en": "aa"})
    Pool((one, dataset(tmp_path / "same", [], matched={"rule": "metaclip1", "metadata/de": "cc"}))).check()
    for other in ({"rule": "metaclip2", "metadata/en": "aa"}, {"rule": "metaclip1", "metadata/en": "bb"}):
        with pytest.raises(CountError, match=r"run the stage match on .*two"):
            Pool(
                (
                    one,
                    dataset(
                        tmp_path / f"two{len(other['rule'])}{other['metadata/en']}{other['rule']}", [], matched=other
                    ),
                )
            ).check()


def test_a_language_is_read_from_its_own_row_group(tmp_path):
    rows = [{"state": "kept", "lang": lang, "entries": [i]} for i, lang in enumerate(["fr", "de", "en", "de"])]
    counts = dataset(tmp_path, rows)
    places = counts.require().extra["languages"]
    assert {lang: place["matches"] for lang, place in places.items()} == {"de": 2, "en": 1, "fr": 1}
    assert counting.of_language(counts, "de").tolist() == [0, 1, 0, 1]
    assert counting.of_language(counts, "xx").tolist() == []


def test_a_merged_pool_is_a_dataset_that_counts_in_its_place(tmp_path):
    row = {"state": "kept", "lang": "en", "entries": [0, 3]}
    other = {"state": "kept", "lang": "de", "entries": [1]}
    a, b = dataset(tmp_path / "a", [row, row]), dataset(tmp_path / "b", [row, other])
    both = counting.merge(Pool((a, b)), Dataset(str(tmp_path / "sum"), "counts"))
    assert both.extra["languages"]["en"]["matches"] == 6 and both.extra["matched"] == {"rule": "metaclip1"}
    target = Dataset(str(tmp_path / "sum"), "counts")
    assert as_triples(Pool((target,))) == recount([row, row, row, other])
    counting.merge(Pool((target,), (b,)), Dataset(str(tmp_path / "less"), "counts"))
    assert as_triples(Pool((Dataset(str(tmp_path / "less"), "counts"),))) == recount([row, row])
    assert counting.merge(Pool((b, a)), target) == both, "the same pools again are done already, in whatever order"
    with pytest.raises(CountError, match="holds the counts of other workdirs"):
        counting.merge(Pool((a,)), target)
