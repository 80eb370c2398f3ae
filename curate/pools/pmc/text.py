"""The text of JATS elements: inline markup flattened, formulas as they read, blanks as one space each."""

import re
from collections.abc import Iterator
from html.entities import html5
from typing import Any

SKIPPED = frozenset(
    [
        "alt-text", "attrib", "fig", "fig-group", "graphic", "inline-graphic", "inline-supplementary-material", "label",
        "long-desc", "media", "object-id", "permissions", "supplementary-material", "table-wrap", "annotation",
    ]
)  # fmt: skip
"""What stands inside a caption or a paragraph and is none of its text."""
BLOCKS = frozenset(
    ["break", "caption", "def", "disp-formula", "disp-quote", "list", "list-item", "p", "sec", "subtitle", "td", "term", "th",
     "title", "tr"]
)  # fmt: skip
"""Elements that a blank parts from what is around them."""
_DOCUMENT = re.compile(r"\\begin\{document\}(.*?)\\end\{document\}", re.DOTALL)


def local(node: Any) -> str:
    """The name of an element without its namespace, which differs between the versions of the DTD; "" of a comment."""
    tag = node.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def attribute(node: Any, name: str) -> str | None:
    """An attribute by its name without namespace: `href` is `xlink:href` under any prefix."""
    value = node.get(name)
    if value is None:
        value = next((node.get(key) for key in node.keys() if key.endswith("}" + name)), None)  # noqa: SIM118 - no dict
    return value


def children(node: Any, *names: str) -> Iterator[Any]:
    """The child elements of those names, in order."""
    return (child for child in node if local(child) in names)


def child(node: Any, name: str) -> Any:
    """The first child element of that name, or None."""
    return next(children(node, name), None) if node is not None else None


def descendants(node: Any, *names: str) -> Iterator[Any]:
    """The elements of those names anywhere inside, in document order."""
    return node.iter(*(f"{{*}}{name}" for name in names)) if node is not None else iter(())


def flat(node: Any, skipped: frozenset[str] = SKIPPED) -> str:
    """The text of an element with everything inside but `skipped`; "" for None."""
    if node is None:
        return ""
    pieces: list[str] = []
    _collect(node, pieces, skipped)
    return " ".join("".join(pieces).split())


def _collect(node: Any, pieces: list[str], skipped: frozenset[str]) -> None:
    if node.text:
        pieces.append(node.text)
    for inner in node:
        name = local(inner)
        if name == "tex-math":
            pieces.append(_formula(inner))
        elif name == "alternatives":
            _collect(_readable(inner), pieces, skipped)
        elif name in BLOCKS:
            pieces.append(" ")
            _collect(inner, pieces, skipped)
            pieces.append(" ")
        elif name and name not in skipped:
            _collect(inner, pieces, skipped)
        elif not name:
            pieces.append(_entity(inner))
        if inner.tail:
            pieces.append(inner.tail)


def _readable(alternatives: Any) -> Any:
    """Of the forms of one formula the one that reads as text: MathML, else TeX; all of anything else."""
    return next((form for form in alternatives if local(form) == "math"), alternatives)


def _formula(node: Any) -> str:
    """TeX without the document that PMC wraps around each formula, which holds nothing but packages."""
    source = "".join(node.itertext())
    found = _DOCUMENT.search(source)
    return (found[1] if found else source).replace("$$", " ").strip(" $\n")


def _entity(node: Any) -> str:
    """The character of an entity that no DTD was read for (`&alpha;`): JATS takes ISO's names, as HTML does."""
    name = getattr(node, "name", None)
    return html5.get(f"{name};", "") if isinstance(name, str) else ""
