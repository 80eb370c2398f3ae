"""Which bytes of an image are sent to a model: its own where they will do, else a smaller JPEG."""

import io

from PIL import Image

from curate.images.decoding import ImageError, open_image, pixels

QUALITY = 90
_ORIENTATION = 0x0112
_PLAIN = {"JPEG": ("RGB", "L"), "PNG": ("RGB", "L"), "WEBP": ("RGB",)}
"""Formats that every endpoint takes, with the modes in which there is nothing to be laid on white or converted."""


def as_fetched(data: bytes, side: int, max_pixels: int) -> tuple[str, bytes] | None:
    """(type, the bytes themselves) of a whole picture that is small, opaque, upright and still; None for any other.

    Looks at no pixel: a picture that is broken inside is the endpoint's to refuse. Raises ImageError for what is no picture.
    """
    image = open_image(data, max_pixels)
    plain = image.mode in _PLAIN.get(image.format or "", ()) and not image.has_transparency_data
    if not plain or max(image.size) > side or getattr(image, "n_frames", 1) != 1 or not _whole(image.format, data):
        return None
    try:
        turned = image.getexif().get(_ORIENTATION, 1) != 1
    except Exception:  # a parser fed with hostile bytes may raise anything
        return None
    return None if turned else (f"image/{str(image.format).lower()}", data)


def _whole(form: str | None, data: bytes) -> bool:
    if form == "JPEG":
        return data.rstrip(b"\0").endswith(b"\xff\xd9")
    if form == "PNG":
        return data.endswith(b"IEND\xaeB`\x82")
    return len(data) >= int.from_bytes(data[4:8], "little") + 8


def as_jpeg(image: Image.Image, side: int) -> tuple[str, bytes]:
    """The image as a JPEG, its longer side at most `side` pixels. Raises ImageError."""
    out = io.BytesIO()
    try:
        image.resize(_size(image, side), reducing_gap=3.0).save(out, "JPEG", quality=QUALITY)
    except (ValueError, OSError) as error:  # hostile shapes
        raise ImageError("undecodable", f"{type(error).__name__}: {error}") from error
    return "image/jpeg", out.getvalue()


def _size(image: Image.Image, side: int) -> tuple[int, int]:
    scale = min(side / max(image.size), 1)
    return max(round(image.width * scale), 1), max(round(image.height * scale), 1)


def sent(data: bytes, side: int, max_pixels: int, decoded: Image.Image | None = None) -> tuple[str, bytes]:
    """(type, bytes) to be sent; `decoded`: the pixels, where somebody has them already. Raises ImageError."""
    own = as_fetched(data, side, max_pixels)
    if own is not None:
        return own
    if decoded is None:
        opened = open_image(data, max_pixels)
        # A JPEG is decoded at a half, a quarter or an eighth of its size where that is still enough.
        opened.draft(None, _size(opened, side))
        decoded = pixels(opened)
    return as_jpeg(decoded, side)
