"""Pages that are hard on a parser: nasty fragments, soups of them, and trees that are nearly as they should be."""

import re
from random import Random

TAGS = (
    "a", "b", "i", "p", "div", "span", "table", "tr", "td", "th", "caption", "tbody", "colgroup", "col", "li", "ul",
    "ol", "dl", "dd", "dt", "h1", "h2", "figure", "figcaption", "picture", "select", "option", "optgroup", "button",
    "form", "template", "noscript", "body", "html", "head", "svg", "g", "path", "math", "mi", "foreignObject",
    "desc", "title", "style", "script", "textarea", "iframe", "xmp", "noframes", "noembed", "object", "marquee",
    "applet", "font", "code", "nobr", "section", "input", "link", "meta", "base", "br", "hr", "img", "source",
    "image", "frameset", "frame", "plaintext", "center", "label", "annotation-xml", "pre", "listing",
    "selectedcontent", "em", "video", "my-x", "u", "s", "small", "tt", "big", "strike",
)  # fmt: skip
TEXTS = (
    "x", "  ", " \n", "\t\f\r", "&#32;", "&Tab;", "&NewLine;", "&nbsp;", "&am", "p;", "&", "&#", "x20;", "\0", " \0", "a < b", "<", "< ",
    "text & more", "é\u00a0", "-->", "--", '"', "'", "=", ">", "]]>", "caption", "/", "\r", "&lt", "lt;", "img src=q>", "\ufeff",
)  # fmt: skip
NASTY = (
    # A caption is closed with what holds it, so that its own end tag closes nothing.
    '<div><figcaption></div><div class="figure"><div class=caption></figcaption>kept<img>',
    '<figure><img><div class=mediaobject><div class=aption><font class=caption></div></div>kept',
    # Comments, and what looks like some.
    "<!-- <img src=c> -->", "<!---->", "<!--><img src=c>-->", "<!---><img src=c>-->", "<!--x--!><img src=c>-->", "<!--x->",
    "<!-- <!-- --><img src=c> -->", "<!-- <!--> <img src=c> -->", "<!--", "<!x <img src=c>>", "<!>", "</>", "</ <img src=c>>", "</3>",
    "<![CDATA[ <img src=c> ]]>", "<?php echo '<img src=c>' ?>", '<?xml version="1.0"?>', '<!DOCTYPE x PUBLIC "a>b">', "<<div>", "<<!-- -->p>",
    "&am<!-- -->p;", "&#<!-- -->32;", "<</>b>", "< img src=c>",
    # Raw text.
    "<script>a<b</script>", "<script><img src=n></script>", "<script><!-- <img src=n> //--></script>", "<script></SCRIPT ><img src=n>",
    "<script><!-- <script> </script> <img src=n> --></script>", "<script><!--<script", "<script></scriptx></script/>", "<script>",
    "<style><img src=n></style>", "<style><!-- </style> <img src=n> -->", "<title>a<img src=n>b</title>", "<textarea><img src=n></textarea>",
    "<textarea>", "<title>", "<iframe><img src=n></iframe>", "<xmp><img src=n></XMP >", "<noembed></noembe></noembed/>",
    "<noframes><img src=n></noframes>", "<plaintext><img src=n></plaintext>", "<noscript><img src=n></noscript>",
    "<select><style><img src=n></style></select>", "<select><title><img src=n></title></select>", "<select><script><img src=n></script>",
    "<select><option selected><img src=n></select><textarea>a<b</textarea>", "<select><button><selectedcontent></button><option><img src=n>",
    # Other languages.
    "<svg><path/><title>t</title><g><rect /></g></svg>", "<svg/>", "<svg>", "</svg>", "<svg><title><img src=n></title></svg>",
    "<svg><style><img src=n></style></svg>", "<svg><desc><p><img src=n></desc></svg>", "<svg><g></svg>", "<svg> &#32; </svg>",
    "<SVG><G></g>q</svg >", "<svg><a><img src=n></svg>", "<svg><title>a<!-- </title> --></title></svg>", "<svg><g a=b/></g></svg>",
    "<svg><g a=b /></svg>", "<svg><script><img src=n></script></svg>", "<svg><image src=n></svg>", "<svg><![CDATA[<img src=n>]]></svg>",
    "<svg><foreignObject><img src=n></foreignObject></svg>", "<math><mi><img src=n></mi></math>", "<svg><p>",
    "<math><annotation-xml encoding=text/html><div><img src=n></math>", "<svg><g></svg><g></g></svg>", "<svg><rect></rect>x</SVG>",
    # Attributes.
    "<IMG SRC=b ALT=\"x>y\" foo=bar alt=z>", "<img src = \"c\" title='t\"t'/>", "<img src=d/>", "<img/src=e>", "<img =x src=f>", "<img src=g",
    '<img alt="q"title=r data-src="lazy"srcset="v 3x"=x>', '<div "x>', '<div a="', "<div id=a=b c=\"d>e\" f='g>'>", "<li\x0bx>", "<h\x11>",
    "<img a='>' alt=\"&quot;>\">", "<img alt= >", "<img alt = src=h>", "<image src=im>", "<p/><img src=n>", "<img src=\0a al\0t=b>",
    "<img data-image-title=d data-lazy-srcset='a 2x'>", "<img alt=a\x0csrc=b\rtitle=c>", "<di\0v><img src=n>", "<html lang=de><html lang=fr xml:lang=it>",
    "<body class=figure>", "<base href=/x><base target=y>", "<meta property='og:image' content=og.jpg><meta name=og:title content=T>",
    "<link class=figure itemprop=x>", "<body class=x><body class=figure><p class=caption>t</p><img src=n>",
    "<html class=x><html class=figure><p class=caption>t</p><img src=n>",
    # Figures and captions.
    "<div class=a class=caption>t</div>", "<div class='&#99;aption'>t</div>", "<div class=CAPTION>t</div>", "<p class=caption>t<p>u<p>v",
    "<span class=caption>t<div>u</span>v</div>w", "<figcaption>t<table><td></figcaption>u", "<figcaption><b>t<p></figcaption>u",
    "<div class=caption><div>t</div>u</div>v", "<p class=caption><button></p>t", "<h2 class=caption><h3>t</h2>u</h3>v", "<td class=caption>t",
    "<b class=caption>t<p>u</b>v</p>w", "<img class=caption>t", "<li class=caption>t<li>u", "<dl><dd class=caption>t<dd>u</dl>v",
    "<figure><svg class=caption><text>t</text></svg>", "<figcaption>t<script>u</script><style>v</style></figcaption>w",
    "<figcaption>t<textarea>u</textarea></figcaption>", "<select><div class=caption>t</select>u", "<my-x class=caption>t</my-x>u",
    "<figcaption>&am<br>p;</figcaption>", "<figcaption>a<span></span>b&<i></i>amp;</figcaption>", "<div class=wp-caption><img src=w><p>t</div>u",
    # Elements that are not closed as they were opened.
    "<b><div>x</b>y</div>", "<a>x<a>y</a>", "<a><div><a>x</div>", "<b><b><b><b>x</b></p>y", "<b><b><b><b></b></b></b></b><i>", "<b><p>x</b>y",
    "<p><table><img src=n>", "<table><img src=n>x<tr><td>", "<table><tr><td>x</table>y", "<table><table><img src=n>", "<p><button><p>x</button>y",
    "<h1>x<h2>y</h1>z", "<ul><li>x<ul></li>y", "<form><form></form><img src=n></form>", "<nobr>x<nobr>", "<p>x<div>y</p>z", "</p>", "</br>",
    "<dl><dt>x<dd>y<dt>z", "<table><colgroup><col><p>x", "<table><caption>x<td>y", "<table><tr><div>x</div></tr></table>",
    "<select><p>x<img src=n></select>", "<template><p>x</p><tr><td><img src=n></template>", "</body><b>x</html>y", "<span><p>x</span>y",
    "<font color=red><p>x<font color=red><p>y</font>", "<object><p>x</object>", "<applet></p>", "<marquee><b></marquee>x",
    "<picture><b></picture><source srcset='n 1x'><img src=n>", "<p><b></p><picture>x<source srcset='n 1x'><img src=n></picture>",
    "<video><source srcset='n 1x'></video><picture><source srcset='m 1x'><source srcset='n 2x'><img src=n></picture>",
    "<picture><a>x<div><a>y</a></div>z<source srcset='n 1x'><img src=n></picture>", "<form><picture><form></form><source srcset='n 1x'></form><img src=n>",
    "<a><picture><a>x</a><source srcset='n 1x'><img src=n></picture></a>", "<p><picture><button><p>x</button><source srcset='n 1x'><img src=n>",
    "<frameset><frame></frameset>", "<div></div><frameset>", "x<frameset>", "<li><frameset>", "<svg>x</svg><frameset>", "<svg></svg><frameset>",
    "<span>x</span><frameset>", "<head></head><body></body><frameset>", "<input type=hidden><frameset>", "<noframes>x</noframes><frameset>",
    "<head><noscript><link><style>x</style></noscript><b>", "<head><noscript><img src=n></noscript>", "<title>x</title>x<head><link>",
)  # fmt: skip
_ATTRIBUTES = (
    *[""] * 4, " class=caption", ' class="figure x"', ' id="a>b"', " a='<'", "/", " /", " x=y/", " CLASS=Mediaobject", ' srcset="a 1x, b 2x"',
    " =", ' ="', " a = b", " src=s", " selected",
)  # fmt: skip
_HEADS = (
    *[""] * 3, "<!doctype html>", "<!doctype html>\n<html lang=x>\n<head><title>a</title><script>a<b</script>", "<title>x", "text", " \n ",
    "<html><head><noscript><link rel=x><style>y</style></noscript></head>", "<head><noscript><img src=nos></noscript>", "\ufeff",
    "<head><title>x</title></head><noscript></noscript>", "<head></p>", "<head><template></template></head>",
)  # fmt: skip
_TAILS = (
    "", "", "</body></html>", "</body>tail<div><b>x<p></b><img src=1>", "<frameset><frame>", "</b><p>x<img src=2>",
    "<frameset><noframes><img src=nf></noframes></frameset>", "<table><img src=3><tr><td>x</table><img src=4>",
)  # fmt: skip
_LEAVES = (
    "text", "  ", "&#32;", "a & b", "<", "&nbsp;", "<br>", "<hr>", "<wbr>", "<link rel=x>", "<input>", "<meta name=robots content=x>",
    "<meta charset=y>", "<base href=/z>", "<!-- c -->", "<svg><path/></svg>", "<source srcset=z>", "<area>", "<script>a<b</script>",
    "<style>x</style>", "<textarea>y</textarea>", "<iframe></iframe>", "<title>x</title>", *["<img src=i alt=t>"] * 6,
)  # fmt: skip
_INLINE = (
    "span", "a", "b", "i", "em", "picture", "label", "font", "select", "button", "noscript", "strong", "code",
)  # fmt: skip
_BLOCKS = (
    "div", "p", "h1", "h2", "h3", "ul", "dl", "table", "figure", "section", "form", "center", "pre", "video",
    "blockquote", "template", "object", "my-x", "fieldset", "address",
)  # fmt: skip


