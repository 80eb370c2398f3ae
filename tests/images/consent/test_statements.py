"""The other syntaxes: values that forbid, allow, are unknown or malformed."""

from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.images.consent.statements import Reservations, dictionary, directives, plain, value

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("noai", ["noai"]),
        (" NoAI , noimageai,, ", ["noai", "noimageai"]),
        ("max-image-preview: large, NoIndex", ["max-image-preview: large", "noindex"]),
        ("testbot: noai, nofollow", ["noai", "nofollow"]),
        (" TestBot : follow, noai", ["follow", "noai"]),
        ("otherbot: noai, noindex", []),
        ("noindex, otherbot: noai, nofollow", ["noindex"]),
        ("otherbot: noai, testbot: noindex", ["noindex"]),
        ("unavailable_after: 25 Jun 2010 15:00:00 PST", ["unavailable_after"]),
        ("unavailable_after: Fri, 25 Jun 2010 15:00:00 GMT, noai", ["noai", "unavailable_after"]),
        ("unavailable_after: Friday, 25-Jun-10 15:00:00 UTC, noai", ["noai", "unavailable_after"]),
        ("unavailable_after: 2025-12-31T23:00:00+00:00", ["unavailable_after"]),
        ("unavailable_after: 2026-01-02", []),
        ("unavailable_after: when pigs fly, noai", ["noai"]),
        ("unavailable_after: 31 Dec 9999 23:59:59 -9999", []),
        ("", []),
    ],
)
def test_directives(text, found):
    assert list(directives(text, {"testbot"}, NOW)) == found


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (["train-ai=n"], ["train-ai=n"]),
        (["train-ai=y, search=n"], ["train-ai=y", "search=n"]),
        (["train-ai=y", "train-ai=n"], ["train-ai=n"]),  # several fields are one; the last value counts
        (['train-ai=y, train-ai, search=n, search="n"'], []),  # the draft's example: neither is a token
        (["train-ai;allow=n, train-ai=y"], ["train-ai=y"]),
        (["Train-AI=n"], []),
        (["train-ai=n,"], []),
        (["train-ai = n"], []),
        (["ツ=n"], []),
        (["a=" + "n" * 5000], []),
        ([""], []),
    ],
)
def test_dictionaries(texts, found):
    assert list(dictionary(texts)) == found


def test_values():
    assert list(value([" 1 "])) == ["1"] and list(value(["0", "1", "0"])) == ["0", "1"] and list(value([])) == []


@pytest.mark.parametrize(
    ("rows", "path", "found"),
    [
        ([{"location": "/", "tdm-reservation": 1}], "/x", ["1"]),
        ([{"location": "/", "tdm-reservation": "1", "tdm-policy": "https://x"}], "/x", ["1"]),
        ([{"location": "/open/", "tdm-reservation": 0}, {"location": "/", "tdm-reservation": 1}], "/open/x", ["0"]),
        ([{"location": "/", "tdm-reservation": 1}, {"location": "/open/", "tdm-reservation": 0}], "/open/x", ["1"]),
        ([{"location": "*.jpg$", "tdm-reservation": 1}], "/a/b.jpg", ["1"]),
        ([{"location": "*.jpg$", "tdm-reservation": 1}], "/a/b.jpg?x", []),
        ([{"location": "/", "tdm-reservation": True}, {"location": "/"}, {"tdm-reservation": 1}, 3, None], "/x", []),
        ({"location": "/", "tdm-reservation": 1}, "/x", []),
    ],
)
def test_reservations(rows, path, found):
    assert list(Reservations(orjson.dumps(rows)).statements(path)) == found


@pytest.mark.parametrize(
    "body", [b"", b"no", b"[" * 100_000, b"\xff\xfe[", b'[{"location": "\\ud800", "tdm-reservation": 1}]']
)
def test_what_is_no_json_reserves_nothing(body):
    assert list(Reservations(body).statements("/x")) == []


@given(st.text(max_size=200))
def test_nothing_in_a_value_is_an_error(text):
    list(directives(text, {"testbot"}))
    list(directives("unavailable_after: " + text, {"testbot"}))
    list(dictionary([text]))
    list(value([text]))
    assert plain(text, 50).isprintable() and len(plain(text, 50)) <= 50


def test_a_value_of_megabytes_is_not_looked_at():
    assert list(value(["1" * 10**7])) == [] and list(directives("a," * 10**6 + "noai", ())) == ["a"] * 2048


def test_texts_of_strangers_cannot_turn_the_line():
    assert plain("/a\u202e\x1b[31m\n") == "/a\ufffd\ufffd[31m\ufffd" and plain("x" * 300) == "x" * 119 + "…"
