"""MERU's loss against its formulas in NumPy, and the bounds of what is learned."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from curate import lorentz
from curate.training import objectives
from curate.training.shards import TrainingError
from tests.test_lorentz import textbook

WIDTH = 6


class Towers(torch.nn.Module):
    """A model whose answers are its inputs."""

    def __init__(self):
        super().__init__()
        self.logit_scale = torch.nn.Parameter(torch.tensor(1.3))
        lorentz.add_parameters(self, WIDTH)

    def encode_image(self, pixels):
        return pixels

    def encode_text(self, ids):
        return ids


def by_hand(image, text, c, image_scale, text_scale, scale) -> float:
    def lift(vectors, by):
        reach = np.sqrt(c) * np.linalg.norm(vectors * by, axis=1, keepdims=True)
        return np.sinh(reach) / reach * vectors * by

    image, text = lift(image, image_scale), lift(text, text_scale)
    logits = -scale * np.array([[textbook(x, y, c)[0] for y in text] for x in image])
    contrastive = np.mean([
        np.mean(np.log(np.exp(logits).sum(axis)) - logits.diagonal()) for axis in (0, 1)
    ])  # fmt: skip
    angles = [textbook(y, x, c)[1:] for x, y in zip(image, text, strict=True)]
    return contrastive + 0.2 * np.mean([max(0, angle - aperture) for angle, aperture in angles])


def test_it_is_merus_loss():
    model, chance = Towers(), np.random.default_rng(3)
    with torch.no_grad():
        model.curv.fill_(math.log(0.6))
        model.visual_alpha.fill_(math.log(0.5))
    image, text = chance.normal(size=(5, WIDTH)), chance.normal(size=(5, WIDTH))
    said = objectives.Hyperbolic(model, 0, 1)(torch.from_numpy(image), torch.from_numpy(text))
    expected = by_hand(image, text, 0.6, 0.5, WIDTH**-0.5, math.exp(1.3))
    assert said.item() == pytest.approx(expected, rel=1e-4)
    said.backward()
    assert all(parameter.grad is not None and torch.isfinite(parameter.grad) for parameter in model.parameters())


def test_what_is_learned_stays_in_its_bounds():
    model = Towers()
    objective = objectives.Hyperbolic(model, 0, 1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(99.0)
    objective.clamp()
    assert [
        p.item() for p in (model.curv, model.visual_alpha, model.textual_alpha, model.logit_scale)
    ] == pytest.approx([math.log(10), 0, 0, math.log(100)])
    with torch.no_grad():
        model.curv.fill_(-99.0)
    objective.clamp()
    assert model.curv.item() == pytest.approx(math.log(0.1))


def test_a_captioner_has_no_hyperbolic_objective():
    with pytest.raises(TrainingError, match="captioner has no hyperbolic objective"):
        objectives.objective("hyperbolic", SimpleNamespace(text_decoder=None), 0, 1)
