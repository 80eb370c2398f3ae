"""Names of files in packages and folders: which are safe to look at, and which one a graphic means."""

import re
from collections.abc import Iterable, Mapping

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp", ".gif")
"""Suffixes of images, the best first: PMC keeps a .jpg beside a .gif that is its thumbnail."""
MAX_NAME = 512
_UNSAFE = re.compile(r"[\\\x00-\x1f]|^/|^[A-Za-z]:|(?:^|/)\.\.?(?:/|$)")


def safe(name: str) -> str | None:
    """The name without a leading `./`; None for one that leads out of its folder, or is no name."""
    name = name.removeprefix("./")
    return None if not name or len(name) > MAX_NAME or _UNSAFE.search(name) else name


def folder(name: str) -> str:
    return name.rpartition("/")[0]


def index(names: Iterable[str]) -> dict[str, str]:
    """Images by their names in lower case without folder: how `resolve` looks for them."""
    return {name.rpartition("/")[2].lower(): name for name in sorted(names, reverse=True) if is_image(name)}


def is_image(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)


def resolve(reference: str, images: Mapping[str, str]) -> str | None:
    """The image that an article's reference means, of the images of its own folder; None where there is none.

    References mostly have no suffix, or that of the file which the publisher sent (`.tif` where PMC has a `.jpg`).
    """
    name = reference.rpartition("/")[2].lower()
    suffix = next((suffix for suffix in (*SUFFIXES, ".eps", ".svg", ".pdf") if name.endswith(suffix)), "")
    stems = dict.fromkeys((name, name.removesuffix(suffix)))
    found = (images.get(stem + suffix) for suffix in SUFFIXES for stem in stems)
    return next((file for file in found if file is not None), images.get(name))
