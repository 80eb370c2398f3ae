"""Augmentations are drawn by hash, survive their way through JSON, and replay bit for bit."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from curate.images import augmenting
from curate.images.augmenting import OPERATIONS, Augmentation, drawn, read, replayed, stored


def picture(size=(90, 60)) -> Image.Image:
    chance = np.random.default_rng(1)
    blocks = chance.integers(0, 256, (6, 9, 3), dtype=np.uint8)
    return Image.fromarray(blocks).resize(size, Image.Resampling.BICUBIC)


def many(count=400, **more):
    how = {"scale": 0.08, "operations": 2, "magnitude": 9} | more
    return [drawn(0, "key", index, (90, 60), **how) for index in range(count)]


def test_what_is_stored_replays_bit_for_bit():
    image, plans = picture(), many(60)
    assert read(stored(plans)) == plans
    first = [replayed(image, how, 32).tobytes() for how in plans]
    assert [replayed(image.copy(), how, 32).tobytes() for how in read(stored(plans))] == first
    assert len(set(first)) > 55


def test_draws_are_of_the_key_and_index_alone_and_spread_as_they_should():
    plans = many()
    assert plans[7] == drawn(0, "key", 7, (90, 60), scale=0.08, operations=2, magnitude=9)
    assert plans[7] != drawn(1, "key", 7, (90, 60), scale=0.08, operations=2, magnitude=9)
    areas = np.array([(r - left) * (b - t) for left, t, r, b in (how.box for how in plans)])
    assert 0.07 < areas.min() < 0.12 and areas.max() <= 1 and 0.45 < areas.mean() < 0.6
    ratios = np.array([(r - left) * 90 / ((b - t) * 60) for left, t, r, b in (how.box for how in plans)])
    small = areas < 0.4
    assert (ratios[small] > 0.749).all() and (ratios[small] < 1.334).all()
    assert 0.4 < np.mean([how.flip for how in plans]) < 0.6
    names = [name for how in plans for name, _ in how.operations]
    assert set(names) == set(OPERATIONS) and all(len(how.operations) == 2 for how in plans)
    signs = [value > 0 for how in plans for name, value in how.operations if name == "rotate"]
    assert any(signs) and not all(signs)


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_grows_with_its_magnitude(name):
    image = picture()
    function, least, most, _ = OPERATIONS[name]
    changes = [
        np.abs(np.asarray(function(image, least + (most - least) * level), int) - np.asarray(image, int)).mean()
        for level in (0.25, 1)
    ]
    if name == "identity":
        assert changes == [0, 0]
    elif least == most:
        assert changes[0] == changes[1] > 0 or name == "autocontrast"
    else:
        assert 0 < changes[0] < changes[1]


def test_crop_and_flip_are_pillows_own():
    image = picture()
    how = Augmentation((0.1, 0.2, 0.6, 0.9), True, ())
    expected = ImageOps.mirror(image.resize((20, 20), Image.Resampling.BICUBIC, box=(9, 12, 54, 54)))
    assert replayed(image, how, 20).tobytes() == expected.tobytes()


@pytest.mark.parametrize("text", ["", "[[1]]", '[[[0,0,1,1],false,[["rotate","x"]]]]', "{", "[[[0,0,1],true,[]]]"])
def test_what_is_no_parameters_is_said(text):
    with pytest.raises(ValueError, match="no parameters"):
        read(text)


def test_parameters_that_cannot_be_are_said():
    with pytest.raises(ValueError, match="no operation 'rotat': did you mean 'rotate'"):
        replayed(picture(), Augmentation((0, 0, 1, 1), False, (("rotat", 3),)), 8)
    for box in ((0.5, 0, 0.5, 1), (0, 0, 1.5, 1), (-0.1, 0, 1, 1), (float("nan"), 0, 1, 1)):
        with pytest.raises(ValueError, match="not inside"):
            replayed(picture(), Augmentation(box, False, ()), 8)
    assert augmenting.LEVELS == 31
