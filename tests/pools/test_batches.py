"""Batches of pages against the same pages one by one, and scanned records against a JSON parser: the same rows, the same account."""

import json
import random

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate import schema
from curate.pools import batches, json_bytes, resolving, scanning, wat
from curate.pools.batches import Batch, Pages
from curate.pools.candidates import Account
from curate.pools.columns import Bases, columns, encoded, resolved
from curate.pools.pages import BadRecord, Found, Page
from curate.pools.records import Record
from curate.pools.url_parts import ASK
from curate.recipe import Extract
from tests.archives import envelope
from tests.pools import page_rows

PIECES = [
    "a", "b", "/", "/", "/", "..", ".", "?", "#", "%2e", "%", "x1", "é", "日", " ", "'", '"', "A", "-", "http://", "https://", "c.d", "//",
    ":", "data:", "DATA:", "@", "\\", "^", "[", "|", "\t", "\n", "1", "0x", "xn--", "&amp;", ".jpg", "_", "~", "\x7f", "{", "`", "javascript:",
    "ftp://", "1.2.3.4", "\ufffd", "%2E%2e", "c.d.", "\u00a0", "+", ",", "é.example", "://", "mailto:",
]  # fmt: skip
LIMITS = Extract(max_text_bytes=24, max_url_bytes=60)
ADDRESS = st.lists(st.sampled_from(PIECES), max_size=7).map("".join)
TEXT = st.text(
    st.sampled_from(list("ab é日😀\u3000\u00a0\u0085\u2009\t\n\x0b\x0c\x1f\0\ufffd\ud83d\udc00\x7f")), max_size=9
)
KIND = st.sampled_from(["alt", "title", "data-image-title", "figcaption"])
IMAGE = st.tuples(st.lists(ADDRESS, max_size=3), st.lists(st.tuples(KIND, TEXT), max_size=4))
PAGE = st.tuples(ADDRESS.map("http://h.x/".__add__) | ADDRESS, st.none() | ADDRESS, st.lists(IMAGE, max_size=4))


@settings(max_examples=150, deadline=None)
@given(st.lists(PAGE, min_size=1, max_size=4))
def test_a_batch_says_what_its_pages_say_one_by_one(pages):
    found, abouts, wanted, one = Found(), Pages(), [], Account()
    for number, (url, base, images) in enumerate(pages):
        abouts.add(url, number, Page(base, None, None))
        for addresses, texts in images:
            found.add(number, addresses, texts)
        plain = [page_rows.Image(tuple(addresses), tuple(texts)) for addresses, texts in images]
        wanted += page_rows.rows(page_rows.Page(url, base, None, None, plain, "warc"), "f", number, LIMITS, one)
    account = Account()
    batch = Batch(abouts, [columns(found)], 0, 0, 0)
    tables = list(batches.tables(batch, "warc", "f", LIMITS, account))
    rows = [tuple(row.values()) for table in tables for row in schema.load("pairs").hold(table).to_pylist()]
    assert rows == [tuple(row) for row in wanted]
    assert account.ledger() == one.ledger()


def test_each_page_says_its_own():
    """Pages whose URL is odd, or who say nothing of themselves, between others that do."""
    found, pages = Found(), Pages()
    given = [
        ("http://a.x/p", Page(None, None, "de")),
        ("HTTP://B.X:80/q#r", Page(None, "noai", None)),
        ("no address", Page(None, None, None)),
        ("http://c.x/é", Page("/deep/", None, " fr\0 ")),
        ("", Page("http://d.x/e/", "none", "\ud83d")),
        ("http://f.x/g", Page("http://[", None, "")),
    ]
    for number, (url, page) in enumerate(given):
        pages.add(url, 10 * number, page)
        found.add(number, ["i.jpg"], [("alt", str(number))])
    account = Account()
    batch = Batch(pages, [columns(found)], 6, 0, 0)
    rows = [row for table in batches.tables(batch, "warc", "f", Extract(), account) for row in table.to_pylist()]
    names = ("text", "url", "page_url", "page_robots", "page_lang", "record_offset")
    assert [tuple(row[name] for name in names) for row in rows] == [
        ("0", "http://a.x/i.jpg", "http://a.x/p", None, "de", 0),
        ("1", "http://b.x/i.jpg", "http://b.x/q", "noai", None, 10),
        ("3", "http://c.x/deep/i.jpg", "http://c.x/%C3%A9", None, "fr\ufffd", 30),
        ("5", "http://f.x/i.jpg", "http://f.x/g", None, None, 50),
    ]
    assert account.failed == {"bad_url": 2}


