"""Parts of an image made unrecognisable, and the image packed again in its format without what else would show them."""

import io
from collections.abc import Sequence

from PIL import Image, ImageFilter

from curate.images.decoding import open_image, pixels

MARGIN = SIGMA = 0.1
"""What a box grows by on each side, and the standard deviation of the Gaussian, both of the box's longer side (DataComp)."""
REACH = 4
"""Standard deviations around a box whose pixels have a say in it."""
ORIENTATION = 0x0112
"""The one Exif entry that is kept: others hold places, names, and a small picture of the whole without the blur."""
QUALITY = 95
MAX_PIXELS = 50_000_000
KINDS = {"JPEG": "JPEG", "MPO": "JPEG", "PNG": "PNG", "WEBP": "WEBP"}
"""Pillow's name of a format -> the one that is written."""


def blurred(image: Image.Image, boxes: Sequence[Sequence[float]]) -> Image.Image:
    """A copy of an RGB image whose boxes (`[left, top, right, bottom]`, relative to the image) and margins are blurred."""
    result = image.copy()
    for box in boxes:
        left, right = box[0] * image.width, box[2] * image.width
        top, bottom = box[1] * image.height, box[3] * image.height
        longer = max(right - left, bottom - top)
        margin, reach = MARGIN * longer, MARGIN * longer + REACH * SIGMA * longer
        inner = _within(image, left - margin, top - margin, right + margin, bottom + margin)
        outer = _within(image, left - reach, top - reach, right + reach, bottom + reach)
        if inner[0] >= inner[2] or inner[1] >= inner[3]:
            continue
        # From the result, not the image: where two boxes meet, the second must not bring back what the first took away.
        patch = result.crop(outer).filter(ImageFilter.GaussianBlur(SIGMA * longer))
        place = (inner[0] - outer[0], inner[1] - outer[1], inner[2] - outer[0], inner[3] - outer[1])
        result.paste(patch.crop(place), inner[:2])
    return result


def reencoded(data: bytes, boxes: Sequence[Sequence[float]]) -> bytes:
    """An image's bytes with its boxes blurred: JPEG, PNG or WebP as it came, anything else as PNG; equal bytes for equal bytes.

    Of an animation the first frame stays. Raises ImageError as `curate.images.decoding.decode`.
    """
    source = open_image(data, MAX_PIXELS)
    kind = KINDS.get(source.format or "", "PNG")
    # The profile speaks of the bytes' own colours, which a conversion to RGB leaves behind.
    profile = source.info.get("icc_profile") if source.mode == "RGB" else None
    exif = Image.Exif()
    if (orientation := source.getexif().get(ORIENTATION)) is not None:
        exif[ORIENTATION] = orientation
    image = blurred(pixels(source), boxes)
    image.info.clear()
    out = io.BytesIO()
    how = {} if kind == "PNG" else {"quality": QUALITY}
    image.save(out, kind, exif=exif.tobytes() if len(exif) else b"", icc_profile=profile, **how)
    return out.getvalue()


def _within(image: Image.Image, left: float, top: float, right: float, bottom: float) -> tuple[int, int, int, int]:
    """A box in whole pixels, outwards, as far as it lies in the image."""
    return (
        max(int(left), 0),
        max(int(top), 0),
        min(int(-(-right // 1)), image.width),
        min(int(-(-bottom // 1)), image.height),
    )
