"""t by tail share: the golden values, the definition, and what happens without English."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.concepts import thresholds
from curate.recipe import Balance, RecipeError, build

GOLDEN = np.array([1, 2, 3, 4, 100, 1000])


class Counts:
    """Counts by language, as a pool gives them."""

    def __init__(self, **counts: list[int]):
        self._counts = {lang: np.array(values) for lang, values in counts.items()}

    def languages(self) -> list[str]:
        return sorted(self._counts)

    def lists(self) -> list[str]:
        return self.languages()

    def of(self, lang: str) -> np.ndarray:
        return self._counts[lang]


def test_golden_values():
    assert thresholds.tail_share(GOLDEN, 50) == pytest.approx(0.009009, abs=1e-6)
    assert thresholds.t_of_share(GOLDEN, thresholds.tail_share(GOLDEN, 50)) == 4


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=40).filter(any), st.floats(0, 1))
def test_t_is_a_count_and_no_other_count_is_nearer_to_the_share(counts, share):
    found = thresholds.t_of_share(np.array(counts), share)
    ordered = sorted(count for count in counts if count)
    reached = [sum(ordered[: i + 1]) / sum(ordered) for i in range(len(ordered))]
    nearest = min(abs(one - share) for one in reached)
    assert found > 0
    assert any(
        count == found and abs(one - share) <= nearest + 1e-12 for count, one in zip(ordered, reached, strict=True)
    )


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=20), st.integers(0, 50))
def test_entries_that_nothing_matches_change_nothing(counts, zeros):
    padded = np.array(counts + [0] * zeros)
    assert thresholds.tail_share(padded, 20) == thresholds.tail_share(np.array(counts), 20)
    assert thresholds.t_of_share(padded, 0.3) == thresholds.t_of_share(np.array(counts), 0.3)


def test_other_languages_take_the_share_of_english():
    pool = Counts(en=GOLDEN.tolist(), de=[1, 1, 5, 7, 900, 0], fr=[10, 2000])
    found = thresholds.resolve(pool, Balance(t=50, t_of={"fr": 300}))
    assert found.tail_share == pytest.approx(0.009009, abs=1e-6)
    assert found.t == {"en": 50, "fr": 300, "de": 5}  # 1/914, 2/914, 7/914 = .0077, 14/914 = .0153


def test_a_share_can_be_given_and_english_overridden():
    pool = Counts(de=[1, 1, 5, 7, 900])
    assert thresholds.resolve(pool, Balance(t=50, tail_share=1.0)).t == {"de": 900}
    assert thresholds.resolve(pool, Balance(t_of={"de": 3})) == thresholds.Thresholds({"de": 3}, None)
    assert thresholds.resolve(Counts(en=[1]), Balance(t=50, t_of={"en": 7})).t == {"en": 7}


def test_without_english_or_a_share_nothing_is_guessed():
    with pytest.raises(RecipeError, match=r"balance.tail_share: t of de, fr .*balance.t_of"):
        thresholds.resolve(Counts(de=[1], fr=[1]), Balance())


def test_english_without_a_tail_gives_no_share():
    pool = Counts(en=[5, 9], de=[1, 2])
    with pytest.raises(
        RecipeError, match=r"t of de comes from .* every English entry has 5 matches \(balance.t\) or more"
    ):
        thresholds.resolve(pool, Balance(t=5))
    assert thresholds.resolve(pool, Balance(t=6)).tail_share == 5 / 14
    assert thresholds.resolve(pool, Balance(t=5, tail_share=0.3)).t == {"en": 5, "de": 1}
    assert thresholds.resolve(Counts(en=[5, 9]), Balance(t=5)).t == {"en": 5}, "nobody asks for the share"


def test_t_of_a_language_that_was_not_matched_names_the_nearest():
    with pytest.raises(RecipeError, match=r"balance.t_of: no list of 'dee' .*did you mean 'de'"):
        thresholds.resolve(Counts(en=[1, 9], de=[1]), Balance(t=5, t_of={"dee": 500}))


def test_a_pool_without_matches_has_no_thresholds():
    assert thresholds.resolve(Counts(), Balance()).t == {}


@pytest.mark.parametrize("t", [0, -1, 10**18, 2**63, 10**30, 1.5, True])
def test_a_threshold_that_counts_cannot_reach_is_refused_where_it_is_read(t):
    plain = {"name": "t", "extract": {"inputs": ["x"]}, "match": {"languages": ["en", "de"]}, "score": {"models": []}}
    for balance in ({"t": t}, {"t_of": {"de": t}}):
        with pytest.raises(RecipeError, match=r"balance\.t"):
            build(plain | {"balance": balance})
    assert build(plain | {"balance": {"t": 10**18 - 1}}).balance.t == 10**18 - 1


def test_shares_are_those_of_whole_numbers_beyond_what_floats_hold():
    counts = np.array([2**53 + 1, 2**53 + 3, 3, 0])
    assert thresholds.t_of_share(counts, 0.5) == 2**53 + 1
    assert thresholds.t_of_share(counts, 1.0) == 2**53 + 3
    assert thresholds.tail_share(counts, 2**53 + 2) == (2**53 + 4) / (2**54 + 7)
    assert thresholds.tail_share(counts, 2**53 + 1) == 3 / (2**54 + 7)