@pytest.mark.parametrize(
    "brackets", ["}" * 70, "{[" * 70, '"' + "}" * 200 + '"', '"\\""', '"' + "x" * 62 + '\\"}"', '"' + "x" * 150 + '"']
)
@pytest.mark.parametrize("before", range(0, 70, 7))
def test_what_is_passed_over_ends_where_it_ends(brackets, before):
    """Objects that are skipped by blocks, with strings, escapes and brackets at every place of a block."""
    other = {"path": "A@/href", "x" * before: brackets, "deep": [{"a": [brackets, {}]}, "]}"]}
    links = [
        other,
        {"path": "IMG@/src", "url": "a.jpg", "alt": "A"},
        other,
        {"path": "IMG@/src", "url": "b.jpg", "alt": "B"},
    ]
    block = orjson.dumps(
        {"Container": {"y" * before: brackets, "z": [[[{"b": brackets}]]]}} | envelope({"Links": links})
    )
    assert tables_of(block, "scan") == tables_of(block, "patient")
    assert len(tables_of(block, "scan")[0]) == 2
    data = np.frombuffer(bytearray(block + bytes(json_bytes.PADDING)), np.uint8)
    kinds = scan_alone(data, len(block))
    assert kinds == scanning.PAGE
    # A record that is cut off anywhere is none, though bytes of another stand behind it.
    for cut in range(1, 200, 13):
        assert scan_alone(data, len(block) - cut) == scanning.ODD


def scan_alone(data, end):
    rooms = [np.empty((len(data), width), np.int32) for _, width in scanning.ROOM]
    kinds = np.empty(1, np.int8)
    scanning.scan(data.copy(), np.array([0, end]), kinds, *rooms, np.empty((1, 2), np.int64), np.zeros(3, np.int64))
    return kinds[0]


@pytest.mark.parametrize(
    "base",
    [
        "http://h.x/p/q/r?s/t#u",
        "https://u:p@h.x:81/",
        "http://h.x/a//b/",
        "http://h.x//b",
        "file:///a/b",
        "HTTP://H.x",
        "",
    ],
)
def test_a_compiled_answer_is_the_parser_s(base):
    chance = random.Random(base)
    addresses = ["".join(chance.choices(PIECES, k=chance.randrange(8))) for _ in range(10_000)]
    normal = [page_rows.absolute(base, None)] if base else [""]
    found = resolved(encoded(addresses), np.zeros(len(addresses), np.int32), Bases.of(encoded(normal)), 60)
    for number, address in enumerate(addresses):
        try:
            url = page_rows.absolute(address, normal[0] or None)
        except ValueError:
            url = None
        state = (
            "bad"
            if url is None
            else "not http"
            if not url.startswith(("http://", "https://"))
            else "long"
            if len(url) > 60
            else url
        )
        name = ["", "not http", "long", "bad"][found.states[number]] or found.texts.text(number)
        assert name == state, address


def test_ordinary_addresses_need_no_parser():
    addresses = [
        "a.jpg",
        "/a/b c.jpg?x=é&y='1'",
        "../../x.png",
        "//cdn.example/a,b.jpg",
        "https://img.example.com/w_500/日本.webp#top",
    ]
    texts, bases = encoded(addresses), Bases.of(encoded(["http://h.x/p/q/r"]))
    states, zeros = np.empty(5, np.int8), np.zeros(5, np.int32)
    starts, ends, out = np.empty(5, np.int64), np.empty(5, np.int64), np.empty(10_000, np.uint8)
    resolving.resolve(
        *texts, zeros, bases.texts.data, bases.texts.starts, bases.origins, bases.folders, 99, out, starts, ends, states
    )
    assert ASK not in states.tolist()


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from(['"', "\\", "}", "]", '"Links":[']),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=4) | st.sampled_from(["Links", "Metas", "path"]), inner, max_size=3)
    ),
    max_leaves=6,
)
STRING = TEXT | st.sampled_from(["a.jpg", " a.jpg\n", "a.jpg 1x, b.jpg 2x", "", "\\", 'q"q', "/", "\u2028"])
PATH = st.sampled_from(["IMG@/src", "IMG@/data-src", "IMG@/srcset", "IMG@/longdesc", "A@/href", "IMG", "é"])
LINK = st.fixed_dictionaries(
    {},
    optional={
        "path": PATH | JSON,
        "url": STRING | JSON,
        "alt": STRING | JSON,
        "title": STRING,
        "data-image-title": STRING,
        "x": JSON,
    },
)
NAME = st.sampled_from(
    [
        "robots",
        " ROBOTS",
        "og:image",
        "OG:Title",
        "og:image:secure_url",
        "og:image:url",
        "HTML@/lang",
        "html@/xml:lang",
        "tdm-reservation",
        "x",
    ]
)
META = st.fixed_dictionaries(
    {}, optional={"name": NAME | JSON, "property": NAME | JSON, "content": STRING | JSON, "x": JSON}
)
HEAD = st.fixed_dictionaries(
    {}, optional={"Base": STRING | JSON, "Metas": st.lists(META | JSON, max_size=4) | JSON, "Title": STRING}
)
HTML = st.fixed_dictionaries(
    {}, optional={"Head": HEAD | JSON, "Links": st.lists(LINK | JSON, max_size=5) | JSON, "x": JSON}
)


