"""From bytes to facts: format, size in pixels, hashes. Work for a processor, away from the event loop."""

import hashlib
from dataclasses import dataclass

import numpy as np
from PIL import Image

from curate.images.decoding import decode, open_image, pixels

SUFFIXES = {"jpeg": "jpg", "mpo": "jpg"}
"""Suffix of a format's files where it is not the format's name."""


@dataclass(frozen=True)
class Facts:
    """What the bytes themselves say."""

    nbytes: int
    sha256: str
    width: int
    height: int
    format: str
    phash: str


def inspect(data: bytes, max_pixels: int) -> Facts:
    """The facts of an image that decodes whole; ImageError otherwise."""
    return facts_of(data, open_image(data, max_pixels))


def facts_of(data: bytes, opened: Image.Image) -> Facts:
    """The facts of an image that was opened and not yet decoded; ImageError when it cannot be."""
    width, height = opened.size
    return Facts(
        nbytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        width=width,
        height=height,
        format=(opened.format or "").lower(),
        phash=_hash(pixels(opened)),
    )


def perceptual_hash(data: bytes, max_pixels: int) -> str:
    """The 64-bit pHash of the image on white (signs of the 8 x 8 lowest DCT terms around their median), 16 hex digits."""
    return _hash(decode(data, max_pixels))


def _hash(image: Image.Image) -> str:
    import imagehash

    # As the library writes it, which goes through each bit in Python.
    return np.packbits(imagehash.phash(image).hash).tobytes().hex()


def suffix(image_format: str) -> str:
    return SUFFIXES.get(image_format, image_format)
