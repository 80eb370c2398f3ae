import numpy as np
import pytest
from PIL import Image, ImageFilter

from curate.facts.contract import Picture
from curate.scores.pixels import sharpness
from tests.scores.pictures import photograph


def test_sharpness_is_the_variance_of_the_laplacian():
    luma = np.random.default_rng(0).integers(0, 256, (7, 9))
    image = Image.fromarray(luma.astype(np.uint8)).convert("RGB")
    found = [
        luma[y - 1, x] + luma[y + 1, x] + luma[y, x - 1] + luma[y, x + 1] - 4 * luma[y, x]
        for y in range(1, 6)
        for x in range(1, 8)
    ]
    assert sharpness(Picture(b"", image)) == pytest.approx(np.var(found))


def test_blur_takes_sharpness_away_and_plain_or_tiny_images_have_none():
    image = photograph("coffee.png")
    values = [sharpness(Picture(b"", image.filter(ImageFilter.GaussianBlur(r)))) for r in (0, 1, 2, 4)]
    assert values == sorted(values, reverse=True) and values[0] > 4 * values[2]
    assert [sharpness(Picture(b"", Image.new("RGB", size, "red"))) for size in ((9, 9), (2, 50), (1, 1))] == [0, 0, 0]
    checks = Image.fromarray(np.indices((9, 9)).sum(axis=0).astype(np.uint8) % 2 * 255)
    assert sharpness(Picture(b"", checks.convert("RGB"))) == pytest.approx(
        np.var([1020 * (-1) ** i for i in range(49)])
    )  # no wrap
