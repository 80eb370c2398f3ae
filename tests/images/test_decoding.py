"""Hostile bytes: a status for each, and transparency on white."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from curate.images.decoding import ImageError, decode, frames


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", "empty_body"),
        (b"<html></html>", "not_an_image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not_an_image"),
        (b"\0\0\1\0\1\0\0\0\0\0\1\0\x20\0" + b"\0" * 60, "not_an_image"),
        (b"\xff\xd8\xff\xe0" + b"\0" * 100, "undecodable"),
        (b"GIF89a", "undecodable"),
    ],
)
def test_bytes_that_are_no_image_have_a_status(data, status):
    with pytest.raises(ImageError) as error:
        decode(data)
    assert error.value.status in (status, "not_an_image")


RAMP = np.tile(np.linspace(0, 1, 65), (20, 1))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ((RAMP * 65535).astype(np.uint16), "PNG"),
        ((RAMP * 65535).astype(np.uint16), "TIFF"),
        ((RAMP * 65535).astype(">u2"), "TIFF"),
        ((RAMP * 2_000_000 - 1_000_000).astype(np.int32), "TIFF"),
        (RAMP.astype(np.float32), "TIFF"),
        ((RAMP * 1e30).astype(np.float32), "TIFF"),
    ],
)
def test_grey_of_more_than_8_bits_keeps_its_greys(values, kind):
    out = io.BytesIO()
    Image.fromarray(values).save(out, kind)
    found = np.asarray(decode(out.getvalue()))
    assert found.shape == (20, 65, 3) and (found == found[:, :, :1]).all()
    assert np.abs(found[..., 0] - RAMP * 255).max() <= 1


def test_numbers_that_are_no_grey_are_a_status_and_one_number_alone_is_black():
    for value, status in ((np.nan, "undecodable"), (np.inf, "undecodable"), (3.5, None)):
        out = io.BytesIO()
        Image.fromarray(np.full((9, 9), value, np.float32)).save(out, "TIFF")
        if status:
            with pytest.raises(ImageError) as error:
                decode(out.getvalue())
            assert error.value.status == status
        else:
            assert np.asarray(decode(out.getvalue())).max() == 0


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "AVIF", "BMP"])
def test_a_cut_anywhere_is_a_status_never_another_error(kind, picture_bytes):
    data = picture_bytes(kind)
    for end in range(0, len(data), max(1, len(data) // 40)):
        try:
            decode(data[:end])
        except ImageError as error:
            assert error.status in ("empty_body", "not_an_image", "truncated", "undecodable")


def progressive(scans: int, size: int = 64) -> bytes:
    """A progressive JPEG whose last scan comes so many times more."""
    out = io.BytesIO()
    Image.new("L", (size, size), 90).save(out, "JPEG", progressive=True)
    data = out.getvalue()
    return data[:-2] + data[data.rindex(b"\xff\xda") : -2] * scans + data[-2:]


def test_a_jpeg_of_very_many_scans_is_not_decoded():
    assert decode(progressive(50)).size == (64, 64)
    with pytest.raises(ImageError) as error:
        decode(progressive(300_000, 2000))  # some minutes of a processor otherwise, out of 5 MB
    assert error.value.status == "undecodable" and "100 scans" in str(error.value)
    # Scans of a thumbnail, and whatever follows the image, are not its own.
    one = progressive(0)
    held = b"".join(b"\xff\xe1\xea\x60" + b"\xff\xda" * 29_999 for _ in range(3))
    assert decode(one[:2] + held + one[2:] + b"\xff\xda" * 1000).size == (64, 64)


def test_pixels_are_counted_before_any_is_made(picture_bytes):
    header = struct.pack(">IIBBBBB", 9000, 9000, 8, 2, 0, 0, 0)
    body = b"IHDR" + header
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    with pytest.raises(ImageError) as error:
        decode(png + b"\0\0\0\0IDAT" + struct.pack(">I", zlib.crc32(b"IDAT")))
    assert error.value.status == "too_many_pixels"
    assert decode(picture_bytes(size=100), max_pixels=10_000).size == (100, 100)
    with pytest.raises(ImageError):
        decode(picture_bytes(size=101), max_pixels=10_000)


def test_transparency_becomes_white():
    pixels = np.zeros((4, 4, 4), dtype=np.uint8)
    pixels[0, 0] = (10, 20, 30, 255)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    image = np.asarray(decode(out.getvalue()))
    assert image.shape == (4, 4, 3) and tuple(image[0, 0]) == (10, 20, 30) and (image[1:] == 255).all()


def animation(kind: str, count: int) -> bytes:
    out = io.BytesIO()
    pictures = [Image.new("L", (8, 8), 20 * i) for i in range(count)]
    pictures[0].save(out, kind, save_all=True, append_images=pictures[1:])
    return out.getvalue()


@pytest.mark.parametrize("kind", ["GIF", "PNG", "TIFF", "WEBP"])
def test_frames_are_counted_and_a_great_many_are_not_walked_through(kind):
    assert frames(animation(kind, 5)) == 5 and frames(animation(kind, 1)) == 1
    assert frames(animation(kind, 5), most=3) == 3


def test_frames_of_a_file_that_breaks_off_are_those_that_are_there():
    whole = animation("TIFF", 3)
    assert frames(whole[: len(whole) // 2]) in (1, 2)
    with pytest.raises(ImageError):
        frames(b"nothing")
