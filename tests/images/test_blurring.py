"""Blurred boxes: what is in them is gone, what is outside stays, and nothing else of the file shows it."""

import io

import numpy as np
import pytest
from PIL import Image

from curate.images.blurring import ORIENTATION, blurred, reencoded
from curate.images.decoding import ImageError


def noise(width=200, height=160, seed=0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8))


def packed(image, kind, **how) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **how)
    return out.getvalue()


def pixels(data) -> np.ndarray:
    image = Image.open(io.BytesIO(data)) if isinstance(data, bytes) else data
    return np.asarray(image.convert("RGB"), float)


BOX = [0.25, 0.25, 0.5, 0.5]  # 50..100 x 40..80, longer side 50: margin 5, sigma 5


def test_a_box_and_its_margin_lose_their_detail_and_the_rest_is_untouched():
    before = noise()
    after = pixels(blurred(before, [BOX]))
    assert after[35:85, 45:105].std() < 0.15 * pixels(before)[35:85, 45:105].std()
    outside = np.ones((160, 200), bool)
    outside[35:85, 45:105] = False
    assert np.array_equal(after[outside], pixels(before)[outside])
    assert (after[35:85, 45:105] != pixels(before)[35:85, 45:105]).any(axis=2).mean() > 0.95
    assert np.array_equal(pixels(before), pixels(noise()))  # the picture that was given is not changed


def test_the_gaussian_has_a_tenth_of_the_longer_side():
    step = Image.new("RGB", (200, 160))
    step.paste((255, 255, 255), (75, 0, 200, 160))
    row = pixels(blurred(step, [BOX]))[60, :, 0] / 255
    slope = np.diff(row[45:105])
    centre, places = np.average(np.arange(59), weights=slope), np.arange(59)
    assert np.sqrt(np.average((places - centre) ** 2, weights=slope)) == pytest.approx(5, rel=0.15)


def test_boxes_at_the_border_beyond_it_and_of_no_size():
    before = noise()
    after = pixels(blurred(before, [[0.8, 0.8, 1, 1], [-0.5, -0.5, 0.05, 0.05], [0.5, 0.5, 0.5, 0.5], [2, 2, 3, 3]]))
    assert after[130:, 165:].std() < 0.3 * pixels(before)[130:, 165:].std()
    assert np.array_equal(pixels(blurred(before, [])), pixels(before))


def test_overlapping_boxes_do_not_bring_each_other_back():
    first, second = [0.2, 0.2, 0.5, 0.5], [0.45, 0.45, 0.55, 0.55]  # with margins 34..106 x 26..86 and 88..112 x 70..90
    one, both = (pixels(blurred(noise(), boxes))[71:79, 89:99].std() for boxes in ([first], [first, second]))
    assert both < 1.5 * one  # the second also takes a little from beyond the first


@pytest.mark.parametrize(
    ("kind", "comes"),
    [("JPEG", "JPEG"), ("PNG", "PNG"), ("WEBP", "WEBP"), ("GIF", "PNG"), ("BMP", "PNG"), ("TIFF", "PNG")],
)
def test_the_format_stays_where_loaders_read_it_and_bytes_repeat(kind, comes):
    smooth = noise(20, 16).resize((200, 160))
    data = packed(smooth, kind)
    again = reencoded(data, [BOX])
    assert Image.open(io.BytesIO(again)).format == comes and again == reencoded(data, [BOX])
    far = np.abs(pixels(again)[100:] - pixels(data)[100:])
    assert far.mean() < 4 and (comes != "PNG" or far.max() == 0)


def test_exif_loses_all_but_its_orientation():
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    exif[0x010E] = "Jane Doe at home"
    exif.get_ifd(0x8825)[1] = "N"
    data = packed(noise(), "JPEG", exif=exif, comment=b"Jane", icc_profile=b"profile")
    again = reencoded(data, [BOX])
    kept = Image.open(io.BytesIO(again))
    assert dict(kept.getexif()) == {ORIENTATION: 6} and b"Jane" not in again
    assert kept.info["icc_profile"] == b"profile" and "comment" not in kept.info


def test_a_palette_transparency_and_an_animation_come_out_as_their_first_frame_on_white():
    clear = Image.new("RGBA", (40, 40), (255, 0, 0, 0))
    assert pixels(reencoded(packed(clear, "PNG"), [BOX])).min() == 255
    frames = [noise(40, 40, seed).quantize() for seed in (1, 2)]
    moving = packed(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert getattr(Image.open(io.BytesIO(reencoded(moving, [BOX]))), "n_frames", 1) == 1


def test_what_does_not_decode_is_an_error():
    with pytest.raises(ImageError):
        reencoded(packed(noise(), "JPEG")[:500], [BOX])
    with pytest.raises(ImageError):
        reencoded(b"<html>", [BOX])
