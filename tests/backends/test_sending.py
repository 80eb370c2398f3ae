"""What is sent of an image: its own bytes where a model sees the same in them as we do, else a JPEG of what we see."""

import io

import numpy as np
import pytest
from PIL import Image

from curate.backends.contract import Photo
from curate.images.decoding import ImageError
from tests.scores.pictures import photograph


def encoded(image, form, **more) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **more)
    return out.getvalue()


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


PLAIN = photograph("astronaut.png").convert("RGB").resize((300, 200))
CLEAR = PLAIN.convert("RGBA")
CLEAR.putalpha(100)
OWN = {
    "jpeg": encoded(PLAIN, "JPEG"), "grey": encoded(PLAIN.convert("L"), "JPEG"), "png": encoded(PLAIN, "PNG"), "webp": encoded(PLAIN, "WEBP"),
    "progressive": encoded(PLAIN, "JPEG", progressive=True), "padded": encoded(PLAIN, "JPEG") + b"\0" * 9,
}  # fmt: skip
OURS = {
    "large": encoded(PLAIN.resize((600, 400)), "JPEG"), "clear": encoded(CLEAR, "PNG"), "clear-colour": encoded(PLAIN, "PNG", transparency=(1, 2, 3)), "palette": encoded(PLAIN.convert("P"), "PNG"), "clear-webp": encoded(CLEAR, "WEBP"),
    "turned": encoded(PLAIN, "JPEG", exif=turned()), "gif": encoded(PLAIN, "GIF"), "bmp": encoded(PLAIN, "BMP"), "cmyk": encoded(PLAIN.convert("CMYK"), "JPEG"),
    "film": encoded(PLAIN, "WEBP", save_all=True, append_images=[PLAIN.rotate(9)]), "deep": encoded(Image.new("I;16", (300, 200), 9), "PNG"),
}  # fmt: skip


def photo(data) -> Photo:
    return Photo(data, "0" * 64)


@pytest.mark.parametrize("name", OWN)
def test_a_small_plain_picture_goes_as_it_was_fetched(name):
    kind, data = photo(OWN[name]).sent(300)
    assert data is OWN[name] and kind == f"image/{Image.open(io.BytesIO(data)).format.lower()}"


@pytest.mark.parametrize("name", OURS)
def test_any_other_goes_as_a_jpeg_of_what_we_see(name):
    one = photo(OURS[name])
    kind, data = one.sent(300)
    image = Image.open(io.BytesIO(data))
    assert data != OURS[name]
    assert (kind, image.format, image.mode, image.size) == ("image/jpeg", "JPEG", "RGB", (300, 200))
    seen = np.asarray(one.pixels.resize((300, 200)), float)
    assert np.abs(np.asarray(image, float) - seen).mean() < 15


@pytest.mark.parametrize("data", [b"", b"<svg/>", b"words", OWN["jpeg"][:500], OWN["png"][:5000], OWN["webp"][:-500]])
def test_what_does_not_decode_is_not_sent(data):
    with pytest.raises(ImageError):
        photo(data).sent(300)
