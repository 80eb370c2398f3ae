"""URLs of tables: taken as they stand where a parser would say the same."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from curate.pools import table_values
from tests.pools.reading_tables import URL


@given(st.from_regex(r"https?://[a-z0-9.-]{1,12}\.[a-z]{1,3}(/[ -~]{0,12}){0,3}(\?[ -~]{0,8})?", fullmatch=True))
def test_a_url_that_is_taken_as_it_stands_is_what_a_parser_says(url):
    (found,), (problem,) = table_values.urls(pa.array([url]), 10**6)
    try:
        assert (found.as_py(), problem) == (table_values.absolute(url, None), 0)
    except ValueError:
        assert table_values.PROBLEMS[problem] == "bad_url"


SEGMENT = st.sampled_from(
    ["", ".", "..", "...", ".a", "a.", "%2e", "a%2E", "%zz", "a:b@c", "~", "-", "'", "a^b", "|", "x,y;z=1"]
)


@given(
    st.sampled_from(["a.b", "a.1", "xn--a.b", "a_b.c", "-a.b", "1.2.3.4", "0x1.b", "a..b", "a.b:80", "a.b."]),
    st.lists(SEGMENT),
)
def test_dots_and_signs_in_a_url_are_what_a_parser_says(host, segments):
    test_a_url_that_is_taken_as_it_stands_is_what_a_parser_says.hypothesis.inner_test(
        "/".join([f"http://{host}", *segments])
    )


def test_most_urls_need_no_parser(monkeypatch):
    monkeypatch.setattr(table_values, "absolute", None)
    urls = [URL.format(1), "https://a-b.example.co.uk/wp-content/uploads/2019/x_y-300x200.jpg?w=1&h=2,3"]
    assert table_values.urls(pa.array(urls), 1000)[0].to_pylist() == urls
