"""What a reader makes of a page, whatever the format it stood in: its images with their addresses and texts."""

from typing import NamedTuple

ATTRIBUTES = ("alt", "title", "data-image-title")
"""Attributes of an `<img>` that hold a text."""
KINDS = (*ATTRIBUTES, "figcaption", "og", "caption", "report", "label")
"""Where a text may stand, in order: a text that several of them give counts for the first."""

METAS = frozenset({"robots", "tdm-reservation"})
"""Names of the `<meta>`s in which a page says what may be done with it."""


class BadRecord(ValueError):
    """A record that cannot be parsed; it counts as one, and the records around it are read on."""


class Image(NamedTuple):
    """One image of a page, as the page writes it."""

    addresses: tuple[str, ...]
    """Addresses in the order of the page's own preference, not yet resolved; may be empty."""
    texts: tuple[tuple[str, str], ...]
    """(kind, text) in the order of KINDS, as written."""


class Page(NamedTuple):
    """One page of a crawl."""

    url: str
    base: str | None
    """href of its first `<base>`, not yet resolved."""
    robots: str | None
    """Directives of its METAS: lower case, comma-separated."""
    lang: str | None
    """Language that it declares, as it writes it."""
    images: list[Image]
    source: str
    """The name of its source, or what it was read from: warc or wat."""


def directives(metas: list[tuple[str, str]]) -> str | None:
    """The directives of a page's (name, content) of METAS, each once, in order; None where there are none.

    Those of robots stand as they are, others behind their name (`tdm-reservation:1`).
    """
    words = [("" if n == "robots" else f"{n}:", word.strip().lower()) for n, text in metas for word in text.split(",")]
    return ",".join(dict.fromkeys(name + word for name, word in words if word)) or None
