"""Augmentations whose parameters are drawn once, stored, and replayed bit for bit: a crop, a flip, and RandAugment's operations.

What is drawn is a hash of (seed, key, index); what is done hangs on the parameters and the pixels alone, through Pillow. RandAugment is
Cubuk et al. 2019: a number of operations out of fourteen, each at one magnitude of 31; every one is done (p = 1).
"""

from collections.abc import Callable

import msgspec
from PIL import Image, ImageEnhance, ImageOps

from curate.draw import draw

LEVELS = 31
"""Magnitudes go from 0 to 30."""
GREY = (128, 128, 128)
"""What moves in from outside."""
RATIO = 4 / 3
"""Crops are at most this elongated."""


class Augmentation(msgspec.Struct, frozen=True, array_like=True):
    """How one view of an image is made. As JSON: `[[left, top, right, bottom], flip, [[operation, value], ...]]`."""

    box: tuple[float, float, float, float]
    """The crop, relative to the image's sides, in [0, 1]."""
    flip: bool
    """Left to right, after the crop."""
    operations: tuple[tuple[str, float], ...]
    """RandAugment's, in order, each with its value: degrees, a factor, a share of the side, bits or a grey level, by its kind."""


Operation = Callable[[Image.Image, float], Image.Image]


def _affine(image: Image.Image, matrix: tuple[float, ...]) -> Image.Image:
    return image.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, fillcolor=GREY)


OPERATIONS: dict[str, tuple[Operation, float, float, bool]] = {
    "autocontrast": (lambda image, _: ImageOps.autocontrast(image), 0, 0, False),
    "equalize": (lambda image, _: ImageOps.equalize(image), 0, 0, False),
    "identity": (lambda image, _: image, 0, 0, False),
    "rotate": (lambda image, v: image.rotate(v, Image.Resampling.BILINEAR, fillcolor=GREY), 0, 30, True),
    "posterize": (lambda image, v: ImageOps.posterize(image, round(v)), 8, 4, False),
    "solarize": (lambda image, v: ImageOps.solarize(image, round(v)), 256, 0, False),
    "color": (lambda image, v: ImageEnhance.Color(image).enhance(1 + v), 0, 0.9, True),
    "contrast": (lambda image, v: ImageEnhance.Contrast(image).enhance(1 + v), 0, 0.9, True),
    "brightness": (lambda image, v: ImageEnhance.Brightness(image).enhance(1 + v), 0, 0.9, True),
    "sharpness": (lambda image, v: ImageEnhance.Sharpness(image).enhance(1 + v), 0, 0.9, True),
    "shear_x": (lambda image, v: _affine(image, (1, v, -v * image.height / 2, 0, 1, 0)), 0, 0.3, True),
    "shear_y": (lambda image, v: _affine(image, (1, 0, 0, v, 1, -v * image.width / 2)), 0, 0.3, True),
    "translate_x": (lambda image, v: _affine(image, (1, 0, v * image.width, 0, 1, 0)), 0, 0.45, True),
    "translate_y": (lambda image, v: _affine(image, (1, 0, 0, 0, 1, v * image.height)), 0, 0.45, True),
}
"""Operation, its value at magnitude 0 and at the highest, and whether chance gives the value a sign."""
NAMES = tuple(OPERATIONS)


def drawn(
    seed: int, key: str, index: int, size: tuple[int, int], *, scale: float, operations: int, magnitude: int
) -> Augmentation:
    """The parameters of an image's view number `index`.

    `size`: the image's (width, height). The crop's area is uniform in [scale, 1] of the image's, its aspect log-uniform in [3/4, 4/3], its
    place uniform; sides that would reach over the image are cut to it. `magnitude`: 0 to 30, of each of `operations` operations.
    """
    chance = iter(_draws(seed, key, index, 5 + 2 * operations))
    width, height = size
    area = width * height * (scale + (1 - scale) * next(chance))
    ratio = RATIO ** (2 * next(chance) - 1)
    w, h = min(1.0, (area * ratio) ** 0.5 / width), min(1.0, (area / ratio) ** 0.5 / height)
    left, top = (1 - w) * next(chance), (1 - h) * next(chance)
    flip = next(chance) < 0.5
    chosen = []
    for _ in range(operations):
        name = NAMES[int(next(chance) * len(NAMES))]
        _, least, most, signed = OPERATIONS[name]
        sign = -1 if signed and next(chance) < 0.5 else 1
        chosen.append((name, sign * (least + (most - least) * magnitude / (LEVELS - 1))))
    return Augmentation((left, top, left + w, top + h), flip, tuple(chosen))


def _draws(seed: int, key: str, index: int, count: int) -> list[float]:
    return draw(seed, "augmentation", [f"{key}:{index}:{number}" for number in range(count)]).tolist()


def replayed(image: Image.Image, how: Augmentation, side: int) -> Image.Image:
    """The view of an RGB image, `side` x `side` pixels, by stored parameters. Raises ValueError for parameters that are none."""
    left, top, right, bottom = how.box
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise ValueError(f"a crop from {left}, {top} to {right}, {bottom} is not inside the image")
    box = (left * image.width, top * image.height, right * image.width, bottom * image.height)
    view = image.resize((side, side), Image.Resampling.BICUBIC, box=box)
    view = ImageOps.mirror(view) if how.flip else view
    for name, value in how.operations:
        if name not in OPERATIONS:
            from curate.hints import nearest

            raise ValueError(f"no operation {name!r}: {nearest(name, NAMES)}")
        view = OPERATIONS[name][0](view, value)
    return view


def read(param_aug: str | bytes) -> list[Augmentation]:
    """The parameters in a `paug.json`'s `param_aug`. Raises ValueError for what is none."""
    try:
        return msgspec.json.decode(param_aug, type=list[Augmentation])
    except msgspec.MsgspecError as error:
        raise ValueError(f"no parameters of augmentations: {error}") from error


def stored(augmentations: list[Augmentation]) -> str:
    """`param_aug` of a `paug.json`: JSON, whose floats come back as they were."""
    return msgspec.json.encode(augmentations).decode()
