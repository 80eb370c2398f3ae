"""robots.txt: the RFC's own rules and examples, a naive reference, and files that want to cost more than they may."""

import re
import time
import tracemalloc
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.images.consent import robots
from curate.images.consent.robots import normal, parse


def allowed(text, path, agent="curatebot", also=()):
    return parse(text if isinstance(text, bytes) else text.encode(), agent, also).forbids(path) is None


EQUAL = [  # (path of a rule, path to match): tables of 2.2.2 and 2.2.3
    ("/foo/bar?baz=quz", "/foo/bar?baz=quz"),
    ("/foo/bar?baz=http://foo.bar", "/foo/bar?baz=http%3A%2F%2Ffoo.bar"),
    ("/foo/bar/ツ", "/foo/bar/%E3%83%84"),
    ("/foo/bar/%E3%83%84", "/foo/bar/%E3%83%84"),
    ("/foo/bar/%62%61%7A", "/foo/bar/baz"),
    ("/path/file-with-a-%2A.html", "/path/file-with-a-*.html"),
    ("/path/foo-%24", "/path/foo-$"),
]


@pytest.mark.parametrize(("rule", "path"), EQUAL)
def test_the_rfcs_tables_of_equal_paths(rule, path):
    assert not allowed(f"User-agent: *\nDisallow: {rule}", path)
    assert normal(rule, pattern=True) == normal(path)


def test_reserved_characters_in_a_path_are_not_what_they_encode():
    assert allowed("User-agent: *\nDisallow: /a%2Fb", "/a/b") and not allowed(
        "User-agent: *\nDisallow: /a%2fb", "/a%2Fb"
    )
    assert allowed("User-agent: *\nDisallow: /a%3Fb", "/a?b")


SIMPLE = """
User-Agent: *
Disallow: *.gif$
Disallow: /example/
Allow: /publications/

User-Agent: foobot
Disallow:/
Allow:/example/page.html
Allow:/example/allowed.gif

User-Agent: barbot
User-Agent: bazbot
Disallow: /example/page.html

User-Agent: quxbot
"""


@pytest.mark.parametrize(
    ("agent", "path", "may"),
    [
        ("curatebot", "/x.gif", False), ("curatebot", "/x.gif?y", True), ("curatebot", "/example/page.html", False),
        ("curatebot", "/publications/x", True), ("curatebot", "/other", True), ("curatebot", "/publications/x.gif", True),
        ("FooBot", "/example/page.html", True), ("foobot", "/example/allowed.gif", True), ("foobot", "/", False),
        ("barbot", "/example/page.html", False), ("bazbot", "/example/page.html", False), ("barbot", "/example/", True),
        ("quxbot", "/example/page.html", True),
    ],
)  # fmt: skip
def test_the_rfcs_example_5_1(agent, path, may):
    assert allowed(SIMPLE, path, agent) is may


def test_the_rfcs_example_5_2_of_the_longest_match():
    text = "User-Agent: foobot\nAllow: /example/page/\nDisallow: /example/page/disallowed.gif"
    assert not allowed(text, "/example/page/disallowed.gif", "foobot") and allowed(text, "/example/page/x", "foobot")


@pytest.mark.parametrize("rules", [["/*x", "/*bcd", "/abc"], ["/abc", "/*bcd", "/*x"], ["/*bcd", "/*x", "/abc"]])
def test_the_longest_match_does_not_hang_on_the_order_of_lines(rules):
    lines = [f"{'disallow' if rule == '/*bcd' else 'allow'}: {rule}" for rule in rules]
    assert not allowed("user-agent: *\n" + "\n".join(lines), "/abcd") and allowed(
        "user-agent: *\n" + "\n".join(lines), "/abc"
    )


def test_groups_of_one_token_are_merged():
    text = "user-agent: a\ndisallow: /1\n\nuser-agent: b\ndisallow: /2\n\nUSER-AGENT: A\ndisallow: /3"
    assert [allowed(text, f"/{n}", "a") for n in (1, 2, 3)] == [False, True, False]


