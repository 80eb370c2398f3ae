"""Images of a page, as the page writes them."""

import pytest

from curate.pools import html
from curate.pools.pages import BadRecord, Found
from tests.archives import images_of


def images(markup: str) -> list[tuple[tuple[str, ...], tuple[tuple[str, str], ...]]]:
    found = Found()
    page_of(markup.encode(), found)
    return images_of(found)


def page_of(markup: bytes, found: Found | None = None):
    return html.read(markup, 0, found or Found())


def addresses(markup: str) -> list[tuple[str, ...]]:
    return [found for found, _ in images(markup)]


def test_texts_keep_their_kinds_in_order():
    assert images('<img title="T" data-image-title="D" alt="A &amp; é" src="a.jpg">') == [
        (("a.jpg",), (("alt", "A & é"), ("title", "T"), ("data-image-title", "D")))
    ]


@pytest.mark.parametrize("name", html.LAZY)
def test_a_lazy_address_stands_beside_the_placeholder(name):
    assert addresses(f'<img src="data:image/gif;base64,R0" {name}="/real.jpg" alt=x>') == [
        ("data:image/gif;base64,R0", "/real.jpg")
    ]


def test_the_largest_candidate_is_found():
    assert addresses('<img src="a.jpg" srcset="a.jpg 1x, b.jpg 2x">') == [("a.jpg", "b.jpg")]
    assert addresses('<img data-srcset="s.jpg 320w, l.jpg 640w">') == [("l.jpg",)]


def test_a_picture_gives_its_sources_to_its_own_image():
    markup = (
        "<picture><source srcset='a.webp 1x, b.webp 2x'><img src=a.jpg></picture>"
        "<picture><img src=c.jpg><source srcset='late.webp 9x'></picture><img src=d.jpg>"
        "<video><source srcset='no.webp 9x'></video><picture><img src=e.jpg></picture>"
    )
    assert addresses(markup) == [("a.jpg", "b.webp"), ("c.jpg",), ("d.jpg",), ("e.jpg",)]


def test_images_without_script_count_and_those_in_text_do_not():
    markup = (
        "<noscript><img src=yes.jpg></noscript><!-- <img src=no1.jpg> --><script>'<img src=no2.jpg>'</script>"
        "<textarea><img src=no3.jpg></textarea><style><img src=no4.jpg></style><IMG SRC=also.jpg>"
    )
    assert addresses(markup) == [("yes.jpg",), ("also.jpg",)]


def test_the_page_speaks_of_itself():
    page = page_of(
        b'<html lang="de-AT"><head><base target=x><base href="/b/"><base href="/c/"><meta name=ROBOTS content="NoAI, noindex">'
        b'<meta name="robots" content=" noindex , nofollow"><meta name=description content=noimageai><meta name=TDM-Reservation content=" 1"></head>',
    )
    assert (page.lang, page.base, page.robots) == ("de-AT", "/b/", "noai,noindex,nofollow,tdm-reservation:1")
    assert page_of(b"") == (None, None, None)
    assert images("") == []


def test_an_image_without_anything_is_an_image():
    assert images("<img><img src alt><img src=' '>") == [((), ())] * 3


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "markup",
    ["<div>" * 200_000, "".join(f"<p><font size={i}>" for i in range(20_000)), "<table><tr><td><div>" * 50_000],
)
def test_a_page_that_would_stall_the_parser_is_refused(markup):
    with pytest.raises(BadRecord, match="nest too deeply"):
        page_of(f"{markup}<img src=a.jpg alt=x>".encode())


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "markup",
    [
        "<div><b>x</b><p>y<br></div>" * 20_000,
        "<table>" + "<tr><td><font size=2>open" * 20_000,
        "<p>a<font color=red>" * 10_000,
        "<li><a name=x>" * 20_000,
        "<table><tr><td><table><tr><td><b>x</td></tr></table></td></tr></table>" * 5_000,
    ],
)
def test_a_long_page_of_everyday_faults_is_read(markup):
    assert addresses(markup + "<img src=a.jpg alt=x>") == [("a.jpg",)]


@pytest.mark.parametrize(
    "markup",
    [
        "<figure><a><IMG src=a.jpg></a><figcaption>A  <b>cat</b>\n of ours</figcaption></figure>",
        "<FIGURE><FIGCAPTION>A cat of ours</FIGCAPTION><div><p><img src=a.jpg></div></FIGURE>",
        '<div class="wp-caption alignleft"><img src=a.jpg><p class="wp-caption-text">A cat of ours</p></div>',
        '<div class=mediaobject><img src=a.jpg><div class="caption"><p>A cat of ours</p></div></div>',
        "<figure><p class=caption-box>no</p><img src=a.jpg><figcaption>A cat of ours</figcaption><figcaption>no</figcaption></figure>",
        "<figure><figure><img src=a.jpg><figcaption>A cat of ours</figcaption></figure><figcaption>no</figcaption></figure>",
        "<figure><figcaption>no</figcaption><figure><img src=a.jpg><figcaption>A cat of ours</figcaption></figure></figure>",
    ],
)
def test_an_image_has_the_caption_of_its_own_figure(markup):
    before, behind = "<p><img src=0.jpg></p>", "<img src=1.jpg alt=x><p class=caption>loose</p>"
    assert images(before + markup + behind) == [
        (("0.jpg",), ()),
        (("a.jpg",), (("figcaption", "A cat of ours"),)),
        (("1.jpg",), (("alt", "x"),)),
    ]


def test_a_caption_comes_after_what_the_image_says_itself():
    markup = "<figure><img src=a.jpg title=T alt=A><img src=b.jpg><figcaption>C</figcaption></figure>"
    assert images(markup) == [
        (("a.jpg",), (("alt", "A"), ("title", "T"), ("figcaption", "C"))),
        (("b.jpg",), (("figcaption", "C"),)),
    ]


def meta(name: str, content: str, key: str = "property") -> str:
    return f'<meta {key}="{name}" content="{content}">'


@pytest.mark.parametrize(
    ("metas", "found"),
    [
        ([("og:image", "a.jpg"), ("og:title", "T")], [("a.jpg",)]),
        ([("og:title", "T"), ("og:image:url", "a.jpg")], [("a.jpg",)]),
        ([("OG:Image", "a.jpg"), ("og:title", "T"), ("og:image:secure_url", "s.jpg")], [("a.jpg", "s.jpg")]),
        ([("og:title", "T"), ("og:image:secure_url", "s.jpg")], [("s.jpg",)]),
        (
            [("og:title", "T"), ("og:image", "a.jpg"), ("og:image:url", "a.jpg"), ("og:image", "b.jpg")],
            [("a.jpg",), ("b.jpg",)],
        ),
        (
            [
                ("og:title", "T"),
                ("og:title", "later"),
                ("og:image:width", "9"),
                ("og:image", " "),
                ("twitter:image", "t.jpg"),
            ],
            [],
        ),
    ],
)
@pytest.mark.parametrize("key", ["property", "name"])
def test_a_page_is_shared_with_its_images_and_its_title(metas, found, key):
    markup = "".join(meta(name, content, key) for name, content in metas)
    assert images(f"<head>{markup}</head><img src=i.jpg alt=x>") == [
        (("i.jpg",), (("alt", "x"),)),
        *((addresses, (("og", "T"),)) for addresses in found),
    ]


def test_an_image_to_share_without_a_title_has_no_text():
    assert images(meta("og:image", "a.jpg")) == [(("a.jpg",), ())]
