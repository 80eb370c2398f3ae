"""Choosing tokens: searches against all the texts that there are, draws against probabilities worked out by hand."""

import itertools

import numpy as np
import pytest
import torch

from curate.backends import decoding


class Table:
    """A model of three words and an end, whose log-probabilities hang on the last two words."""

    end, room = 3, 6

    def __init__(self, seed=0):
        self._logits = torch.from_numpy(np.random.default_rng(seed).normal(size=(5, 5, 4), scale=1.5))

    def __call__(self, images, said):
        last = [([4, 4, *one])[-2:] for one in said]
        return torch.stack([self._logits[a, b] for a, b in last]).log_softmax(1)


def best_of_all(table, limit):
    """The text with the highest mean log-probability of all that there are."""
    found = []
    for size in range(limit):
        for words in itertools.product(range(3), repeat=size):
            ended = [*words, 3] if size < limit else words
            score = sum(float(table(None, [ended[:i]])[0, token]) for i, token in enumerate(ended))
            found.append((score / len(ended), list(words)))
    return max(found)


@pytest.mark.parametrize("seed", range(6))
def test_a_wide_search_finds_the_best_text_and_a_narrow_one_none_better(seed):
    table = Table(seed)
    row = decoding.Asked(image=torch.zeros(1), limit=4, done=lambda tokens: False)

    def mean(said):
        ended = said.tokens + ([3] if said.finish == "stop" else [])
        return sum(float(table(None, [ended[:i]])[0, token]) for i, token in enumerate(ended)) / len(ended)

    widest = decoding.searched(table, [row, row], 200)
    assert widest[0] == widest[1]
    score, words = best_of_all(table, 4)
    assert mean(widest[0]) >= score - 1e-12
    if widest[0].finish == "stop":
        assert widest[0].tokens == words
    assert mean(decoding.searched(table, [row], 1)[0]) <= mean(widest[0]) + 1e-12


def test_draws_follow_the_nucleus():
    """Frequencies of 20,000 draws against the renormalised probabilities of the nucleus, worked out by hand."""
    probabilities = torch.tensor([0.05, 0.5, 0.15, 0.3], dtype=torch.float64)
    chance = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000

    def shares(temperature, top_p):
        rows = torch.ones(20_000, dtype=torch.float64)
        tokens = decoding.chosen(probabilities.log().expand(20_000, 4), rows * temperature, rows * top_p, chance)
        return np.bincount(tokens, minlength=4) / 20_000

    assert shares(1.0, 1.0) == pytest.approx([0.05, 0.5, 0.15, 0.3], abs=1e-4)
    assert shares(1.0, 0.9) == pytest.approx([0, 0.5 / 0.95, 0.15 / 0.95, 0.3 / 0.95], abs=1e-4)
    assert shares(1.0, 0.75) == pytest.approx([0, 0.625, 0, 0.375], abs=1e-4)
    assert shares(1.0, 1e-6) == pytest.approx([0, 1, 0, 0])
    # Temperature 0.5 squares: 25, 9, 2.25 and 0.25 of 36.5.
    assert shares(0.5, 1.0) == pytest.approx(np.array([0.25, 25, 2.25, 9]) / 36.5, abs=1e-4)
    # The greatest number below 1 draws the last token that may come, and none behind it.
    last = torch.tensor([1 - 2.0**-53], dtype=torch.float64)
    ones = torch.ones(1, dtype=torch.float64)
    assert decoding.chosen(torch.tensor([[0.5, 0.5, 0.0]]).double().log(), ones, ones, last).tolist() == [1]
