"""A page of a dump, and the text of an article without its markup.

Nothing of the XML is parsed but a page's few fields, so a document cannot make the reader expand or fetch anything.
"""

import html
import re
from collections import Counter

from curate.concepts.building.assembling import BuildError

LONGEST_PAGE = 4 * 2**20
"""Characters of a page; MediaWiki takes articles of 2 MiB."""
TITLE, NAMESPACE = re.compile(r"<title>(.*?)</title>", re.S), re.compile(r"<ns>\s*(-?\d+)\s*</ns>")
TEXT = re.compile(r"<text(?:\s[^>]*)?>(.*?)</text>", re.S)
REDIRECT = re.compile(r"<redirect\s")
TAGS = re.compile(r"<[^<>]{0,500}>")
BRACKETS = re.compile(
    r"\[\[|\]\]|\{\||\|\}|\{\{|\}\}|\[(?:https?:|ftp:)?//|\]|<!--|-->|<(/?)([A-Za-z]{1,20})[^<>]*?(/>|>|(?=<)|\Z)"
)
CLOSES = {"]]": "[[", "|}": "{|", "}}": "{{", "]": "[", "-->": "<!--"}
SINGLE = frozenset({"br", "hr", "wbr", "li", "dt", "dd", "th", "td", "tr", "p"})
TANGLE = 10**8
"""About a second of the parser's time: half a megabyte of `<ref>` takes it eight minutes."""
STYLE = re.compile("'{2,5}")
"""Italics and bold; the parser is told to leave them, since unbalanced ones cost it most."""
BREAK = re.compile(r"</?(?:br|hr|p|li|dd|dt|td|th|tr|div|blockquote|center)\b", re.I)
"""Tags that part words."""
NO_PROSE = re.compile(
    r"<(ce|chem|graph|hiero|indicator|mapframe|maplink|ref|score|source|syntaxhighlight|templatedata|timeline)\b"
    r"[^<>]{0,500}(?<!/)>.*?</\1\s*>",
    re.I | re.S,
)
"""Footnotes, formulas, maps, code and the like, which the parser takes for text of the article. One that ends itself has nothing to take out:
not `<ref name=x/>` either, which the parser takes for the beginning of a reference named `x/`."""
SWITCH = re.compile(r"__[^\W\d_]+(?:_[^\W\d_]+)*__")
"""`__NOTOC__` and its kind."""
ADDRESS = re.compile(r"\b(?:https?|ftp)://\S+")
VARIANTS, VARIANT = re.compile(r"-\{(?:[^{}|]{0,40}\|)?([^{}|]{0,2000})\}-"), re.compile(r"(?:[a-z]+(?:-[a-z]+)*:)")
"""`-{zh-hans:a;zh-hant:b}-`: the same in several scripts, as Chinese, Serbian and others write it."""
ELSEWHERE = re.compile(r"\s*:?[^\W\d_][^:|\[\]]{0,40}:\S")
"""The target of a link to a file, a category or another wiki, whose text is no text of the article."""


def article(page: str) -> tuple[str, str]:
    """What a page is, in a word, and the wiki text of an article. No word for what stands behind the last page."""
    if "<page>" not in page:
        return "", ""
    if len(page) > LONGEST_PAGE:
        return "too_long", ""
    page = page[page.rindex("<page>") :]
    # Where a file is cut off, its last page has no end; the reader of Spark hands it over like any other.
    if "</revision>" not in page:
        return "broken", ""
    space = NAMESPACE.search(page)
    if space is None or not TITLE.search(page):
        return "broken", ""
    if int(space.group(1)) != 0:
        return "elsewhere", ""
    if REDIRECT.search(page):
        return "redirect", ""
    text = TEXT.search(page)
    return "article", html.unescape(text.group(1)) if text else ""


def tangle(wiki: str) -> int:
    """What an article's unbalanced markup may cost the parser: how many things are begun and not ended, or are inside one
    another, times the length of the text. For each the parser reads on to the end before it gives up."""
    depths = Counter[str]()
    deepest = 0
    for found in BRACKETS.finditer(wiki):
        mark, closes, name, end = found.group(), found.group(1), (found.group(2) or "").lower(), found.group(3)
        if name and (end == "/>" or (end and name in SINGLE)):
            continue
        kind = name or CLOSES.get(mark, "[" if "//" in mark else mark)
        if (closes and end) or mark in CLOSES:
            depths[kind] -= depths[kind] > 0
        else:
            depths[kind] += 1
            deepest = max(deepest, depths[kind])
    return max(deepest, depths.total()) * len(wiki)


def plain_text(wiki: str) -> str:
    """The text of an article without its markup. Raises whatever the parser raises."""
    import mwparserfromhell

    wiki = BREAK.sub(r" \g<0>", NO_PROSE.sub(" ", SWITCH.sub(" ", wiki)))
    wiki = VARIANTS.sub(lambda found: " " + VARIANT.sub(" ", found.group(1)).replace(";", " ") + " ", wiki)
    code = mwparserfromhell.parse(wiki, skip_style_tags=True)
    for link in code.filter_wikilinks(recursive=True):
        if ELSEWHERE.match(str(link.title)):
            # A link inside one that is gone already is gone with it.
            try:
                code.remove(link)
            except ValueError:
                continue
    plain = html.unescape(code.strip_code(normalize=True, collapse=True))
    return ADDRESS.sub(" ", TAGS.sub(" ", STYLE.sub("", plain)))


def need_parser() -> None:
    """Raises BuildError when the parser of wiki markup is not installed."""
    try:
        import mwparserfromhell  # noqa: F401
    except ImportError as error:
        raise BuildError(
            "--wikipedia: the package mwparserfromhell is missing: pip install 'curate-pairs[metadata]'"
        ) from error
