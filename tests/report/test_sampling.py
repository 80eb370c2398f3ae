import random
from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from curate.report.sampling import Histogram, Smallest, Top


@given(st.lists(st.sampled_from("abcdefghij"), max_size=300), st.integers(1, 4))
def test_top_counts_are_too_low_by_at_most_the_stated_error(keys, capacity):
    top, truth = Top(capacity=capacity), Counter(keys)
    for start in range(0, len(keys), 7):
        top.add(Counter(keys[start : start + 7]))
    assert len(top.counts) <= 2 * capacity
    for key, count in truth.items():
        assert count - top.error <= top.counts[key] <= count
    assert top.error <= len(keys) / capacity


def test_top_is_exact_below_its_capacity_and_breaks_ties_by_name():
    top = Top(capacity=3)
    top.add({"b": 2, "a": 2, "c": 5})
    assert top.most(2) == [("c", 5), ("a", 2)]
    assert top.error == 0


def test_histogram_counts_everything_and_knows_its_quantiles():
    values = np.linspace(-1, 1, 20_001)
    histogram = Histogram(-1, 1, 200)
    for piece in np.array_split(values, 7):
        histogram.add(piece)
    histogram.add(np.array([-5.0, 5.0]))
    assert histogram.counts.sum() == len(values) + 2
    assert abs(histogram.quantile(0.25) + 0.5) < 0.01
    assert Histogram(0, 1, 2).quantile(0.5) is None


def test_the_smallest_draws_win_in_any_order():
    rows = [(random.Random(i).random(), f"uid-{i:03}", i) for i in range(200)]
    expected = [row for *_, row in sorted(rows)[:5]]
    for seed in range(3):
        shuffled = random.Random(seed).sample(rows, len(rows))
        smallest = Smallest(5)
        for start in range(0, len(rows), 33):
            smallest.offer("group", *zip(*shuffled[start : start + 33], strict=True))
        assert smallest.taken("group") == expected
    assert smallest.taken("another") == []
