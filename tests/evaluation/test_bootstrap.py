import numpy as np
import pytest

from curate.evaluation import bootstrap
from curate.evaluation.bootstrap import CURATED, NOISE, RAW


def outcomes(rate, seed, n=300):
    return np.random.default_rng(seed).random(n) < rate


def test_an_interval_holds_its_mean_and_shrinks_as_the_binomial_says():
    few, many = outcomes(0.3, 0, 100), outcomes(0.3, 0, 10_000)
    one, other = (bootstrap.interval(v, 2000, 0, "x") for v in (few, many))
    assert one["low"] < one["value"] == few.mean() < one["high"]
    for found, n in ((one, 100), (other, 10_000)):
        expected = 2 * 1.96 * (found["value"] * (1 - found["value"]) / n) ** 0.5
        assert found["high"] - found["low"] == pytest.approx(expected, rel=0.12)


def test_intervals_repeat_and_depend_on_the_seed():
    values = outcomes(0.3, 0)
    assert bootstrap.interval(values, 200, 0, "x") == bootstrap.interval(values, 200, 0, "x")
    assert bootstrap.interval(values, 200, 0, "x") != bootstrap.interval(values, 200, 1, "x")


def test_equal_results_are_within_the_noise():
    same = [outcomes(0.4, 0)]
    found = bootstrap.compare(same, same, 500, 0, "x")
    assert found["verdict"] == NOISE and found["difference"] == found["low"] == found["high"] == 0


def test_the_same_rate_is_within_the_noise_nineteen_times_of_twenty():
    verdicts = [
        bootstrap.compare([outcomes(0.4, 2 * i)], [outcomes(0.4, 2 * i + 1)], 300, 0, "x")["verdict"] for i in range(60)
    ]
    assert verdicts.count(NOISE) >= 52


@pytest.mark.parametrize(("raw", "curated", "verdict"), [(0.2, 0.5, CURATED), (0.5, 0.2, RAW)])
def test_a_planted_difference_is_found(raw, curated, verdict):
    found = bootstrap.compare(
        [outcomes(raw, 0), outcomes(raw, 1)], [outcomes(curated, 2), outcomes(curated, 3)], 500, 0, "x"
    )
    assert found["verdict"] == verdict
    assert found["low"] < found["difference"] < found["high"]
    assert found["difference"] == pytest.approx(found["curated"] - found["raw"], abs=2e-6)
    assert np.mean(found["by_seed"]["raw"]) == pytest.approx(found["raw"], abs=1e-6)


def test_pairing_finds_what_two_single_intervals_would_hide():
    raw = outcomes(0.5, 0, 400)
    curated = raw.copy()
    curated[np.flatnonzero(~raw)[:12]] = True  # right on all that raw is right on, and on 12 items more
    apart = [bootstrap.interval(v, 500, 0, "x") for v in (raw, curated)]
    assert apart[0]["high"] > apart[1]["low"]
    assert bootstrap.compare([raw], [curated], 500, 0, "x")["verdict"] == CURATED


def test_seeds_that_disagree_make_noise_of_a_difference():
    up, down = np.ones(300, bool), np.zeros(300, bool)
    # One seed says +1 on every item, the other -0.2: no number of items makes that sure.
    curated = [up, np.arange(300) % 5 > 0]
    raw = [down, up]
    assert bootstrap.compare(raw, curated, 500, 0, "x")["verdict"] == NOISE
    assert bootstrap.compare(raw[:1], curated[:1], 500, 0, "x")["verdict"] == CURATED
