"""The hyperboloid against the textbook's forms in float64, its limits, and cases that can be said without computing."""

import math

import numpy as np
import pytest
import torch

from curate import lorentz


def textbook(x, y, c):
    """(distance, exterior angle at x towards y, half aperture at x) by the formulas as they are printed; x, y of shape (width,)."""
    x_time, y_time = math.sqrt(1 / c + x @ x), math.sqrt(1 / c + y @ y)
    product = x @ y - x_time * y_time
    distance = math.acosh(max(-c * product, 1)) / math.sqrt(c)
    over, under = y_time + x_time * c * product, np.linalg.norm(x) * math.sqrt((c * product) ** 2 - 1)
    aperture = math.asin(min(1, 2 * 0.1 / (math.sqrt(c) * np.linalg.norm(x))))
    return distance, math.acos(over / under), aperture


def points(seed, n=5, width=7, scale=1.0):
    return scale * np.random.default_rng(seed).normal(size=(n, width))


def both(x, y, c):
    tensors = torch.from_numpy(x), torch.from_numpy(y)
    return tensors, torch.tensor(c, dtype=torch.float64)


@pytest.mark.parametrize("c", [0.1, 0.7, 1.0, 3.0, 10.0])
def test_it_is_the_textbook(c):
    x, y = points(1), points(2, n=4)
    (tx, ty), tc = both(x, y, c)
    beyond = lorentz.all_beyond_one(tx, ty, tc)
    expected = np.array([[textbook(a, b, c)[:2] for b in y] for a in x])
    assert lorentz.distance(beyond, tc).numpy() == pytest.approx(expected[..., 0], abs=1e-7)
    assert lorentz.all_exterior_angles(tx, ty, tc).numpy() == pytest.approx(expected[..., 1], abs=1e-6)
    assert lorentz.half_aperture(tx, tc).numpy() == pytest.approx([textbook(a, y[0], c)[2] for a in x], abs=1e-6)
    one_by_one = lorentz.distance(lorentz.beyond_one(tx[:4], ty, tc), tc).numpy()
    assert one_by_one == pytest.approx(expected[..., 0].diagonal(), abs=1e-7)
    assert lorentz.exterior_angle(tx[:4], ty, tc).numpy() == pytest.approx(expected[..., 1].diagonal(), abs=1e-6)


@pytest.mark.parametrize("c", [0.3, 1.0, 4.0])
def test_a_lifted_vector_lies_on_the_hyperboloid_as_far_out_as_it_was_long(c):
    v = points(3)
    (tv, _), tc = both(v, v, c)
    x = lorentz.lift(tv, tc)
    time = lorentz.time(x, tc)
    assert (x.square().sum(-1) - time.square()).numpy() == pytest.approx(-1 / c)
    # The exponential map at the origin keeps lengths and directions.
    origin = torch.zeros_like(x)
    assert lorentz.distance(lorentz.beyond_one(x, origin, tc), tc).numpy() == pytest.approx(np.linalg.norm(v, axis=1))
    assert torch.nn.functional.cosine_similarity(x, tv).numpy() == pytest.approx(1)


def test_without_curvature_it_is_flat():
    x, y = points(4), points(5)
    (tx, ty), c = both(x, y, 1e-12)
    assert lorentz.lift(tx, c).numpy() == pytest.approx(x, rel=1e-9)
    assert lorentz.distance(lorentz.beyond_one(tx, ty, c), c).numpy() == pytest.approx(
        np.linalg.norm(x - y, axis=1), rel=1e-3
    )
    # The angle between x and y - x.
    away = y - x
    flat = np.arccos((x * away).sum(1) / np.linalg.norm(x, axis=1) / np.linalg.norm(away, axis=1))
    assert lorentz.exterior_angle(tx, ty, c).numpy() == pytest.approx(flat, abs=1e-3)
    # And every cone is a half space.
    assert lorentz.half_aperture(tx, c).numpy() == pytest.approx(math.pi / 2, abs=1e-3)


def test_angles_that_need_no_computing():
    x = torch.tensor([[0.3, 0.4, 0.0]], dtype=torch.float64)
    c = torch.tensor(1.7, dtype=torch.float64)
    onward, back, beyond = (lorentz.exterior_angle(x, factor * x, c).item() for factor in (2.0, 0.5, -1.0))
    assert onward == pytest.approx(0, abs=1e-3)
    assert back == pytest.approx(math.pi, abs=1e-3) and beyond == pytest.approx(math.pi, abs=1e-3)
    aside = torch.tensor([[-0.4, 0.3, 0.0]], dtype=torch.float64)
    assert lorentz.exterior_angle(x, aside, c).item() == pytest.approx(lorentz.exterior_angle(aside, x, c).item())
    assert lorentz.beyond_one(x, aside, c).item() == lorentz.beyond_one(aside, x, c).item()
    # Angles of a triangle of the origin, x and y: interior ones add up to less than pi, and to pi in the flat.
    inner = sum(math.pi - lorentz.exterior_angle(a, b, c).item() for a, b in ((x, aside), (aside, x))) + math.pi / 2
    assert inner < math.pi - 0.05
    # A cone of radius 2 K / sqrt(c) is a half space; twice as far out it is 30 degrees.
    near = torch.tensor([[0.2 / math.sqrt(1.7)], [0.4 / math.sqrt(1.7)]], dtype=torch.float64)
    assert lorentz.half_aperture(near, c).tolist() == pytest.approx([math.pi / 2, math.pi / 6], abs=1e-3)


def test_near_points_keep_their_digits_in_float32():
    x = torch.tensor([[0.6, 0.8]])
    y = x + torch.tensor([[3e-4, 0.0]])
    c = torch.tensor(1.0)
    exact = textbook(x[0].double().numpy(), y[0].double().numpy(), 1.0)[0]
    assert lorentz.distance(lorentz.beyond_one(x, y, c), c).item() == pytest.approx(exact, rel=1e-3)


def test_gradients_are_finite_where_points_coincide_and_cones_end():
    x = torch.tensor([[0.6, 0.8], [1e-9, 0.0], [0.1, 0.0]], requires_grad=True)
    y = torch.tensor([[0.6, 0.8], [0.5, 0.5], [0.2, 0.0]])
    c = torch.tensor(1.0, requires_grad=True)
    total = (
        lorentz.distance(lorentz.beyond_one(x, y, c), c).sum()
        + lorentz.exterior_angle(x, y, c).sum()
        + lorentz.half_aperture(x, c).sum()
    )
    total.backward()
    assert torch.isfinite(x.grad).all() and torch.isfinite(c.grad)
