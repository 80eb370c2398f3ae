"""A top fraction as a threshold: the same as sorting, without sorting, for every type of number and within groups."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.recipe import Branch, RecipeError, Rule
from curate.selection import thresholds
from curate.selection.columns import Facts
from curate.selection.judging import judge
from curate.selection.thresholds import counted, ordered, settle, value_of

TYPES = {
    "float32": (st.floats(-1, 1, width=32), pa.float32()),
    "float64": (st.floats(-1e300, 1e300), pa.float64()),
    "int32": (st.integers(-(2**31), 2**31 - 1), pa.int32()),
    "int64": (st.integers(-(2**53), 2**53), pa.int64()),
    "bool": (st.booleans(), pa.bool_()),
}


def rule(**limits) -> Rule:
    return Rule(**({"rule": "top_fraction", "column": "x.score", "label": "top"} | limits))


def table(values, kind=pa.float32(), groups=None) -> dict[str, pa.Table]:  # noqa: B008
    groups = groups or ["en"] * len(values)
    images = {"text": ["a"] * len(values), "lang": pa.array(groups, pa.string())}
    return {"images": pa.table(images), "scores/x": pa.table({"score": pa.array(values, kind)})}


def over(parts: list[dict[str, pa.Table]], rules):
    """Histograms of a pool that is cut into parts."""

    def histograms(step, known):
        total: dict = {}
        for part in parts:
            rows = np.ones(len(part["images"]), dtype=bool)
            for place, counts in counted(rules, Facts(part), rows, step, known).items():
                total[place] = total.get(place, 0) + counts
        return total

    return histograms


def settled(parts, *rules):
    kinds = {place: Facts(parts[0]).numbers("x.score").values.dtype for place in thresholds.fractions(rules)}
    return settle(rules, kinds, over(parts, rules))


def by_sorting(values: list, fraction: float) -> float:
    """DataComp's: descending, index int(n * f)."""
    return float(sorted(values, reverse=True)[min(int(len(values) * fraction), len(values) - 1)])


@pytest.mark.parametrize("name", TYPES)
@settings(deadline=None, max_examples=60)
@given(st.data(), st.floats(0, 1))
def test_it_is_the_value_that_sorting_finds_however_the_pool_is_cut(name, data, fraction):
    values, kind = TYPES[name]
    cut = data.draw(st.lists(st.lists(st.none() | values, max_size=30), min_size=1, max_size=4))
    everything = [value for part in cut for value in part if value is not None]
    (one,) = settled([table(part, kind) for part in cut], rule(top_fraction=fraction))
    assert one.top_fraction is None
    assert one.min == (by_sorting(everything, fraction) if everything else -1.0)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(width=32, allow_nan=False), min_size=2, max_size=40))
def test_the_order_of_floats_is_that_of_their_numbers(scores):
    for kind in (np.float32, np.float64):
        array = np.array(scores, kind)
        numbers = ordered(array)
        assert [value_of(int(n), array.dtype) for n in numbers] == [float(x) for x in array]
        np.testing.assert_array_equal(array[:, None] < array, numbers[:, None] < numbers)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(-(2**53), 2**53), min_size=2, max_size=40))
def test_the_order_of_whole_numbers_is_that_of_their_numbers(values):
    array = np.array(values, np.int64)
    numbers = ordered(array)
    assert [value_of(int(n), array.dtype) for n in numbers] == values
    np.testing.assert_array_equal(array[:, None] < array, numbers[:, None] < numbers)


def test_a_threshold_that_no_setting_can_hold_is_refused():
    with pytest.raises(RecipeError, match="9007199254740993"):
        settled([table([2**53 + 1], pa.int64())], rule(top_fraction=0.5))


