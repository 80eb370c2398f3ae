"""JATS and its elder brother NLM: the articles of an XML file with their figures, read as a stream.

The text is hostile: no entity is expanded, no DTD is read, nothing is fetched, and a file that would take more memory than its
size promises is refused before a tree is built.
"""

import io
from collections.abc import Iterator
from typing import Any

import msgspec

from curate.pools.pages import BadRecord
from curate.pools.pmc import meta
from curate.pools.pmc.meta import License, Meta
from curate.pools.pmc.text import attribute, child, children, descendants, flat, local

MAX_NODES = 2_000_000
"""Tags and attributes of a file, counted by their `<` and `=`; a node of the tree takes about 100 bytes."""
MAX_MENTIONS, MAX_MENTION = 5, 1000
"""Paragraphs that are kept for a figure, and characters of each."""
MAX_LABEL = 200
_APART = frozenset(["caption", "front", "fig", "permissions"])
"""What is read whole at its end; paragraphs inside are no text of the article's body."""


class Figure(msgspec.Struct):
    """A figure: one caption, and one graphic or several."""

    id: str
    label: str
    caption: str
    graphics: list[str]
    """What its `graphic`s refer to, in order: names of files, mostly without suffix."""
    license: License | None = None
    """Its own, where it says so: a figure that was taken from elsewhere."""
    group_label: str = ""
    group_caption: str = ""
    """Of the `fig-group` that it stands in."""
    mentions: list[str] = []


class Article(msgspec.Struct):
    """An article, and its figures in document order."""

    meta: Meta
    lang: str | None
    figures: list[Figure]


class _Open:
    """What was seen of the article that is being read."""

    def __init__(self) -> None:
        self.meta = Meta()
        self.figures: list[Figure] = []
        self.grouped: list[tuple[Any, Figure]] = []
        """Figures of groups that are still open, each with its group."""
        self.mentions: dict[str, list[str]] = {}
        self.apart = 0
        """Elements of _APART that are open."""

    def done(self, lang: str | None) -> Article:
        for figure in self.figures:
            figure.mentions = self.mentions.get(figure.id, [])
        return Article(self.meta, lang, self.figures)


def articles(data: bytes, limit: int) -> Iterator[Article]:
    """The articles of an XML file: one `article`, or a set of them as PMC's services answer; none in a file of another kind.

    Figures are the `fig` elements wherever they stand (body, floats-group, boxes, abstracts, replies); files in
    supplementary material, formulas and pictures of tables are none. Raises BadRecord for XML that is not well-formed, with the
    place; declares entities that expand to others; or is over the limits.
    """
    from lxml import etree

    _check(data, limit)
    events = etree.iterparse(
        io.BytesIO(data),
        events=("start", "end"),
        tag=[f"{{*}}{name}" for name in _END],
        encoding="utf-8" if _is_utf8(data) else None,
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, attribute_defaults=False,
        huge_tree=False, recover=False, remove_comments=True, remove_pis=True,
    )  # fmt: skip
    seen, checked = _Open(), False
    try:
        for event, node in events:
            if not checked:
                _check_entities(node)
                checked = True
            name = local(node)
            if name in _APART:
                seen.apart += 1 if event == "start" else -1
            if event == "start":
                continue
            _END[name](node, seen)
            if name == "article":
                yield seen.done(attribute(node, "lang"))
                node.clear()
                seen = _Open()
    except etree.XMLSyntaxError as error:
        raise BadRecord(f"XML: {error}") from error
    except (RecursionError, ValueError) as error:
        raise BadRecord(f"XML: {type(error).__name__}: {error}") from error


def _check(data: bytes, limit: int) -> None:
    if len(data) > limit:
        raise BadRecord(f"XML: {len(data)} bytes are more than extract.max_record_bytes={limit}")
    nodes = data.count(b"<") + data.count(b"=")
    if nodes > MAX_NODES:
        raise BadRecord(f"XML: about {nodes} tags and attributes are more than {MAX_NODES}")


