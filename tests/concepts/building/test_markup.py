"""The text of articles: what is markup goes, and words that it parted stay apart."""

import time

import pytest

from curate.concepts.building import markup
from tests.concepts.building import dumps


def plain(wiki: str) -> str:
    return " ".join(markup.plain_text(wiki).split())


def test_markup_goes_and_words_stay():
    text = plain(dumps.MARKUP)
    assert (
        "hidden" not in text.lower()
        and "[[" not in text.replace("[[plain]]", "")
        and "{" not in text
        and "<" not in text
    )
    for kept in ("The cat is a small meat eater .", '"liked"', "people & dogs", "Names", "Tom", "[[plain]]", "a site"):
        assert kept.replace(" .", ".") in text, (kept, text)


@pytest.mark.parametrize(
    ("wiki", "text"),
    [
        ("London<br/>England<br>Europe<p>a</p>b<div>c</div>d", "London England Europe a b c d"),
        ("a <ref name=x/> b <ref>hidden</ref>c<ref name='x' group=y>hidden {{cite|hidden}}</ref> d", "a b c d"),
        ('a<ref name="x" /> b<ref name="y">hidden\nhidden</ref>', "a b"),
        ("__NOTOC__ a __KEIN_INHALT__ snake_case", "a snake_case"),
        ("a https://hidden.example/hidden?x=1 b", "a b"),
        ("<score>hidden</score> <syntaxhighlight lang='c'>int hidden;</syntaxhighlight> <math>\\hidden</math> a", "a"),
        ("<section begin=hidden /> a <maplink hidden /> b", "a b"),
        (
            "-{zh-hans:\u7b80\u4f53;zh-hant:\u7e41\u9ad4}- -{\u539f\u6587}- -{A|zh-cn:\u7532; zh-tw:\u4e59}-",
            "\u7b80\u4f53 \u7e41\u9ad4 \u539f\u6587 \u7532 \u4e59",
        ),
        ("{| class='hidden'\n! scope='hidden' | Head\n|-\n| align=hidden | one || two\n|}", "Head one two"),
        ("[[Datei:x.jpg|mini|hidden [[hidden]]]] [[de:Hidden]] [[Star Wars: Five|film]] [[a|b]]s", "film bs"),
    ],
)
def test_what_is_no_text_of_the_article_goes(wiki, text):
    assert plain(wiki) == text


@pytest.mark.parametrize(
    "piece",
    ["<ref a", "<br ", "<ref a='", "[http://a ", "<!--", "{{a|", "{{", "[[a|", "<score>", "-{", "-{a|", "<a x/", "__a"],
)
def test_what_is_begun_a_hundred_thousand_times_is_tangled_or_read_at_once(piece):
    start = time.monotonic()
    if markup.tangle(piece * 100_000) <= markup.TANGLE:
        markup.plain_text(piece * 100_000)
    assert time.monotonic() - start < 60


def test_markup_that_is_ended_is_no_tangle():
    text = "{{a|b}} [[c|d]] [http://x y] <!-- z --> <ref name=a /> <ref>b</ref> {| a\n|} <br> [note] "
    assert markup.tangle(text * 1000) < 2 * len(text * 1000)
