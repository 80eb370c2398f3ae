"""What stands in an archive as a page: encodings, packed bodies, and answers that are none."""

import gzip

import pytest

from curate.recipe import Extract
from tests.archives import archive, html, http, page, record
from tests.pools.test_archive import THREE, texts


@pytest.mark.parametrize(
    ("charset", "declared"), [("shift_jis", "shift_jis"), ("shift_jis", "utf-8"), ("utf-8", "iso-8859-1")]
)
def test_a_page_in_another_encoding_than_declared_is_read(read, charset, declared):
    body = '<p>日本語のページです。<img src=a.jpg alt="富士山の写真"></p>'.encode(charset)
    rows, _ = read(archive(record(http(body, f"Content-Type: text/html; charset={declared}"))))
    assert texts(rows) == ["富士山の写真"]


def chunked(body: bytes) -> bytes:
    half = len(body) // 2
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:half], body[half:], b""))


@pytest.mark.parametrize(
    ("headers", "encode"),
    [
        (["Content-Encoding: gzip"], gzip.compress),
        (["Transfer-Encoding: chunked"], chunked),
        (["Transfer-Encoding: chunked", "Content-Encoding: gzip"], lambda body: chunked(gzip.compress(body))),
        (["Content-Encoding: gzip"], bytes),
        (["Content-Encoding: br"], bytes),
        (["Content-Encoding: nonsense"], bytes),
        (["Transfer-Encoding: chunked"], bytes),
    ],
)
def test_bodies_are_decoded_where_they_are_what_they_claim(read, headers, encode):
    rows, account = read(archive(record(http(encode(html("<img src=a.jpg alt=x>")), *headers)), THREE[1]))
    assert texts(rows) == ["x", "number 1"]
    assert not account.failed


@pytest.mark.parametrize("kind", ["image/jpeg", "text/plain", "application/json"])
def test_only_html_is_read_as_html(read, kind):
    rows, account = read(archive(record(http(html("<img src=a.jpg alt=x>"), f"Content-Type: {kind}")), THREE[0]))
    assert texts(rows) == ["number 0"]
    assert (account.notes["pages"], account.notes["other_records"]) == (1, 1)


def test_a_head_with_bare_line_feeds_is_read(read):
    response = http(html("<img src=a.jpg alt=x>"), "Server: y").replace(b"\r\n", b"\n")
    assert texts(read(archive(record(response)))[0]) == ["x"]


def test_html_without_a_type_is_found_by_its_looks(read):
    response = http(html("<img src=a.jpg alt=x>"), "Content-Type: x").replace(b"Content-Type: x\r\n", b"")
    binary = http(b"\xff\xd8\xff\xe0 <img src=no.jpg alt=no>", "Content-Type: x").replace(b"Content-Type: x\r\n", b"")
    rows, _ = read(archive(record(response), record(binary)))
    assert texts(rows) == ["x"]


@pytest.mark.parametrize(
    "block", [b"", b"\x00" * 500, b"HTTP/1.1 200 OK", http(b""), b"HTTP/1.1 200 OK\nContent-Type: text/html\n\n"]
)
def test_a_response_that_is_none_harms_nobody(read, block):
    rows, account = read(archive(THREE[0], record(block), THREE[1]))
    assert texts(rows) == ["number 0", "number 1"]
    assert account.notes["records"] == 3
    assert account.breaks == []


def test_a_head_that_never_ends_is_a_bad_record(read):
    rows, account = read(archive(THREE[0], record(http(b"x", "X-Long: " + "a" * 100_000)), THREE[1]))
    assert texts(rows) == ["number 0", "number 1"]
    assert account.failed == {"bad_record": 1}


def test_records_and_bodies_over_the_limit_are_passed_over(read):
    settings = Extract(inputs=("x",), max_record_bytes=20_000)
    bomb = record(http(gzip.compress(b"<p>" * 5_000_000), "Content-Encoding: gzip"))
    large = page("<img src=large.jpg alt=large>" * 1000)
    rows, account = read(archive(THREE[0], bomb, THREE[1], large, THREE[2]), settings=settings)
    assert texts(rows) == ["number 0", "number 1", "number 2"]
    assert account.failed == {"bad_record": 2}
    assert account.breaks == []
