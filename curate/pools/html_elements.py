"""What of each HTML element the tree must know so that it has the same images in the same places, and how an element can end a caption.

An element that is not here stays as it is, with all its attributes: formatting elements among them, of which those with equal
attributes are counted (the "Noah's Ark clause"), and what options, inputs and templates do depends on theirs.
"""

from curate.pools.html_bytes import names
from curate.pools.pages import ATTRIBUTES as TEXTS

LAZY = (
    "data-src", "data-original", "data-lazy-src", "data-lazy", "data-ll-src", "data-echo", "data-actualsrc",
    "data-img-src", "data-defer-src",
)  # fmt: skip
"""Where scripts that load images late keep the address; the first one that an image has counts."""
SRCSETS = ("srcset", "data-srcset", "data-lazy-srcset")

PLAIN, VOID, UNSEEN, RAW, SCRIPT, DOUBT, SELECT, DRAWING = (1 << bit for bit in range(8))
"""Attributes do not matter; holds nothing; is nothing where it says nothing; holds text with no tags in it; is a script; nothing behind
it is sure; may stand open where text with no tags is not read as such; is an `<svg>`."""
DRAWN, LABEL, PHRASE, BLOCK, WRAPS, HOLDS, ALONE = (1 << bit for bit in range(8, 15))
"""Stands in an `<svg>`, with elements or only text in it; does not keep the end tag of any element around it, or of a block, from closing
that; is closed by its end tag whatever of those two it holds, or phrases; is closed by a next one of its kind."""
IMG, SOURCE, META, BASE, HTML, CAPTION = (1 << bit for bit in range(16, 22))
"""Has attributes that matter; is a `<figcaption>`."""
LINK, PARAGRAPH, HEADING, FORM, BUTTON = (1 << bit for bit in range(22, 27))
"""Of its kind never two are open."""
FORMATTING, ENDS_FRAMES, HEAD, NOSCRIPT, INPUT = (1 << bit for bit in range(27, 32))
"""Is reopened where it was not closed; no `<frameset>` counts behind it; may stand before a body; is one of these."""
ONLY_ONE = LINK | PARAGRAPH | HEADING | FORM | BUTTON | SELECT
OF_ELEMENTS = IMG | SOURCE | META | BASE | HTML

_KINDS = {
    PLAIN: """a abbr acronym address article aside audio bdi bdo blockquote body br button canvas caption center cite col colgroup data dd
        del details dfn dialog div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 head header hgroup hr iframe ins kbd label
        legend li link main map mark menu meter nav noscript ol optgroup p picture pre progress q rp rt ruby samp script search section span
        style sub summary sup table tbody td textarea tfoot th thead time title tr ul var video wbr img source meta base html""",
    VOID: "area base br col hr img input link meta param source track wbr",
    UNSEEN: "link meta",
    RAW: "iframe noembed noframes script style textarea title xmp",
    SCRIPT: "script",
    DOUBT: "frameset math plaintext",
    SELECT: "select",
    DRAWING: "svg",
    DRAWN: """animate circle clippath defs ellipse filter g line lineargradient marker mask path pattern polygon polyline
        radialgradient rect stop symbol text tspan use""",
    LABEL: "desc style title",
    PHRASE: """a abbr acronym b bdi bdo big br cite code data del dfn em font i img ins kbd label mark q s samp small span strike strong
        sub sup time tt u var wbr""",
    BLOCK: """address article aside blockquote center dd details div dl dt figcaption figure footer h1 h2 h3 h4 h5 h6 header hgroup hr li
        main menu nav ol p pre section summary ul""",
    WRAPS: "article aside center div figcaption figure footer header main nav p section",
    HOLDS: "dd dt h1 h2 h3 h4 h5 h6 li span",
    ALONE: "dd dt li p",
    IMG: "img",
    SOURCE: "source",
    META: "meta",
    BASE: "base",
    HTML: "html",
    CAPTION: "figcaption",
    LINK: "a",
    PARAGRAPH: "p",
    HEADING: "h1 h2 h3 h4 h5 h6",
    FORM: "form",
    BUTTON: "button",
    FORMATTING: "a b big code em font i s small strike strong tt u",
    ENDS_FRAMES: "area br button dd dt hr iframe img input li pre select table textarea wbr",
    HEAD: "base head html link meta script style title",
    NOSCRIPT: "noscript",
    INPUT: "input",
}  # fmt: skip


PLACE = 32
"""The bit of a kind from which on stands where the element may stand, for who takes only what is closed as it was opened."""
(
    INLINE,
    BLOCK_LEVEL,
    LIST,
    ITEM,
    DEFINITIONS,
    DEFINED,
    TABLE,
    ROWS,
    ROW,
    CELL,
    TABLE_CAPTION,
    COLUMNS,
    CHOICE,
    OPTION,
    ANYWHERE,
    BODY,
    COLUMN,
) = (place << PLACE for place in range(1, 18))
_PLACES = {
    INLINE: """a abbr acronym area audio b bdi bdo big br button canvas cite code data del dfn em font i iframe img input ins kbd label map mark
        meter noscript output picture progress q s samp small source span strike strong sub sup svg textarea time track tt u var video wbr""",
    BLOCK_LEVEL: """address article aside blockquote center details div fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 header
        hgroup hr main nav p pre section summary""",
    LIST: "menu ol ul",
    ITEM: "li",
    DEFINITIONS: "dl",
    DEFINED: "dd dt",
    TABLE: "table",
    ROWS: "tbody tfoot thead",
    ROW: "tr",
    CELL: "td th",
    TABLE_CAPTION: "caption",
    COLUMNS: "colgroup",
    CHOICE: "select",
    OPTION: "option",
    ANYWHERE: "base link meta script style",
    BODY: "body",
    COLUMN: "col",
}


def _sums(words: dict[int, str]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for number, listed in words.items():
        for word in listed.split():
            sums[word] = sums.get(word, 0) | number
    return sums


CLASS = 1
"""An attribute that may make a figure or a caption of any element; numbers of the others are those of the elements that need them."""
_ALL = _sums(_KINDS | _PLACES)
ELEMENTS = names(_ALL)
ATTRIBUTES = names(
    _sums(
        {
            CLASS: "class",
            IMG: " ".join(("src", *LAZY, *SRCSETS, *TEXTS)),
            SOURCE: " ".join(SRCSETS),
            META: "name property content",
            BASE: "href",
            HTML: "lang xml:lang",
        }
    )
)