def soup(chance: Random) -> str:
    """Up to 25 tags, texts and nasty fragments in any order."""
    kinds = (
        lambda: f"<{chance.choice(TAGS)}{chance.choice(_ATTRIBUTES)}>",
        lambda: f"</{chance.choice(TAGS)}{chance.choice(('', ' ', '/'))}>",
        lambda: chance.choice(TEXTS),
        lambda: chance.choice(NASTY),
        lambda: f"<img src=i{chance.randrange(100)}>",
    )
    parts = [chance.choice(kinds)() for _ in range(chance.randrange(1, chance.choice((4, 7, 13, 26))))]
    return chance.choice(_HEADS) + "".join(parts) + "<img src=last>tail<img src=end>"


def tree(chance: Random) -> str:
    """Elements that are closed as they were opened, nearly all, and then a few pieces lost, doubled, swapped or put in."""
    body = _tree(chance, chance.randrange(1, 7)) + "<img src=last>" + _tree(chance, 2) + "<img src=end>"
    page = chance.choice(_HEADS) + chance.choice(("", "<body>", "<body class=x>")) + body + chance.choice(_TAILS)
    parts = re.findall(r"<[^<]*|^[^<]+", page)
    for _ in range(chance.choice((0, 0, 0, 1, 1, 2, 4))):
        at, other = chance.randrange(len(parts)), chance.randrange(len(parts))
        changed = chance.choice(
            ("", parts[at] * 2, parts[other], chance.choice(NASTY), f"</{chance.choice(TAGS)}>{parts[at]}")
        )
        parts[at] = changed
    return "".join(parts) + "<img src=fin>"


