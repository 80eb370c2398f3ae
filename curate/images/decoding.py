"""Decoding of hostile bytes: the header is checked before a pixel is made, and every failure has a status."""

import io
import re
import sys
import warnings
from contextlib import suppress

import numpy as np
from PIL import Image, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
"""Raster formats that are opened at all; Pillow also knows formats that run other programs (EPS).

MPO (a JPEG with more frames) opens as JPEG. ICO is left out: its header's size is not the one of the PNG inside it, so
the check before decoding would check nothing.
"""

_PROLOGUE = 4096
_SVG = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>|<!--.*?-->|<!DOCTYPE\s+svg[^>\[]*(?:\[[^\]]*\])?\s*>|\s+)*<(?:\w+:)?svg[\s>]",
                  re.DOTALL | re.IGNORECASE)  # fmt: skip
"""The beginning of an SVG: an XML prologue may stand before it."""


MAX_PIXELS = 50_000_000
"""Of an image, where nobody says otherwise; `download.max_pixels` of a recipe begins with it."""
MAX_SCANS = 100
"""Of a JPEG. Each goes over all its pixels, in 17 ms at 50 million, and 75 bytes are one: 20 MB of them would take a processor an
hour. Progressive files of the web have 10 or so; libtiff's limit for JPEG in TIFF is the same."""
_SOS, _EOI = 0xDA, 0xD9
_MARKER = re.compile(rb"\xff+([\x02-\xcf\xd9-\xfe])")
"""A marker but for those without a segment that may stand among entropy-coded bytes (restarts, a stuffed zero)."""


class ImageError(ValueError):
    """Bytes that give no image; `status` is one of the statuses of `schemas/images.yaml`."""

    def __init__(self, status: str, message: str):
        super().__init__(message)
        self.status = status


def open_image(data: bytes, max_pixels: int) -> Image.Image:
    """An opened, not yet decoded image whose header keeps within `max_pixels`.

    Raises ImageError: empty_body, svg, not_an_image, too_many_pixels, undecodable.
    """
    if not data:
        raise ImageError("empty_body", "the body has no bytes")
    if _SVG.match(data[:_PROLOGUE]):
        raise ImageError("svg", "an SVG is a document that may hold scripts and ask for others; it is not rendered")
    try:
        with warnings.catch_warnings():
            # Pillow's own bomb check would warn or raise at limits of its own; ours follows at once.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise ImageError("not_an_image", f"starts with {data[:16]!r}") from error
    except Image.DecompressionBombError as error:
        raise ImageError("too_many_pixels", str(error)) from error
    except Exception as error:  # a parser fed with hostile bytes may raise anything
        raise ImageError("undecodable", f"{type(error).__name__}: {error}") from error
    if image.width * image.height > max_pixels:
        raise ImageError("too_many_pixels", f"{image.width} x {image.height} is more than {max_pixels} pixels")
    if image.format in ("JPEG", "MPO") and data.count(b"\xff\xda") > MAX_SCANS and _scans(data) > MAX_SCANS:
        raise ImageError("undecodable", f"a JPEG of more than {MAX_SCANS} scans")
    return image


def _scans(data: bytes) -> int:
    """The scans of a JPEG up to its end; what its segments hold (thumbnails) and what stands behind it (films) is not its own."""
    scans, at = 0, 2
    while (marker := _MARKER.search(data, at)) is not None and marker[1][0] != _EOI:
        scans += marker[1][0] == _SOS
        at = marker.end() + max(2, int.from_bytes(data[marker.end() : marker.end() + 2]))
    return scans


def decode(data: bytes, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The first frame as RGB, transparency laid on white (black would turn line art into darkness).

    Raises ImageError with the statuses of `open_image`, and truncated.
    """
    return pixels(open_image(data, max_pixels))


def pixels(image: Image.Image) -> Image.Image:
    """An opened image as `decode` gives it. Raises ImageError: truncated, undecodable."""
    try:
        image.load()
        if image.mode == "RGB":
            return image
        if image.mode[0] in "IF":
            return _eight_bits(image).convert("RGB")
        if image.has_transparency_data:
            layered = image.convert("RGBA")
            white = Image.new("RGBA", layered.size, "white")
            return Image.alpha_composite(white, layered).convert("RGB")
        return image.convert("RGB")
    except ImageError:
        raise
    except OSError as error:
        status = "truncated" if "truncated" in str(error).lower() else "undecodable"
        raise ImageError(status, str(error)) from error
    except Exception as error:  # see open_image
        raise ImageError("undecodable", f"{type(error).__name__}: {error}") from error


def _eight_bits(image: Image.Image) -> Image.Image:
    """A grey image of 16 bits, or of 32-bit or real numbers, in 8 bits; Pillow would cut all above 255 off, and give a white one.

    Of 16 bits the upper eight, as browsers show them. Other numbers have no white of their own: their greatest is white, their least black.
    """
    values = np.asarray(image)
    if values.dtype.kind == "u" and values.dtype.itemsize == 2:
        return Image.fromarray((values >> 8).astype(np.uint8))
    values = values.astype(np.float32)
    if not np.isfinite(values).all():
        raise ImageError("undecodable", "numbers of its pixels are not finite")
    low, high = float(values.min()), float(values.max())
    scale = 255 / (high - low) if high > low else 0.0
    return Image.fromarray(((values - low) * scale).round().astype(np.uint8))


def frames(data: bytes, most: int = 1000) -> int:
    """How many pictures the bytes hold, as far as their structure goes; none is decoded. `most` stands for that many or more.

    Raises as `open_image`.
    """
    image = open_image(data, sys.maxsize)
    if image.format != "TIFF":
        with suppress(Exception):  # see open_image
            return min(getattr(image, "n_frames", 1), most)
        return 1
    count = 1  # Pillow's own count of a TIFF takes a time that is quadratic in it.
    with suppress(Exception):
        while count < most:
            image.seek(count)
            count += 1
    return count