@pytest.mark.parametrize(("fraction", "kept"), [(0.0, 1), (0.3, 4), (0.31, 4), (0.5, 6), (1.0, 10)])
def test_ten_scores_as_datacomp_counts_them(fraction, kept):
    # The threshold is itself kept, so index int(10 * 0.3) = 3 keeps four.
    rows = table(list(np.arange(10, dtype=np.float32) / 10))
    (one,) = settled([rows], rule(top_fraction=fraction))
    assert (judge(one, Facts(rows)).codes == 0).sum() == kept


def test_rules_are_settled_and_the_stricter_limit_holds():
    rows = [table(list(np.arange(10, dtype=np.float32) / 10))]
    rules = (Rule(rule="few_words", min=3), rule(top_fraction=0.3), rule(top_fraction=0.3, min=0.75))
    found = settled(rows, *rules)
    assert found[0] == rules[0]
    assert [round(one.min, 6) for one in found[1:]] == [0.6, 0.75]


def test_a_fraction_in_a_branch_is_settled_there():
    rows = [table(list(np.arange(10, dtype=np.float32) / 10))]
    inner = Branch(rules=(Rule(rule="few_words", min=3), rule(top_fraction=0.3)))
    deep = Rule(rule="not", branches=(Branch(rules=(Rule(rule="any", branches=(inner,)), rule(top_fraction=0.5))),))
    found = settled(rows, Rule(rule="any", branches=(inner, inner)), rule(top_fraction=0.1), deep)
    assert [round(branch.rules[1].min, 6) for branch in found[0].branches] == [0.6, 0.6]
    assert round(found[1].min, 6) == 0.8
    below = found[2].branches[0].rules
    assert round(below[0].branches[0].rules[1].min, 6) == 0.6 and round(below[1].min, 6) == 0.4


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from(["en", "de", "", None]), st.floats(-1, 1, width=32)), max_size=60),
    st.floats(0, 1),
)
def test_within_groups_each_has_its_own_threshold(rows, fraction):
    languages, values = [one for one, _ in rows], [value for _, value in rows]
    cut = [table(values[i::2], groups=languages[i::2]) for i in range(2)]
    (one,) = settled(cut, rule(top_fraction=fraction, per="lang", top_fraction_of={"de": 0.1}))
    for name in {lang or "" for lang in languages}:
        mine = [value for lang, value in rows if (lang or "") == name]
        assert one.min_of[name] == by_sorting(mine, 0.1 if name == "de" else fraction)
    kept = judge(one, Facts(table(values, groups=languages))).codes == 0
    assert kept.tolist() == [value >= one.min_of[lang or ""] for lang, value in rows]


def test_a_group_without_a_fraction_is_kept_whole():
    rows = table([0.1, 0.2, 0.3, 0.4], groups=["en", "en", "de", "de"])
    (one,) = settled([rows], rule(per="lang", top_fraction_of={"de": 0.0}))
    assert judge(one, Facts(rows)).codes.tolist() == [0, 0, 1, 0]


def test_only_rows_that_the_rule_holds_for_are_counted():
    rows = table([0.1, 0.2, 0.3, 0.4], groups=["en", "en", "de", "de"])
    (one,) = settled([rows], rule(top_fraction=0.5, where={"lang": "en"}))
    assert round(one.min, 6) == 0.1
    assert judge(one, Facts(rows)).codes.tolist() == [0, 0, 0, 0]


def test_more_groups_than_counts_are_kept_of_are_refused(monkeypatch):
    many = [f"g{i}" for i in range(thresholds.MOST_GROUPS + 1)]
    limits = rule(top_fraction=0.5, per="lang")
    with pytest.raises(RecipeError, match="lang has more than 256 values"):
        counted([limits], Facts(table([0.5] * len(many), groups=many)), np.ones(len(many), bool), 0, {})
    # Each part may have few, and all of them many.
    parts = [table([0.5] * 2, groups=many[i : i + 2]) for i in range(0, len(many) - 1, 2)] + [
        table([0.5], groups=["z"])
    ]
    with pytest.raises(RecipeError, match="lang has more than 256 values"):
        settled(parts, limits)