def _tree(chance: Random, depth: int) -> str:
    return "".join(
        chance.choice(_LEAVES) if depth <= 0 or chance.random() < 0.4 else _element(chance, depth - 1)
        for _ in range(chance.choice((0, 1, 1, 2, 3)))
    )


def _element(chance: Random, depth: int) -> str:
    name = chance.choice(chance.choice((_INLINE, _BLOCKS)))
    match name:
        case "ul":
            inside = _several(chance, depth, ["li"])
        case "dl":
            inside = _several(chance, depth, ["dt", "dd"])
        case "select":
            inside = _several(chance, -1, ["option"])
        case "table":
            rows = "".join(
                "<tr>" + _several(chance, depth, ["td", "td", "th"]) + _end(chance, "tr")
                for _ in range(chance.randrange(3))
            )
            ahead = chance.choice(
                ("", "<caption>" + _tree(chance, depth) + "</caption>", "<colgroup><col></colgroup>", "<colgroup><col>")
            )
            inside = ahead + chance.choice((rows, f"<tbody>{rows}</tbody>", f"<thead><tr><th></thead><tbody>{rows}"))
        case "picture":
            inside = f'<source srcset="q{chance.randrange(9)} 1x">' + _tree(chance, depth - 1) + "<img src=p>"
        case "figure":
            inside = (
                _tree(chance, depth)
                + "<figcaption>cap "
                + _tree(chance, depth - 1)
                + " tion</figcaption>"
                + _tree(chance, depth - 1)
            )
        case _:
            inside = _tree(chance, depth)
    return f"<{name}{chance.choice(('', '', '', ' class=caption', ' class=figure', ' color=red'))}>{inside}{_end(chance, name, 0.06)}"


def _several(chance: Random, depth: int, names: list[str]) -> str:
    chosen = chance.choices(names, k=chance.randrange(4))
    return "".join(f"<{name}>{_tree(chance, depth) if depth > 0 else 'x'}{_end(chance, name)}" for name in chosen)


def _end(chance: Random, name: str, lost: float = 0.25) -> str:
    return "" if chance.random() < lost else f"</{name}>"
