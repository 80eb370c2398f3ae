"""Hyperbolic space as MERU has it (Desai et al., "Hyperbolic Image-Text Representations", 2023): the hyperboloid of curvature -c.

A point is known by its space part x, shape (..., width); its time part is sqrt(1/c + |x|^2). With the Lorentz product
<x, y> = x.y - x_time y_time:

    lift (exponential map at the origin)   x = sinh(sqrt(c) |v|) / (sqrt(c) |v|) v
    distance                               d(x, y) = arccosh(-c <x, y>) / sqrt(c)
    half aperture of the cone at x         asin(2 K / (sqrt(c) |x|)), K = 0.1
    exterior angle at x, towards y         acos((y_time + x_time c <x, y>) / (|x| sqrt((c <x, y>)^2 - 1)))

The textbook's forms lose all digits where c is small or two points are near: -c <x, y> is 1 and a little more. Here that little,
-c <x, y> - 1 = (c |x - y|^2 - c (x_time - y_time)^2) / 2, is what is computed with, and the numerator of the angle is brought to
c (x_time x.y - |x|^2 y_time), which is the same.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MIN_RADIUS = 0.1
"""K: nearer to the origin than 2 K / sqrt(c) a cone is a half space."""
CURVATURE, IMAGE_SCALE, TEXT_SCALE = "curv", "visual_alpha", "textual_alpha"
"""Names in a checkpoint of the logarithms of c and of what image and text vectors are multiplied by before they are lifted; as MERU's."""
PARAMETERS = (CURVATURE, IMAGE_SCALE, TEXT_SCALE)
_TINY = 1e-12


@dataclass(frozen=True)
class Geometry:
    """What a hyperbolic model has learned of its space."""

    curvature: float
    """c > 0; the space's curvature is -c."""
    image_scale: float
    text_scale: float


def of_model(model: Any) -> Geometry | None:
    """The geometry of a model that has PARAMETERS; None for all others."""
    if not all(hasattr(model, name) for name in PARAMETERS):
        return None
    return Geometry(*(math.exp(float(getattr(model, name).detach())) for name in PARAMETERS))


def in_checkpoint(weights: Path) -> bool:
    """Whether a checkpoint has PARAMETERS; only .safetensors is looked into. A file that is none has none."""
    if weights.suffix != ".safetensors":
        return False
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(weights, "np") as tensors:
            return set(PARAMETERS) <= set(tensors.keys())
    except (SafetensorError, OSError):
        return False


def add_parameters(model: Any, width: int) -> None:
    """Gives a model PARAMETERS as MERU begins with them: c = 1, and vectors scaled by 1 / sqrt(width), so that they lift to lengths
    near 1."""
    import torch

    begin = {CURVATURE: 0.0, IMAGE_SCALE: -math.log(width) / 2, TEXT_SCALE: -math.log(width) / 2}
    for name, value in begin.items():
        model.register_parameter(name, torch.nn.Parameter(torch.tensor(value)))


def lift(v: Any, c: Any) -> Any:
    """Space parts, shape (..., width), of what vectors at the origin are lifted to."""
    import torch

    reach = (c**0.5) * torch.linalg.vector_norm(v, dim=-1, keepdim=True)
    # Far out, sinh overflows float32 at 89; nothing that is trained comes near.
    reach = reach.clamp(min=_TINY, max=80.0)
    return torch.sinh(reach) / reach * v


def time(x: Any, c: Any) -> Any:
    """Time parts, shape (...)."""
    return (1 / c + x.square().sum(-1)) ** 0.5


def beyond_one(x: Any, y: Any, c: Any) -> Any:
    """-c <x, y> - 1, which is 0 for equal points and positive for others; shapes as `all_beyond_one` or elementwise."""
    apart = (x - y).square().sum(-1)
    return _beyond(apart, x, time(x, c), y, time(y, c), c)


def all_beyond_one(x: Any, y: Any, c: Any) -> Any:
    """As `beyond_one`, of all pairs: x of shape (n, width), y of (m, width), shape (n, m)."""
    apart = (x.square().sum(-1)[:, None] + y.square().sum(-1)[None, :] - 2 * x @ y.T).clamp(min=0)
    return _beyond(apart, x[:, None], time(x, c)[:, None], y[None, :], time(y, c)[None, :], c)


def _beyond(apart: Any, x: Any, x_time: Any, y: Any, y_time: Any, c: Any) -> Any:
    times = (x.square().sum(-1) - y.square().sum(-1)) / (x_time + y_time)
    return (c / 2 * (apart - times.square())).clamp(min=_TINY)


def distance(beyond: Any, c: Any) -> Any:
    """Lorentz distance by `beyond_one`: arccosh(1 + b) = log1p(b + sqrt(b (b + 2)))."""
    import torch

    return torch.log1p(beyond + (beyond * (beyond + 2)) ** 0.5) / c**0.5


def half_aperture(x: Any, c: Any) -> Any:
    """Half aperture of the cone at each point, radians, shape (...): pi / 2 nearer to the origin than 2 K / sqrt(c)."""
    import torch

    reach = (c**0.5) * torch.linalg.vector_norm(x, dim=-1)
    return torch.asin((2 * MIN_RADIUS / reach.clamp(min=_TINY)).clamp(max=1 - 1e-7))


def exterior_angle(x: Any, y: Any, c: Any) -> Any:
    """Angle at x between the way on from the origin and the way to y, radians, elementwise, shape (...)."""
    product = (x * y).sum(-1)
    return _angle(product, x.square().sum(-1), time(x, c), time(y, c), beyond_one(x, y, c), c)


def all_exterior_angles(x: Any, y: Any, c: Any) -> Any:
    """As `exterior_angle`, at each x (n, width) towards each y (m, width), shape (n, m)."""
    return _angle(
        x @ y.T, x.square().sum(-1)[:, None], time(x, c)[:, None], time(y, c)[None, :], all_beyond_one(x, y, c), c
    )


def _angle(product: Any, squared: Any, x_time: Any, y_time: Any, beyond: Any, c: Any) -> Any:
    import torch

    over = c * (x_time * product - squared * y_time)
    under = squared.clamp(min=_TINY) ** 0.5 * (beyond * (beyond + 2)) ** 0.5
    # Off the ends, where acos has no slope: a gradient there would be infinite.
    return torch.acos((over / under).clamp(-1 + 1e-7, 1 - 1e-7))
