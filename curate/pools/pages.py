"""What a reader makes of a page, whatever the format it stood in: its images with their addresses and texts."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

ATTRIBUTES = ("alt", "title", "data-image-title")
"""Attributes of an `<img>` that hold a text."""
KINDS = (*ATTRIBUTES, "figcaption", "og", "caption", "report", "label")
"""Where a text may stand, in order: a text that several of them give counts for the first."""
CODES = {kind: code for code, kind in enumerate(KINDS)}
METAS = frozenset({"robots", "tdm-reservation"})
"""Names of the `<meta>`s in which a page says what may be done with it."""
OG_TITLE, OG_IMAGES = "og:title", ("og:image", "og:image:url", "og:image:secure_url")
"""OpenGraph's properties: what a page calls itself where it is shared, and the addresses of images that stand for it."""


class BadRecord(ValueError):
    """A record that cannot be parsed; it counts as one, and the records around it are read on."""


class Page(NamedTuple):
    """What a page says of itself."""

    base: str | None
    """href of its first `<base>`, not yet resolved."""
    robots: str | None
    """Directives of its METAS: lower case, comma-separated."""
    lang: str | None
    """Language that it declares, as it writes it."""


@dataclass
class Found:
    """Images of several pages, as the pages write them, in columns: hundreds of a page cost no object each.

    Image i has `addresses[address_of[i]:address_of[i + 1]]`, in the order of the page's own preference, not yet resolved, perhaps none;
    and as many `texts`, by `text_of`, with their `kinds` (places in KINDS).
    """

    pages: list[int] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    address_of: list[int] = field(default_factory=lambda: [0])
    texts: list[str] = field(default_factory=list)
    kinds: list[int] = field(default_factory=list)
    text_of: list[int] = field(default_factory=lambda: [0])

    def add(self, page: int, addresses: Iterable[str], texts: Iterable[tuple[str, str]]) -> None:
        """Adds an image of a page with its addresses and its texts (kind, text)."""
        self.pages.append(page)
        self.addresses += addresses
        self.address_of.append(len(self.addresses))
        for kind, text in texts:
            self.kinds.append(CODES[kind])
            self.texts.append(text)
        self.text_of.append(len(self.texts))


def directives(metas: Iterable[tuple[str, str]]) -> str | None:
    """The directives of a page's (name, content) of METAS, each once, in order; None where there are none.

    Those of robots stand as they are, others behind their name (`tdm-reservation:1`).
    """
    words = [("" if n == "robots" else f"{n}:", word.strip().lower()) for n, text in metas for word in text.split(",")]
    return ",".join(dict.fromkeys(name + word for name, word in words if word)) or None


def opengraph(metas: Iterable[tuple[str, str]], page: int, found: Found) -> None:
    """Adds the images that a page is shared with, and its title as their text, from its metas (property, content) in order.

    `og:image` and `og:image:url` are one property and begin an image; a `secure_url` is another address of the last one (ogp.me).
    """
    title, images = "", list[list[str]]()
    for name, content in metas:
        if name == OG_TITLE:
            title = title or content
        elif name in OG_IMAGES and content and not content.isspace():
            if name == OG_IMAGES[2] and images and len(images[-1]) == 1:
                images[-1].append(content)
            elif not (images and content in images[-1]):
                images.append([content])
    for addresses in images:
        found.add(page, addresses, [("og", title)] if title else [])