@settings(max_examples=300, deadline=None)
@given(HTML | JSON, st.booleans(), st.sampled_from([(",", ":"), (" ,\n", "\t: ")]), st.booleans())
def test_a_scan_finds_what_a_parser_finds(metadata, plain, separators, slashes):
    text = json.dumps(envelope(metadata), ensure_ascii=plain, separators=separators)
    block = (text.replace("/", "\\/") if slashes else text).encode("utf-8", "surrogatepass")
    assert tables_of(block, "scan") == tables_of(block, "patient")


def tables_of(block: bytes, how: str):
    record = Record(False, "http://h.x/p/", 7, block)
    if how == "scan":
        batch = wat.batch([record])
    else:
        found = Found()
        page = wat.read(block, 0, found)
        pages = Pages()
        if page is not None:
            pages.add(record.url, record.offset, page)
        count = len(pages.urls)
        batch = Batch(pages, [columns(found)], count, 1 - count, 0)
    account = Account()
    rows = [row for table in batches.tables(batch, "wat", "f", Extract(), account) for row in table.to_pylist()]
    # The images that a page is shared with come last the patient way, and after the batch's other images in a scan.
    return sorted(map(repr, rows)), account.ledger()


@pytest.mark.parametrize(
    "text",
    [
        "😀",
        "a😀b",
        "\ud83d",
        "\udc00\ud83d",
        "\ud83d\ud83d\ude00",
        "\ufffd\uffff",
        "\x7f\x80߿ࠀ",
        'q"\\/\b\f\n\r\t',
        "\u2028" * 9,
    ],
)
@pytest.mark.parametrize("plain", [True, False])
def test_every_character_survives_its_escapes(text, plain):
    links = [{"path": "IMG@/src", "url": f"{i}.jpg", "alt": f"{'x' * i}{text}{i}"} for i in range(9)]
    block = json.dumps(envelope({"Links": links}), ensure_ascii=plain).encode("utf-8", "surrogatepass")
    rows, ledger = tables_of(block, "scan")
    assert (rows, ledger) == tables_of(block, "patient")
    assert len(rows) == 9


@pytest.mark.parametrize("seed", range(4))
def test_a_spoilt_record_is_read_or_counted_and_hurts_no_other(seed):
    chance = random.Random(seed)
    links = [{"path": "IMG@/src", "url": f"{i}.jpg", "alt": 'say "é\u2028" \\'} for i in range(5)]
    good = orjson.dumps(
        envelope({"Head": {"Base": "/b/", "Metas": [{"name": "robots", "content": "x"}]}, "Links": links})
    )
    for _ in range(200):
        bad = bytearray(good)
        for _ in range(chance.randrange(1, 4)):
            where = chance.randrange(len(bad))
            bad[where : where + chance.choice([0, 0, 1, 20])] = bytes(
                chance.choices(b'{}[]",:\\u0d\xff\x00n', k=chance.choice([1, 1, 3]))
            )
        try:
            batch = wat.batch(
                [Record(False, f"http://h.x/{i}", i, block) for i, block in enumerate((good, bytes(bad), good))]
            )
        except BadRecord:
            pytest.fail("a bad record is counted")
        account = Account()
        rows = [row for table in batches.tables(batch, "wat", "f", Extract(), account) for row in table.to_pylist()]
        assert [sum(row["record_offset"] == i for row in rows) for i in (0, 2)] == [5, 5]
        assert batch.read + batch.others + batch.bad == 3
        try:
            expected = tables_of(bytes(bad), "patient")[0]
        except BadRecord:
            continue
        assert len(expected) == sum(row["record_offset"] == 1 for row in rows)