@pytest.mark.parametrize(
    ("text", "may"),
    [
        ("", True),
        ("Disallow: /", True),  # no group
        ("User-agent: *\nDisallow:", True),
        ("User-agent: *\nDisallow: /\nAllow: /", True),  # equally long: allow
        ("User-agent: *\nAllow: /\nDisallow: /", True),
        ("User-agent: curate\nAllow: /\nUser-agent: *\nDisallow: /", False),  # a token is not matched by its beginning
        ("User-agent: curatebot-images\nAllow: /\nUser-agent: *\nDisallow: /", False),
        ("User-agent: CurateBot/2.0 (images)\nDisallow: /\n\nUser-agent: *\nAllow: /", False),
        ("User-agent: curatebot\n\nUser-agent: *\nDisallow: /", False),  # one group with two names
        (
            "User-agent: curatebot\nSitemap: /s\nCrawl-delay: 3\nUser-agent: x\nDisallow: /",
            False,
        ),  # others do not end it
        ("User-agent: curatebot\nDisallow: /y\nUser-agent: x\nDisallow: /", True),  # a rule does
        ("User-agent: *\r\nDisallow: /\r\n", False),
        ("User-agent: *\rDisallow: /", False),
        ("\ufeffUser-agent: *\nDisallow: /", False),
        ("User-agent: * # all\nDisallow: / # everything", False),
        ("  user-agent \t:\t*  \n  DISALLOW : /", False),
        ("User-agent: *\nDissallow: /", False),
        ("User-agent *\nDisallow /", False),
        ("<html><body>\nUser-agent: *\n<p>Disallow: /</body></html>", True),
    ],
)
def test_lines_and_groups(text, may):
    assert allowed(text, "/x/") is may


def test_a_folder_is_not_allowed_by_its_index():
    assert not allowed("User-agent: *\nDisallow: /x/\nAllow: /x/index.html", "/x/")


def test_other_tokens_count_where_they_are_named_and_never_make_it_laxer():
    text = "User-agent: img2dataset\nDisallow: /\nUser-agent: *\nDisallow: /no"
    assert allowed(text, "/x") and not allowed(text, "/x", also=["img2dataset"])
    assert not allowed("User-agent: img2dataset\nAllow: /\nUser-agent: *\nDisallow: /", "/x", also=["img2dataset"])
    assert parse(text.encode(), "curatebot", ["Img2Dataset"]).forbids("/x") == ("Disallow: /", "img2dataset")
    assert parse(text.encode(), "curatebot").forbids("/no/a") == ("Disallow: /no", "*")


USAGE = """
User-Agent: *
Allow: /
Disallow: /never/
Content-Usage: / train-ai=n
Content-Usage: /ai-ok/ train-ai=y
Content-Usage: /ai-ok/\tsearch=n

User-Agent: ExampleBot
Allow: /
Content-Usage: train-ai=y, search=n # without a path since -01
"""


def said(path, agent="curatebot", fields=("content-usage",)):
    return [text for text, _ in parse(USAGE.encode(), agent, (), fields).statements("content-usage", path)]


def test_the_drafts_example_of_usage_rules():
    assert said("/test") == ["train-ai=n"] and said("/ai-ok/test") == ["train-ai=y", "search=n"]
    assert said("/test", "examplebot") == ["train-ai=y, search=n"] and said("/test", fields=()) == []


# -- a reference of a few lines


def naive(rules, path):
    """The last word of RFC 9309, 2.2.2, by regular expressions."""

    def fits(pattern):
        parts = (re.escape(part) for part in pattern.removesuffix("$").split("*"))
        return re.match(".*".join(parts) + (r"\Z" if pattern.endswith("$") else ""), path, re.DOTALL)

    found = [(len(pattern), kind == "allow") for kind, pattern in rules if fits(pattern)]
    return max(found)[1] if found else True


PIECES = st.lists(st.sampled_from(["/", "a", "b", "ab", "*", "?", "=", ".", "-"]), min_size=0, max_size=8).map("".join)
PATHS = PIECES.map(lambda s: "/" + s.replace("*", "x"))
PATTERNS = st.tuples(PIECES, st.sampled_from(["", "", "$"])).map(lambda p: re.sub(r"\*+", "*", f"/{p[0]}{p[1]}"))
RULES = st.lists(st.tuples(st.sampled_from(["allow", "disallow"]), PATTERNS), max_size=6)


@settings(max_examples=400, deadline=None)
@given(RULES, PATHS)
def test_the_matcher_is_the_naive_reference(rules, path):
    text = "user-agent: *\n" + "\n".join(f"{kind}: {pattern}" for kind, pattern in rules)
    assert allowed(text, path) is naive(rules, path)


