"""The images of an HTML page: addresses, lazy-loading attributes, `srcset`, `<picture>`, and the texts they carry."""

from curate.pools import addresses, nesting
from curate.pools.pages import ATTRIBUTES, METAS, BadRecord, Image, Page, directives

LAZY = (
    "data-src", "data-original", "data-lazy-src", "data-lazy", "data-ll-src", "data-echo", "data-actualsrc",
    "data-img-src", "data-defer-src",
)  # fmt: skip
"""Where scripts that load images late keep the address; the first one that an image has counts."""
SRCSETS = ("srcset", "data-srcset", "data-lazy-srcset")

_SELECTOR = "html,base[href],meta[name],img,source[srcset],source[data-srcset]"


def page(html: str, url: str) -> Page:
    """The page of an HTML text. Raises BadRecord for one that would take the parser out of time or memory."""
    from selectolax.lexbor import LexborHTMLParser, SelectolaxError

    nesting.check(html)
    try:
        nodes = LexborHTMLParser(html).css(_SELECTOR)
    except SelectolaxError as error:
        raise BadRecord(f"HTML: {error}") from error
    lang, base, robots, images = None, None, [], []
    sources: list[tuple[int, str]] = []
    for node in nodes:
        attributes = node.attributes
        if node.tag == "img":
            images.append(_image(attributes, _of_picture(node, sources)))
            sources = []
        elif node.tag == "source":
            parent = node.parent.mem_id if node.parent else 0
            sources += [(parent, value) for value in _values(attributes, SRCSETS)]
        elif node.tag == "base":
            base = base if base is not None else attributes.get("href")
        elif node.tag == "html":
            lang = attributes.get("lang") or attributes.get("xml:lang")
        elif (name := (attributes.get("name") or "").strip().lower()) in METAS:
            robots.append((name, attributes.get("content") or ""))
    return Page(url, base, directives(robots), lang, images, "warc")


def _image(attributes: dict[str, str | None], sources: list[str]) -> Image:
    """The image of an `<img>`: its src, its lazy address, and the largest of its candidates and its `<source>`s."""
    found = [*_values(attributes, ("src",)), *_values(attributes, LAZY)[:1]]
    sets = [*_values(attributes, SRCSETS), *sources]
    largest = addresses.largest(sets) if sets else None
    texts = tuple((kind, value) for kind in ATTRIBUTES if (value := attributes.get(kind)))
    return Image((*found, largest) if largest else tuple(found), texts)


def _of_picture(node, sources: list[tuple[int, str]]) -> list[str]:
    """The srcsets of the `<source>`s that stand before this `<img>` in its own `<picture>`."""
    if not sources or node.parent is None or node.parent.tag != "picture":
        return []
    return [srcset for parent, srcset in sources if parent == node.parent.mem_id]


def _values(attributes: dict[str, str | None], names: tuple[str, ...]) -> list[str]:
    return [value for name in names if (value := attributes.get(name)) and not value.isspace()]
