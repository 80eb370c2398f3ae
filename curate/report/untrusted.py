"""Captions, URLs and error messages come from strangers: what of them may stand on a page or in a terminal."""

import io
import re
from base64 import b64encode
from urllib.parse import urlsplit

from curate.images.decoding import ImageError, decode

CLIP = 200
"""Characters of a caption on the page."""
SIDE = 160
"""Longer side of a thumbnail in pixels; smaller images keep their size."""

# Control characters, lone surrogates, and the signs that turn the direction of the text that follows them
# (CVE-2021-42574): a caption must not rewrite the line it stands in. Letters of right-to-left scripts stay.
UNSAFE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def clip(text: str, limit: int = CLIP) -> str:
    """At most `limit` characters of a text, blanks run together, unsafe characters replaced by U+FFFD."""
    # Four times the limit is read before blanks are run together, so that a megabyte costs nothing.
    short = " ".join(UNSAFE.sub("\ufffd", text[: 4 * limit]).split())
    return short if len(short) <= limit and len(text) <= 4 * limit else short[: limit - 1] + "…"


def link(url: str) -> str | None:
    """The URL when it may be a link (http or https, with a host, nothing unsafe inside); None otherwise."""
    if UNSAFE.search(url) or len(url) > 2048:
        return None
    try:
        parts = urlsplit(url)
        return url if parts.scheme in ("http", "https") and parts.hostname else None
    except ValueError:
        return None


def thumbnail(data: bytes) -> str | None:
    """A data URI of a small JPEG made from the decoded pixels, never the bytes of the web; None if they do not decode."""
    try:
        image = decode(data)
    except ImageError:
        return None
    image.thumbnail((SIDE, SIDE))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=82)
    return "data:image/jpeg;base64," + b64encode(out.getvalue()).decode()