def _is_utf8(data: bytes) -> bool:
    """Whether the bytes are UTF-8, whatever they are declared as: text in other encodings never is by chance."""
    if b"\0" in data[:4]:
        return False
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _check_entities(node: Any) -> None:
    """Raises BadRecord for a DTD whose entities hold others. They are not expanded here, but by whoever reads the text next."""
    declared = node.getroottree().docinfo.internalDTD
    for entity in declared.iterentities() if declared is not None else ():
        if "&" in (entity.orig or ""):
            raise BadRecord(f"XML: the entity {entity.name!r} is declared to hold other entities")


def _front(node: Any, seen: _Open) -> None:
    seen.meta = meta.read(node)
    node.clear(keep_tail=True)


def _figure(node: Any, seen: _Open) -> None:
    figure = Figure(
        id=(node.get("id") or "")[:MAX_LABEL],
        label=flat(child(node, "label"), frozenset())[:MAX_LABEL],
        caption=_caption(node),
        graphics=list(_graphics(node)),
        license=meta.license_of(node),
    )
    parent = node.getparent()
    seen.figures.append(figure)
    if parent is not None and local(parent) == "fig-group":
        seen.grouped.append((parent, figure))
    node.clear(keep_tail=True)


def _group(node: Any, seen: _Open) -> None:
    """Gives the figures of a group its caption; those that have none of their own stand under it."""
    label, caption = flat(child(node, "label"), frozenset())[:MAX_LABEL], _caption(node)
    graphics = list(_graphics(node))
    if graphics:
        seen.figures.append(Figure((node.get("id") or "")[:MAX_LABEL], label, caption, graphics))
    # Elements end from the inside out: this group's figures are the last ones.
    while seen.grouped and seen.grouped[-1][0] is node:
        _, figure = seen.grouped.pop()
        figure.group_label, figure.group_caption = label, caption
        figure.caption = figure.caption or caption
    node.clear(keep_tail=True)


def _caption(node: Any) -> str:
    """Title and paragraphs of all captions of a figure (some are in two languages; some stand outside as paragraphs)."""
    return " ".join(text for text in map(flat, children(node, "caption")) if text)


def _graphics(node: Any) -> Iterator[str]:
    """The references of a figure's graphics, each once; of `alternatives` the first, which are one picture in several forms."""
    found: dict[str, None] = {}
    for part in children(node, "graphic", "alternatives", "p"):
        name = local(part)
        graphics = [part] if name == "graphic" else list(descendants(part, "graphic"))
        for graphic in graphics[:1] if name == "alternatives" else graphics:
            if reference := (attribute(graphic, "href") or "").strip():
                found.setdefault(reference)
    return iter(found)


def _paragraph(node: Any, seen: _Open) -> None:
    """Keeps the text of a paragraph for the figures that it refers to. Those of captions belong to their figure."""
    if seen.apart:
        return
    rids = [
        rid
        for xref in descendants(node, "xref")
        if xref.get("ref-type") == "fig"
        for rid in (xref.get("rid") or "").split()
    ]
    if rids:
        text = flat(node)[:MAX_MENTION]
        for rid in dict.fromkeys(rids):
            kept = seen.mentions.setdefault(rid[:MAX_LABEL], [])
            if len(kept) < MAX_MENTIONS and text:
                kept.append(text)
    node.clear(keep_tail=True)


def _forget(node: Any, _: _Open) -> None:
    node.clear(keep_tail=True)


def _leave(node: Any, _: _Open) -> None:
    """Left for the end of what it stands in."""


_END = {
    "article": _leave, "front": _front, "fig": _figure, "fig-group": _group, "p": _paragraph, "caption": _leave,
    "permissions": _leave, "ref": _forget, "sec": _forget, "table-wrap": _forget, "supplementary-material": _forget,
}  # fmt: skip
