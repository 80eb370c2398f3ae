"""The text policy: odds as the methods say, the alt text where there is no caption, ALIP's published figures."""

import numpy as np
import pytest

from curate import recipe
from curate.shards.policies import Alip, Alt, Best, Odds, Uniform, choice
from curate.shards.weighing import Means, alip

CAPTIONS = {"rewritten": ["one", "two", "three"], "seen": ["four"]}
FACTS = {
    "a": {"of": "rewritten", "alt_similarity": 0.2, "similarities": [0.1, 0.3, 0.3], "agreements": [0.2, 0.6, 0.2]},
    "b": {"of": "seen", "alt_similarity": 0.2, "similarities": [0.25], "agreements": [0.5]},
}


def odds(policy, captions=CAPTIONS, facts=FACTS, means=None):
    found = choice(policy, "alt text", captions, facts, means)
    assert sum(found.odds) == pytest.approx(1) and len(found.texts) == len(found.sources) == len(found.odds)
    return dict(zip(found.texts, found.odds, strict=True))


def test_uniform_is_uniform_over_the_alt_text_and_every_caption():
    assert odds(Uniform()) == pytest.approx(dict.fromkeys(("alt text", "one", "two", "three", "four"), 0.2))


def test_odds_are_by_source_and_shared_by_its_captions():
    assert odds(Odds(odds={"alt": 0.5, "rewritten": 0.3, "seen": 0.2})) == pytest.approx(
        {"alt text": 0.5, "one": 0.1, "two": 0.1, "three": 0.1, "four": 0.2}
    )
    # What a captioner without a caption would have had goes to the others, as they share among themselves.
    assert odds(Odds(odds={"alt": 1, "seen": 1, "rewritten": 2}), {"seen": ["four"]}) == {"alt text": 0.5, "four": 0.5}


@pytest.mark.parametrize("policy", [Alt(), Uniform(), Odds(odds={"alt": 0, "seen": 1}), Best(by=("a",)), Alip(by="a")])
def test_a_pair_without_captions_has_its_alt_text(policy):
    assert odds(policy, {}, {}, Means(0, 0, 0)) == {"alt text": 1.0}


def test_the_best_is_the_most_similar_and_the_alt_text_takes_part():
    assert odds(Best(by=("a", "b"))) == {"two": 1.0}
    assert odds(Best(by=("b",)), {"seen": ["four"]}, {"b": FACTS["b"]}) == {"four": 1.0}
    weak = {"b": FACTS["b"] | {"alt_similarity": 0.26}}
    assert odds(Best(by=("b",)), {"seen": ["four"]}, weak) == {"alt text": 1.0}


def test_alip_weights_are_the_published_formula():
    weights = alip(np.array([0.2, 0.6]), np.array([0.1, 0.1]), np.array([0.3, 0.3]), Means(0.4, 0.25, 0.25))
    assert weights.sample == pytest.approx([0.6703, 1], abs=5e-5)
    assert weights.alt == pytest.approx([0.7408, 1], abs=5e-5)
    assert weights.caption == pytest.approx([1.1052, 1], abs=5e-5)


def test_alip_gives_a_caption_that_agrees_its_even_share_and_another_what_it_is_worth():
    facts = {"b": FACTS["b"] | {"agreements": [0.2], "alt_similarity": 0.1, "similarities": [0.3]}}
    found = odds(Alip(by="b"), {"seen": ["four"]}, facts, Means(0.4, 0.25, 0.25))
    assert found["four"] == pytest.approx(1.1052 / (1.1052 + 0.7408), abs=1e-4)
    assert odds(Alip(by="b"), {"seen": ["four"]}, {"b": FACTS["b"]}, Means(0.4, 0.25, 0.25)) == {
        "alt text": 0.5,
        "four": 0.5,
    }


BACKEND = {"backend": "openai", "endpoint": "http://127.0.0.1:1/v1", "model": "m"}
SEEN = {"captioner": "describe", "backend": "openai", "name": "seen"}


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ({"policy": "uniform", "of": ["sean"]}, "no captioner is called 'sean': did you mean 'seen'"),
        ({"policy": "best", "by": ["seen"]}, "no captioner consistency is called 'seen'"),
        ({"policy": "odds", "odds": {"seen": 1}}, "`alt` is missing"),
        ({"policy": "odds", "odds": {"alt": 0}}, "all are 0"),
        ({"policy": "unifrom"}, "did you mean 'uniform'"),
    ],
)
def test_a_policy_that_cannot_be_is_said_when_the_recipe_is_read(policy, message):
    plain = {"name": "t", "extract": {"inputs": ["x"]}, "recaption": {"backends": [BACKEND], "captioners": [SEEN]}}
    with pytest.raises(recipe.RecipeError, match=message):
        recipe.build(plain | {"shard": {"captions": policy}})
