"""What is taken from a reduced page is what is taken from all of it."""

import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastwarc.warc import ArchiveIterator, WarcRecordType

from curate.pools import charsets, html, reducing
from curate.pools.pages import BadRecord, Found, Page
from tests.pools import tag_soup

DEMO = Path(__file__).resolve().parents[2] / "demo" / "pool" / "warc" / "SAMPLE.warc.gz"
TAIL = "</b><div><img src=last.jpg></div><img src=end.jpg>"


def captions(page: bytes) -> bool:
    return b"aption" in page or b"APTION" in page


def taken(page: bytes, captions: bool) -> tuple[Page | str, Found]:
    found = Found()
    try:
        return html.parsed(page, captions, 0, found), found
    except BadRecord as error:
        return str(error).partition(" (")[0], found


def differs(page: bytes) -> bool:
    may = captions(page)
    return taken(page, may) != taken(reducing.reduced(page, may), may)


def holds(*pages: str) -> None:
    for page in pages:
        for around in (
            "{}",
            "{}" + TAIL,
            "<!doctype html><body>{}" + TAIL,
            "<figure>{}" + TAIL,
        ):
            assert not differs(around.format(page).encode()), around.format(page)


def reduced(page: str) -> str:
    return reducing.reduced(page.encode(), captions(page.encode())).decode()


def test_a_page_loses_what_nothing_is_taken_from():
    page = (
        '<!DOCTYPE html>\n<html lang="de" class="no-js"><head><title>A & B</title><link rel=icon href=x><meta charset=utf-8>'
        '<meta name="robots" content="a > b"><script>if (a < b) "<img src=no>"</script><style>p > a {}</style></head>\n'
        '<body onload="x()"><!-- <p> --><nav><ul><li><a href="/">Home</a><li>More</ul></nav><div id="1"><p>Text <b>bold</b><br>'
        '<svg viewBox="0 0 1 1"><title>x</title><path d="M0"/></svg>'
        '<a href="b"><img width=1 alt="A > B" class="c" src=a.jpg loading="lazy" srcset="b.jpg 2x"/></a> more</div></body></html>'
    )
    assert reduced(page) == (
        '<!DOCTYPE html> <html lang="de"><head><title></title><meta name="robots" content="a > b"><script></script><style></style></head> '
        '<body><div><p><a><img alt="A > B" src=a.jpg srcset="b.jpg 2x"></a></p></div></body></html>'
    )
    holds(page)


def test_with_captions_their_text_stays_and_what_makes_a_figure():
    page = (
        '<body>lost<div class="x wp-caption" id=1><p>kept</p><img src=a><p class="wp-caption-text">Two <i>words</i><!-- --> more</p></div>lost'
        '<div class="y"><figure class="z"><img src=b><figcaption class=q>A<br>b</figcaption></figure>lost</div>'
    )
    assert reduced(page) == (
        '<body><div class="x wp-caption"><p>kept</p><img src=a><p class="wp-caption-text">Two <i>words</i> more</p></div>'
        "<div><figure><img src=b><figcaption>A<!>b</figcaption></figure></div>"
    )
    holds(page)


@pytest.mark.parametrize("page", tag_soup.NASTY)
def test_a_nasty_page(page):
    holds(
        page,
        f"<p>{page}",
        f"<table><tr>{page}",
        f"<ul><li><p><b>{page}",
        f"<select>{page}",
        f"<svg>{page}",
        f"<div><a>{page}</a>",
    )


def test_what_the_end_of_a_page_cuts_off():
    whole = "<!doctype html><body><p class='a'>x<!-- c --><script>a</script><svg><g/></svg><img src=\"a\" alt = b ><figcaption></figcaption>"
    holds(*(whole[:end] for end in range(len(whole))))


def test_pages_of_a_crawl():
    count = size = left = 0
    for page in pages_of(DEMO):
        assert not differs(page)
        count, size, left = count + 1, size + len(page), left + len(reducing.reduced(page, captions(page)))
    assert count > 50
    assert left < size / 2


def pages_of(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        for record in ArchiveIterator(stream, parse_http=True, record_types=WarcRecordType.response):
            if record.http_content_type == "text/html":
                yield charsets.utf8(record.reader.read(), record.http_charset)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", [tag_soup.soup, tag_soup.tree])
def test_random_pages(kind, seed):
    chance = random.Random(seed)
    for _ in range(700):
        page = kind(chance).encode()
        assert not differs(page), smallest(page)


def smallest(page: bytes) -> bytes:
    """As little of a page as still differs."""
    parts, at = re.findall(rb"<[^<]*|^[^<]+", page), 0
    while at < len(parts):
        shorter = parts[:at] + parts[at + 1 :]
        parts, at = (shorter, 0) if differs(b"".join(shorter)) else (parts, at + 1)
    return b"".join(parts)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "part",
    [
        "<svg>",
        "<svg><g>",
        "<div>",
        "<!--",
        "<script>",
        "<script><!--",
        "<p",
        "<p a='",
        "<figcaption>",
        "</",
        "&",
        "<svg><g/></svg>",
    ],
)
def test_time_does_not_explode(part):
    page = (part * (2**20 // len(part))).encode()
    assert len(reducing.reduced(page, True)) <= 2 * len(page)
