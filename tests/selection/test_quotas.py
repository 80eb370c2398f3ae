"""Quotas: who chooses among whom, by what, and where the answer goes."""

import numpy as np
import pyarrow as pa

from curate.draw import draw
from curate.recipe import Rule
from curate.selection.quotas import OVER, candidates, over_of, places
from curate.selection.selecting import select
from tests.selection.pool import rules, tables

ROWS = [
    {"text.words": 6}, {"text.words": 1}, {"text.words": 9, "curated": False}, {"duplicate": "dropped"}, {"format": None},
    {"format": "png", "clip.similarity_score": 0.9}, {"format": "png", "clip.similarity_score": None}, {"lang": "de"},
]  # fmt: skip
LONG = Rule(rule="threshold", column="text.words", min=3)


def quota(**limits) -> Rule:
    return Rule(**({"rule": "quota", "column": "images.format", "at_most": 1} | limits))


def test_only_rows_that_the_rules_before_have_kept_are_counted():
    found = rules(LONG, quota(), Rule(rule="low_similarity", min=0.99))
    assert places(found) == [1]
    out = candidates(1, found, tables(ROWS), seed=3)
    assert out["row"].to_pylist() == [0, 5, 6, 7]
    assert out["key"].to_pylist() == ["jpeg", "png", "png", "jpeg"]
    assert set(out["best"].to_pylist()) == {0}
    assert out["chance"].to_pylist() == draw(3, "quota", out["uid"].to_pylist()).tolist()


def test_the_greatest_of_best_by_come_first_and_missing_ones_last():
    values = [0.1, -0.5, None, 0.9, 0.0, float("nan"), -0.0]
    given = tables([{"clip.similarity_score": value} for value in values])
    best = candidates(0, rules(quota(best_by="clip.similarity_score")), given, 0)["best"].to_numpy()
    assert np.argsort(best, kind="stable").tolist() == [3, 0, 4, 6, 1, 2, 5]
    words = tables([{"text.words": value} for value in (5, -7, 2**31 - 1, 0)])
    best = candidates(0, rules(quota(best_by="text.words")), words, 0)["best"].to_numpy()
    assert np.argsort(best).tolist() == [2, 0, 3, 1]


def test_a_quota_may_hold_for_some_rows_alone():
    out = candidates(0, rules(quota(where={"lang": "de"})), tables(ROWS), 0)
    assert out["row"].to_pylist() == [7]


def test_what_is_too_many_goes_to_its_row_group():
    over = pa.table({"place": [1, 2, 1, 1], "row": [0, 4, 7, 12]}, schema=OVER)
    found = over_of(over, begin=4, rows=8)
    assert {place: np.flatnonzero(flags).tolist() for place, flags in found.items()} == {1: [3], 2: [0]}
    assert over_of(None, 0, 3) == {}


def test_rows_that_are_too_many_are_dropped_by_the_quota_and_those_without_a_value_for_that():
    found = rules(LONG, quota())
    out = select(tables(ROWS), found, over={1: np.arange(len(ROWS)) == 7}, why="all")
    assert out["reason"].to_pylist() == [None, "threshold", "baseline_only", None, "missing", None, None, "quota"]
    assert out["rule"].to_pylist()[-1] == "at most 1 of each images.format"
    assert out["rules"].to_pylist()[-1] == ["at most 1 of each images.format"]
