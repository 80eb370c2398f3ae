"""The images of an HTML page: addresses, lazy-loading attributes, `srcset`, `<picture>`, and the texts they carry."""

from typing import Any

from curate.pools import addresses, looking, nesting, reducing
from curate.pools.html_elements import LAZY, SRCSETS
from curate.pools.pages import (
    ATTRIBUTES,
    CODES,
    METAS,
    OG_IMAGES,
    OG_TITLE,
    BadRecord,
    Found,
    Page,
    directives,
    opengraph,
)

FIGURES = frozenset(["figure", "mediaobject", "wp-caption"])
"""Classes of elements that are a `<figure>` under an older name: DocBook's, Bootstrap's and WordPress's."""
MAX_CLIMB = 6
"""Elements between a caption and its figure."""

_CAPTIONS = "figcaption,[class*=caption]"
_OPENGRAPH = frozenset([OG_TITLE, *OG_IMAGES])
_ADDRESSES = frozenset([*LAZY, *SRCSETS])
_ALT, _FIGCAPTION = CODES["alt"], CODES["figcaption"]
_TEXTS = [(name, CODES[name]) for name in ATTRIBUTES if name != "alt"]


def read(html: bytes | memoryview, number: int, found: Found) -> Page:
    """The page of an HTML text (UTF-8), its images into `found`. Raises BadRecord for one that would take the parser out of
    time or memory."""
    captions = looking.captioned(html)
    return parsed(reducing.reduced(html, captions), captions, number, found)


def parsed(html: bytes, captions: bool, number: int, found: Found) -> Page:
    """The same of a page that is parsed as it stands; `captions` says whether it may have some."""
    from selectolax.lexbor import LexborHTMLParser, SelectolaxError

    nesting.check(html, looking.tags(html))
    try:
        tree = LexborHTMLParser(html)
        # Lists of one tag take half the time of a selector.
        images, metas, bases = tree.tags("img"), tree.tags("meta"), tree.tags("base")
        captioned = _captions(tree, images) if images and captions else None
        sources = _sources(tree) if images and tree.tags("source") else None
    except SelectolaxError as error:
        raise BadRecord(f"HTML: {error}") from error
    _images(images, number, sources, captioned, found)
    base = next((href for node in bases if (href := node.attributes.get("href")) is not None), None)
    declared = tree.root.attributes if tree.root is not None else {}
    robots, shared = _said(metas)
    opengraph(shared, number, found)
    return Page(base, robots, declared.get("lang") or declared.get("xml:lang"))


def _images(
    nodes: list[Any],
    number: int,
    sources: dict[int, list[str]] | None,
    captions: dict[int, str] | None,
    found: Found,
) -> None:
    """Adds each `<img>`: its src, its lazy address, the largest of its candidates and its `<source>`s; and its texts."""
    urls, texts, kinds = found.addresses, found.texts, found.kinds
    address_of, text_of = found.address_of.append, found.text_of.append
    for node in nodes:
        attributes = node.attributes
        # Nearly all have these two and no more, so the others are asked for only where there are some.
        src, alt = attributes.get("src"), attributes.get("alt")
        others = len(attributes) > (src is not None) + (alt is not None)
        if src and not src.isspace():
            urls.append(src)
        if sources or (others and not _ADDRESSES.isdisjoint(attributes)):
            urls += _more(attributes, sources.get(node.mem_id, []) if sources else [])
        if alt:
            texts.append(alt)
            kinds.append(_ALT)
        if others:
            for name, kind in _TEXTS:
                if text := attributes.get(name):
                    texts.append(text)
                    kinds.append(kind)
        if captions and (text := captions.get(node.mem_id)):
            texts.append(text)
            kinds.append(_FIGCAPTION)
        address_of(len(urls))
        text_of(len(texts))
    found.pages += [number] * len(nodes)


def _more(attributes: dict[str, str | None], sources: list[str]) -> list[str]:
    """The addresses of an image beside its src."""
    lazy = _values(attributes, LAZY)[:1]
    sets = [*_values(attributes, SRCSETS), *sources]
    largest = addresses.largest(sets) if sets else None
    return [*lazy, largest] if largest else lazy


def _sources(tree: Any) -> dict[int, list[str]]:
    """For each `<img>` of a `<picture>` the srcsets of the `<source>`s that stand before it there."""
    before: dict[int, list[str]] = {}
    waiting: dict[int, list[str]] = {}
    for node in tree.css("picture > source, picture > img"):
        if node.tag == "img":
            before[node.mem_id] = waiting.pop(node.parent.mem_id, [])
        else:
            waiting.setdefault(node.parent.mem_id, []).extend(_values(node.attributes, SRCSETS))
    return before


def _captions(tree: Any, images: list[Any]) -> dict[int, str]:
    """The caption of each image that stands in a figure with one: the first one counts, and a `<figcaption>` most."""
    figures: dict[int, tuple[bool, str]] = {}
    for node in tree.css(_CAPTIONS):
        figure, own = _figure(node.parent), node.tag == "figcaption"
        if figure is not None:
            known = figures.get(figure.mem_id)
            if known is None or (own and not known[0]):
                figures[figure.mem_id] = own, " ".join(node.text().split())
    if not figures:
        return {}
    around: dict[int, str | None] = {figure: text for figure, (_, text) in figures.items()}
    found = ((image.mem_id, _around(image.parent, around)) for image in images)
    return {image: text for image, text in found if text is not None}


def _around(node: Any, known: dict[int, str | None]) -> str | None:
    """The caption of the nearest figure that is the element or around it; all elements on the way become known, so that each is
    passed once, however many images it holds."""
    passed, text = [], None
    while node is not None:
        element = node.mem_id
        if element in known:
            text = known[element]
            break
        passed.append(element)
        node = node.parent
    for element in passed:
        known[element] = text
    return text


def _figure(node: Any) -> Any:
    """The element itself or the nearest above it that is a figure; None if it is far."""
    for _ in range(MAX_CLIMB):
        if node is None:
            return None
        if _is_figure(node):
            return node
        node = node.parent
    return None


def _is_figure(node: Any) -> bool:
    return node.tag == "figure" or not FIGURES.isdisjoint((node.attributes.get("class") or "").split())


def _said(metas: list[Any]) -> tuple[str | None, list[tuple[str, str]]]:
    """The directives for robots of a page, and its OpenGraph properties with their contents."""
    robots, shared = [], []
    for node in metas:
        attributes = node.attributes
        for key in ("name", "property"):
            name = attributes.get(key)
            if not name:
                continue
            name = name.strip().lower()
            if name in METAS and key == "name":
                robots.append((name, attributes.get("content") or ""))
            elif name in _OPENGRAPH:
                shared.append((name, attributes.get("content") or ""))
                break
    return directives(robots) if robots else None, shared


def _values(attributes: dict[str, str | None], names: tuple[str, ...]) -> list[str]:
    return [value for name in names if (value := attributes.get(name)) and not value.isspace()]
