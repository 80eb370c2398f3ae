"""How large and how deep the tree of an HTML page would become, estimated before a parser builds it.

A parser that follows the standard looks through the open elements at most start tags, and opens unclosed formatting
elements again in each block: 18 KB of `<p><font size=N>` are half a million nodes, and 1 MB of `<div>`s takes minutes.
"""

import re
from collections import Counter
from functools import cache

import numpy as np

from curate.pools import looking
from curate.pools.pages import BadRecord

MAX_NODES, MAX_STEPS = 2_000_000, 100_000_000
"""Nodes that formatting elements may be opened again as (about 0.7 GB), and open elements looked through (seconds)."""

_FEW_TAGS = 3000
_TAG = re.compile(rb"<(/?)([a-zA-Z][^\s/>]*)([^>]{0,200})")
_FORMATTING = frozenset(["b", "big", "code", "em", "font", "i", "s", "small", "strike", "strong", "tt", "u"])
_FORMATS = re.compile(rb"<(?:%s)\b[^>]{0,200}" % "|".join(sorted(_FORMATTING)).encode(), re.IGNORECASE)
# Void elements, and those that a next one of their kind closes: they are never open inside themselves.
_FLAT = frozenset(
    [
        "a",
        "area",
        "base",
        "br",
        "col",
        "embed",
        "hr",
        "img",
        "input",
        "link",
        "meta",
        "nobr",
        "param",
        "source",
        "track",
        "wbr",
        "p",
        "li",
        "dt",
        "dd",
        "option",
        "optgroup",
        "html",
        "head",
        "body",
        "script",
        "style",
    ]
)
_PARAGRAPHS = frozenset(["p", "li", "dd", "dt"])
_CELLS = frozenset(["td", "th", "tr", "caption", "tbody", "thead", "tfoot"])


_CLOSED = frozenset(
    [
        "article",
        "aside",
        "audio",
        "body",
        "button",
        "canvas",
        "center",
        "dir",
        "div",
        "dl",
        "fieldset",
        "figure",
        "footer",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "label",
        "legend",
        "main",
        "map",
        "menu",
        "nav",
        "object",
        "ol",
        "pre",
        "section",
        "select",
        "span",
        "svg",
        "table",
        "tbody",
        "td",
        "textarea",
        "tfoot",
        "th",
        "thead",
        "tr",
        "ul",
        "video",
    ]
)


@cache
def _closed() -> np.ndarray:
    return looking.names(_FORMATTING | _CLOSED)


@cache
def _flat() -> np.ndarray:
    return looking.names(name for name in _FLAT if len(name) <= 8)


class _Scope:
    """Elements that are open in one table cell, or outside of tables. Leaving a cell closes what it opened."""

    def __init__(self) -> None:
        self._open: dict[str, list[str]] = {}
        self._like: Counter[str] = Counter()
        self._others = self._formatting = self.reopened = 0
        self._before_paragraph: int | None = None

    @property
    def depth(self) -> int:
        return self._others + self._formatting

    def start(self, name: str, tag: str) -> None:
        self._open.setdefault(name, []).append(tag)
        if name in _FORMATTING:
            # Of formatting elements that are alike, only the last three are opened again.
            self._like[tag] += 1
            self.reopened += self._like[tag] <= 3
            self._formatting += 1
        else:
            self._others += 1

    def end(self, name: str) -> None:
        if not self._open.get(name):
            return
        tag = self._open[name].pop()
        if name in _FORMATTING:
            self.reopened -= self._like[tag] <= 3
            self._like[tag] -= 1
            self._formatting = max(self._formatting - 1, 0)
        else:
            self._others -= 1

    def paragraph(self, closing: bool) -> None:
        """A paragraph ends the one before it, and with it what that opened; the formatting is opened again."""
        if self._before_paragraph is not None:
            self._formatting = min(self._formatting, self._before_paragraph + self.reopened)
        self._before_paragraph = None if closing else max(self._formatting - self.reopened, 0)


def check(html: bytes, tags: int) -> None:
    """Raises BadRecord for a page that would take a parser out of time or memory; the estimate errs far above pages.

    `tags` is the number of `<` in the page.
    """
    if tags < _FEW_TAGS:
        return
    # All formatting, of elements alike three, opened again in each element: if that is harmless, the rest is quickly known.
    formats = _FORMATS.findall(html)
    again = min(len(formats), 3 * len(set(formats)))
    if (tags - html.count(b"</")) * again < MAX_NODES and looking.steps(html, _closed(), _flat()) < MAX_STEPS:
        return
    scopes, outer, nodes, steps = [_Scope()], 0, 0, 0
    for match in _TAG.finditer(html):
        closing, name = bool(match[1]), match[2].lower().decode("latin-1")
        scope = scopes[-1]
        if name == "table" and not closing:
            outer += scope.depth + 1
            scopes.append(_Scope())
        elif name == "table" and len(scopes) > 1:
            scopes.pop()
            outer -= scopes[-1].depth + 1
        elif name in _CELLS and len(scopes) > 1:
            scopes[-1] = _Scope()
        elif name in _PARAGRAPHS:
            scope.paragraph(closing)
        elif name not in _FLAT:
            scope.end(name) if closing else scope.start(name, name + match[3].decode("latin-1"))
        if not closing:
            steps += outer + scopes[-1].depth
            nodes += 0 if name in _FORMATTING else scopes[-1].reopened
        if nodes > MAX_NODES or steps > MAX_STEPS:
            raise BadRecord(f"HTML: elements nest too deeply ({outer + scopes[-1].depth} open at once)")
