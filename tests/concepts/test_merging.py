"""Pools merge by addition: the sum is the recount of all, what was added can be taken off again, and nothing counts twice."""

import numpy as np
import pytest

from curate.concepts import counting, merging, thresholds
from curate.concepts.counting import CountError
from curate.concepts.merging import Pool
from curate.recipe import Balance
from curate.store import Dataset, Plan
from tests.concepts.test_counting import dataset, recount


def kept(lang: str, *entries: int) -> dict:
    return {"state": "kept", "lang": lang, "entries": list(entries)}


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


def test_a_merged_pool_is_a_dataset_that_counts_in_its_place(tmp_path):
    row = {"state": "kept", "lang": "en", "entries": [0, 3]}
    other = {"state": "kept", "lang": "de", "entries": [1]}
    a, b = dataset(tmp_path / "a", [row, row]), dataset(tmp_path / "b", [row, other])
    both = merging.merge(Pool((a, b)), Dataset(str(tmp_path / "sum"), "counts"))
    assert both.extra["languages"]["en"]["matches"] == 6 and both.extra["matched"] == {"rule": "metaclip1"}
    target = Dataset(str(tmp_path / "sum"), "counts")
    assert as_triples(Pool((target,))) == recount([row, row, row, other])
    merging.merge(Pool((target,), (b,)), Dataset(str(tmp_path / "less"), "counts"))
    assert as_triples(Pool((Dataset(str(tmp_path / "less"), "counts"),))) == recount([row, row])
    assert merging.merge(Pool((b, a)), target) == both, "the same pools again are done already, in whatever order"
    with pytest.raises(CountError, match="holds the counts of other workdirs"):
        merging.merge(Pool((a,)), target)


def test_lists_are_compared_with_all_pools_and_not_with_the_first_alone(tmp_path):
    pools = [
        dataset(tmp_path / str(i), [], matched={"rule": "metaclip1"} | lists)
        for i, lists in enumerate(({"metadata/en": "aa"}, {"metadata/de": "cc"}, {"metadata/de": "dd"}))
    ]
    Pool(tuple(pools[:2])).check()
    for pool in (Pool(tuple(pools)), Pool(tuple(pools[:2]), (pools[2],))):
        with pytest.raises(CountError, match=r"2/counts: its metadata/de is 'dd', that of .*1/counts is 'cc'"):
            pool.check()


def test_a_pool_that_is_named_twice_is_refused(tmp_path):
    a, b = dataset(tmp_path / "a", [kept("en", 0)]), dataset(tmp_path / "b", [kept("en", 1)])
    for pool in (Pool((a, a)), Pool((a, b, b))):
        with pytest.raises(CountError, match=r"one pool would be added 2 times: they are in .*; name each pool once"):
            pool.check()
    with pytest.raises(CountError, match="removed 2 times"):
        Pool((dataset(tmp_path / "ab", [kept("en", 0), kept("en", 1)]),), (b, b)).check()


def test_a_sum_knows_what_is_in_it(tmp_path):
    a, b, c = (dataset(tmp_path / str(i), [kept("en", *range(i + 1))]) for i in range(3))

    def merged(name: str, added: tuple, removed: tuple = ()) -> Dataset:
        merging.merge(Pool(added, removed), Dataset(str(tmp_path / name), "counts"))
        return Dataset(str(tmp_path / name), "counts")

    both = merged("both", (a, b))
    assert merging.made_of(both) == {a.fingerprint: 1, b.fingerprint: 1}
    with pytest.raises(CountError, match=r"added 2 times: they are in .*both and .*1; name each"):
        Pool((both, b)).check()
    all_ = merged("all", (both, c))
    with pytest.raises(CountError, match="added 2 times"):
        Pool((all_, both)).check()
    less = merged("less", (all_,), (both,))
    assert merging.made_of(less) == {c.fingerprint: 1} and as_triples(Pool((less,))) == recount([kept("en", 0, 1, 2)])
    Pool((less, a, b)).check()
    # What was matched with others in one workdir can go too, once, and come back.
    part = merged("part", (dataset(tmp_path / "whole", [kept("en", 0), kept("en", 0, 1)]),), (a,))
    assert as_triples(Pool((part,))) == [("en", 0, 1), ("en", 1, 1)]
    Pool((part, a)).check()
    with pytest.raises(CountError, match="removed 2 times"):
        Pool((part,), (a,)).check()


def test_counts_are_exact_where_floats_are_not(tmp_path):
    counts = {}
    for name, number in (("a", 2**53), ("b", 1), ("c", 2**31)):
        target, plan = (
            Dataset(str(tmp_path / name), "counts"),
            Plan(dataset="counts", stage="match", settings={}, inputs={}, parts=("part-00000",)),
        )
        target.begin(plan)
        counting.write(counting.rows_of("en", np.array([0, number, 3])), target, plan, "part-00000")
        places = counting.placed(target, plan.parts)
        assert places["en"]["matches"] == number + 3
        target.commit(plan, extra={"languages": places, "matched": {"rule": "metaclip1"}})
        counts[name] = target
    pool = Pool((counts["a"], counts["b"], counts["c"]))
    assert pool.of("en").tolist() == [0, 2**53 + 1 + 2**31, 9]
    total = Dataset(str(tmp_path / "sum"), "counts")
    assert merging.merge(pool, total).extra["languages"]["en"]["matches"] == 2**53 + 2**31 + 10
    assert Pool((total,), (counts["a"], counts["c"])).of("en").tolist() == [0, 1, 3]


def test_pools_without_a_match_add_up_to_nothing_and_add_nothing(tmp_path):
    empty, nothing = (
        dataset(tmp_path / "empty", []),
        dataset(tmp_path / "nothing", [], matched={"rule": "metaclip1", "metadata/en": "aa"}),
    )
    done = merging.merge(Pool((empty, nothing)), Dataset(str(tmp_path / "sum"), "counts"))
    assert (done.extra["languages"], done.parts) == ({}, ())
    some, total = dataset(tmp_path / "some", [kept("en", 2)]), Dataset(str(tmp_path / "sum"), "counts")
    assert as_triples(Pool((some, total))) == as_triples(Pool((total, some))) == [("en", 2, 1)]
    gone = merging.merge(Pool((some,), (some,)), Dataset(str(tmp_path / "gone"), "counts"))
    assert gone.extra["languages"] == {} and gone.extra["pools"] == {}


def test_a_workdirs_own_counts_are_not_written_over(tmp_path):
    own = dataset(tmp_path / "own", [kept("en", 0)])
    plan = Plan(dataset="matches", stage="match", settings={}, inputs={}, parts=())
    matches = Dataset(str(tmp_path / "own"), "matches")
    matches.begin(plan)
    matches.commit(plan)
    with pytest.raises(CountError, match=r"own has matches, and the counts there belong to them; give a folder"):
        merging.merge(Pool((own,)), Dataset(str(tmp_path / "own"), "counts"))