@settings(max_examples=200, deadline=None)
@given(RULES, PATHS)
def test_another_parser_agrees_where_it_keeps_to_the_rfc(rules, path):
    from protego import Protego

    text = "User-agent: *\n" + "\n".join(f"{kind.title()}: {pattern}" for kind, pattern in rules)
    assert allowed(text, path) is Protego.parse(text).can_fetch(f"https://a.example{path}", "curatebot")


@given(st.binary(max_size=40).map(lambda raw: b"/" + raw.replace(b"?", b"")))
def test_normal_paths_are_ascii_stand_still_and_mean_the_same_bytes(raw):
    once = normal(raw)
    assert once.isascii() and normal(once) == once and unquote_to_bytes(once) == unquote_to_bytes(raw)


@given(st.binary(max_size=400), st.text(st.characters(), max_size=30))
def test_nothing_in_a_file_or_a_path_is_an_error(body, path):
    for text in (body, b"user-agent: *\ndisallow:" + body, b"user-agent: *\ncontent-usage:" + body):
        parsed = parse(text, "curatebot", (), ("content-usage",))
        parsed.forbids("/" + path)
        assert all(isinstance(s, str) for s, _ in parsed.statements("content-usage", "/" + path))


def test_a_lone_surrogate_in_a_path_is_no_error():
    assert normal("/\ud800\udcff") == "/??"


# -- what a file may cost

BIG = robots.MAX_BYTES
HOSTILE = {
    "agents times rules": lambda: (
        b"".join(b"user-agent:a%d\n" % n for n in range(17_000))
        + b"".join(b"disallow:/%d\n" % n for n in range(15_000))
    ),
    "our name again and again": lambda: b"user-agent: *\ndisallow: /a\n" * 18_000,
    "many rules": lambda: b"user-agent: *\n" + b"".join(b"disallow:/%d\n" % n for n in range(33_000)),
    "wildcards": lambda: b"user-agent: *\n" + b"".join(b"allow:/*a*b%d\n" % n for n in range(33_000)),
    "as many as are tried": lambda: b"user-agent: *\n" + b"".join(b"disallow:/*aa*aa%d$\n" % n for n in range(4_096)),
    "one pattern of stars": lambda: b"user-agent: *\ndisallow: /" + b"*a" * 200_000 + b"\n",
    "one endless line": lambda: b"user-agent: *\ndisallow: /" + b"a" * 50_000_000,
    "zeros": lambda: b"\0" * BIG,
    "escapes": lambda: b"user-agent: *\ndisallow: /" + b"%41" * 160_000 + b"\n",
    "line ends": lambda: b"\r\n" * (BIG // 2),
    "usage": lambda: b"user-agent: *\n" + b"".join(b"content-usage:/*%d a=n\n" % n for n in range(23_000)),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_files_cost_little(kind):
    body = HOSTILE[kind]()
    tracemalloc.start()
    parsed = parse(body, "curatebot", (), ("content-usage",))
    (_, peak), _ = tracemalloc.get_traced_memory(), tracemalloc.stop()
    assert peak < 40 * 2**20 and parsed.weight < 40 * 2**20
    start = time.process_time()
    for n in range(20):
        parsed.forbids("/" + "a" * 2000 + str(n))
        list(parsed.statements("content-usage", "/" + "a" * 2000))
    assert time.process_time() - start < 2, "seconds for 20 images"


def test_more_wildcards_than_are_tried_are_a_refusal_in_words():
    line, _ = parse(HOSTILE["wildcards"](), "curatebot").forbids("/x")
    assert "4,096 rules with wildcards" in line


def test_what_stands_beyond_the_limit_is_not_read_and_a_line_cut_in_two_says_nothing():
    head = b"user-agent: *\ndisallow: /a\n"
    fill = b"#" * (BIG - len(head) - len(b"allow: /a/b") - 1) + b"\n"
    assert len(head + fill + b"allow: /a/b") == BIG
    assert allowed(head + fill + b"allow: /a/b", "/a/b/c")
    assert not allowed(head + fill + b"allow: /a/bcd\n", "/a/b/c"), "the cut would leave /a/b"
    assert allowed(head + b"\n" * BIG + b"disallow: /z", "/z")
