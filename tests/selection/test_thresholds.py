"""A top fraction as a threshold: the same as sorting, without sorting."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.recipe import Rule
from curate.selection.thresholds import BINS, histogram, ordered, score_of, settle, threshold

SCORES = st.lists(st.floats(-1, 1, width=32), max_size=60)


def over(parts):
    return lambda model, upper: sum(
        (histogram(np.array(p, np.float32), upper) for p in parts), np.zeros(BINS, np.int64)
    )


def by_sorting(scores: list[float], fraction: float) -> float:
    """DataComp's: descending, index int(n * f)."""
    descending = np.sort(np.array(scores, np.float32))[::-1]
    return float(descending[min(int(len(scores) * fraction), len(scores) - 1)])


@given(st.lists(SCORES, min_size=1, max_size=4), st.floats(0, 1))
def test_it_is_the_score_that_sorting_finds_however_the_pool_is_cut(parts, fraction):
    everything = [score for part in parts for score in part]
    if everything:
        assert threshold("clip", fraction, over(parts)) == by_sorting(everything, fraction)
    else:
        assert threshold("clip", fraction, over(parts)) is None


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=2, max_size=40))
def test_the_order_of_scores_is_that_of_their_numbers(scores):
    array = np.array(scores, np.float32)
    numbers = ordered(array)
    assert [float(score_of(int(n))) for n in numbers] == [float(x) for x in array]
    np.testing.assert_array_equal(array[:, None] < array, numbers[:, None] < numbers)


@pytest.mark.parametrize(("fraction", "kept"), [(0.0, 1), (0.3, 4), (0.31, 4), (0.5, 6), (1.0, 10)])
def test_ten_scores_as_datacomp_counts_them(fraction, kept):
    # The threshold is itself kept, so index int(10 * 0.3) = 3 keeps four.
    scores = np.arange(10, dtype=np.float32) / 10
    assert (scores >= np.float32(threshold("clip", fraction, over([scores])))).sum() == kept


def test_rules_are_settled_and_the_stricter_limit_holds():
    scores = over([np.arange(10, dtype=np.float32) / 10])
    rules = (
        Rule(rule="few_words", min=3),
        Rule(rule="low_similarity", model="clip", top_fraction=0.3),
        Rule(rule="low_similarity", model="clip", top_fraction=0.3, min=0.75),
    )
    settled = settle(rules, scores)
    assert settled[0] == rules[0]
    assert [round(limits.min, 6) for limits in settled[1:]] == [0.6, 0.75]
    assert all(limits.top_fraction is None for limits in settled)
    assert settle(rules[1:2], over([[]]))[0].min == -1.0
