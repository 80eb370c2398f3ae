"""Addresses: what a browser would ask for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.pools.addresses import absolute, candidates, largest

BASE = "http://news.example/a/page.html"


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("b.jpg", "http://news.example/a/b.jpg"),
        ("../b.jpg", "http://news.example/b.jpg"),
        ("/b.jpg", "http://news.example/b.jpg"),
        ("//cdn.example/b.jpg", "http://cdn.example/b.jpg"),
        ("HTTPS://CDN.example:443/b c.jpg?q=ü#frag", "https://cdn.example/b%20c.jpg?q=%C3%BC"),
        ("  b.jpg\n", "http://news.example/a/b.jpg"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("data:image/gif;base64,R0lGOD", "data:image/gif;base64,R0lGOD"),
    ],
)
def test_addresses_resolve_as_browsers_resolve_them(address, url):
    assert absolute(address, BASE) == url


@pytest.mark.parametrize("address", ["http://[::1/b.jpg", "http://a b.example/", "//", "\ud800"])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(ValueError):
        absolute(address, BASE)


def test_without_a_base_only_whole_addresses_resolve():
    assert absolute("http://a.example/b.jpg#x", None) == "http://a.example/b.jpg"
    with pytest.raises(ValueError):
        absolute("b.jpg", None)


@given(st.text(max_size=60))
def test_a_resolved_address_stays_as_it_is(address):
    try:
        url = absolute(address, BASE)
    except ValueError:
        return
    assert url.isascii()
    assert absolute(url, BASE) == url == absolute(url, None)


@pytest.mark.parametrize(
    ("srcset", "found"),
    [
        ("a.jpg 1x, b.jpg 2x", [("a.jpg", 1), ("b.jpg", 2)]),
        ("a.jpg 480w,b.jpg 800w", [("a.jpg", 480), ("b.jpg", 800)]),
        ("a.jpg,b.jpg 2x", [("a.jpg,b.jpg", 2)]),
        ("a.jpg, b.jpg", [("a.jpg", 1), ("b.jpg", 1)]),
        ("data:image/png;base64,AAA= 1x, c.jpg 100w 50h", [("data:image/png;base64,AAA=", 1), ("c.jpg", 100)]),
        (" ,,a.jpg (x, y) 3x ,b.jpg", [("a.jpg", 3), ("b.jpg", 1)]),
        ("a.jpg nonsense", [("a.jpg", 1)]),
        (" ", []),
        (",", []),
    ],
)
def test_srcset_is_cut_as_html_says(srcset, found):
    assert candidates(srcset) == found


def test_the_largest_candidate_of_several_sets_counts():
    assert largest(["a 1x, b 2x", "c 640w, d 320w"]) == "c"
    assert largest(["a, b"]) == "a"
    assert largest(["", " "]) is None


@pytest.mark.timeout(20)
@pytest.mark.parametrize("piece", [",", "(", "a (", "a,", " ", "a 1x,"])
def test_a_hostile_srcset_takes_linear_time(piece):
    candidates(piece * 200_000)
