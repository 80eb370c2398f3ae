"""Corners of the web that need exact bytes, and manners as servers see them."""

import gzip
import hashlib
import io
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from curate.images.fetched import Wanted
from curate.recipe import RecipeError
from tests.images.asking import end, fetched, settings
from tests.images.fetch_all import fetch
from tests.raw_web import ok


def saved(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


ENGINES = pytest.mark.parametrize("engine", ["curate", "img2dataset"])
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


@ENGINES
def test_packed_bodies(raw_web, picture_bytes, engine):
    picture = picture_bytes("PNG", size=64)
    pack = zlib.compressobj(wbits=-15)
    bare = pack.compress(picture) + pack.flush()
    for body, coding in ((gzip.compress(picture), "gzip"), (zlib.compress(picture), "deflate"), (bare, "deflate")):
        raw_web.says["/p"] = ok(body, Content_Encoding=coding)
        results, stored = fetched(raw_web, "a.example/p", engine=engine)
        assert list(stored.values()) == [picture] and results["a.example/p"].trail.nbytes == len(picture)
    bomb = gzip.compress(bytes(50_000_000))
    assert end(raw_web, ok(bomb, Content_Encoding="gzip"), engine=engine).status == "too_many_bytes"
    for body, coding in (
        (picture, "gzip"),
        (gzip.compress(picture)[:-20], "gzip"),
        (picture, "br"),
        (picture, "gzip, gzip"),
    ):
        assert end(raw_web, ok(body, Content_Encoding=coding), engine=engine).status == "bad_encoding", coding


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 10_000_000 + b"\r\n\r\n", "connection_error"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n", None),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nxxxx\r\n0\r\n\r\n", "connection_error"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nxx", "connection_error"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nxx", "connection_error"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 9\r\n\r\nxxxxxxxxx", "connection_error"),
        (b"HTTP/9.9 ??? \xff\xfe\r\n\r\n", "connection_error"),
        (b"\0" * 100_000, "connection_error"),
    ],
    ids=["10 MB head", "1xx", "chunks", "huge chunk", "length", "lengths", "version", "zeros"],
)  # fmt: skip
def test_answers_that_are_hardly_http(raw_web, picture_bytes, said, status):
    def says(connection, host):
        connection.sendall(said if status else said + ok(picture_bytes()))
        connection.shutdown(2)
        return b""

    assert end(raw_web, says).status == status


def test_bytes_behind_an_image_that_its_length_does_not_speak_of(raw_web, picture_bytes):
    raw_web.says |= {"/more": ok(picture_bytes()) + b"<br>Warning: at line 12", "/next": ok(picture_bytes("PNG"))}
    results, _ = fetched(raw_web, "a.example/more", "a.example/next", per_host_concurrency=1)
    assert [found.ending.status for found in results.values()] == [None, None]


@pytest.mark.parametrize("line", [b"X-Nothing: 1\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"], ids=["fields", "continues"])
def test_heads_without_an_end(raw_web, line):
    def says(connection, host):
        connection.sendall(b"HTTP/1.1 200 OK\r\n" if line.startswith(b"X") else b"")
        while not raw_web.closing.is_set():
            connection.sendall(line * 1000)

    start = time.monotonic()
    assert end(raw_web, says, max_seconds=1).status in ("connection_error", "timeout")
    assert time.monotonic() - start < 5


def test_images_that_need_care(raw_web):
    rng = np.random.default_rng(0)
    rgb = Image.fromarray(rng.integers(0, 255, (40, 50, 3), dtype=np.uint8))
    sixteen = Image.fromarray(rng.integers(0, 65535, (40, 50), dtype=np.uint16))
    frames = [Image.new("RGB", (50, 40), (n * 50, 0, 0)) for n in range(4)]
    says = {
        "cmyk": saved(rgb.convert("CMYK"), "JPEG"), "png16": saved(sixteen, "PNG"), "avif": saved(rgb, "AVIF"),
        "gif": saved(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "svg": SVG, "xml": b'<?xml version="1.0"?>\n<!-- x -->\n' + SVG,
        "bom": b"\xef\xbb\xbf" + SVG, "page": b"<html><svg></svg></html>",
    }  # fmt: skip
    raw_web.says |= {f"/{name}": ok(data, Content_Type="image/jpeg; x=1") for name, data in says.items()}
    results, stored = fetched(raw_web, *(f"a.example/{name}" for name in says))
    ends = {place.split("/")[1]: found for place, found in results.items()}
    assert {name: found.ending.status for name, found in ends.items()} == {
        "cmyk": None, "png16": None, "avif": None, "gif": None, "svg": "svg", "xml": "svg", "bom": "svg", "page": "not_an_image",
    }  # fmt: skip
    assert all((found.facts.width, found.facts.height) == (50, 40) for found in ends.values() if found.facts)
    assert stored["a.example/gif.gif"] == says["gif"]
    assert ends["svg"].trail.content_type == "image/jpeg; x=1" and ends["svg"].trail.nbytes == len(SVG)


@ENGINES
def test_a_hash_that_the_source_knows(raw_web, picture_bytes, engine):
    raw_web.says["/x"] = ok(picture_bytes())
    right, wrong = hashlib.sha256(picture_bytes()).hexdigest(), "0" * 64
    for known, choice, status in (
        ((right.upper(),), "drop", None), ((wrong, right), "drop", None), ((), "drop", None), ((wrong,), "keep", None),
        ((wrong,), "drop", "sha256_differs"),
    ):  # fmt: skip
        stored = {}
        wanted = [Wanted("i", "http://a.example/x", known)]
        results = fetch(wanted, settings(raw_web, engine=engine, sha256_mismatch=choice), stored.__setitem__)
        assert results["i"].ending.status == status and bool(stored) == (status is None)


@ENGINES
def test_what_is_recorded_of_the_way(raw_web, picture_bytes, engine):
    raw_web.says |= {
        "/1": ok(b"", "301 Moved", Location="/2"), "/2": ok(b"", "307 Moved", Location="//b.example/3"),
        "/3": ok(picture_bytes(), Content_Type="image/x"),
    }  # fmt: skip
    results, _ = fetched(raw_web, "a.example/1", "a.example/3", "a.example/4", "a.example/9.jpg", engine=engine)
    moved, plain, gone, _ = results.values()
    assert (moved.trail.final_url, moved.trail.redirects) == ("http://b.example/3", 2)
    assert (plain.trail.final_url, plain.trail.redirects, plain.trail.content_type) == (None, 0, "image/x")
    assert plain.trail.nbytes == len(picture_bytes()) and gone.ending.http_status == 404
    if engine == "curate":
        assert moved.times.requests == 3 and moved.times.elapsed > 0 and gone.times.requests == 1


def test_who_we_say_we_are(raw_web, picture_bytes):
    raw_web.says["*"] = ok(picture_bytes(), Set_Cookie="a=b")
    contact = {"user_agent": "mybot", "contact": "https://example.org/bot"}
    for engine in ("curate", "img2dataset"):
        fetched(raw_web, "a.example/1", "a.example/2", engine=engine, **contact)
        for path in ("/1", "/2", "/robots.txt"):
            fields = raw_web.heads[f"a.example{path}"]
            assert fields["User-Agent"].startswith("mybot/") and fields["User-Agent"].endswith(
                "(+https://example.org/bot)"
            )
            assert "Cookie" not in fields and "Authorization" not in fields


def test_without_a_contact_only_named_addresses_are_asked(raw_web):
    for place in ("8.8.8.8/x", "[2606:4700::1111]/x"):
        ending = fetched(None, place)[0][place].ending
        assert ending.status == "refused_address" and "download.contact" in ending.words


@pytest.mark.parametrize(
    "place",
    [
        "127.0.0.1:{}/x", "2130706433:{}/x", "0x7f.1:{}/x", "0177.0.0.1:{}/x", "127.1:{}/x", "[::1]:{}/x",
        "[::ffff:127.0.0.1]:{}/x", "good.example@127.0.0.1:{}/x", "good.example%2f@127.0.0.1:{}/x", "localhost:{}/x",
        "127.0.0.1.:{}/x", "127。0。0。1:{}/x", "①②⑦.0.0.1:{}/x", "0:{}/x",
    ],
)  # fmt: skip
@ENGINES
def test_every_way_to_write_a_private_address_is_refused(raw_web, place, engine, picture_bytes):
    raw_web.says["*"] = ok(picture_bytes())
    place = place.format(raw_web.port)
    ending = fetched(None, place, allow_addresses=[], contact="mailto:a@example.org", engine=engine)[0][place].ending
    # img2dataset's urllib takes some of these for names that do not resolve.
    assert ending.status in ("refused_address", *(("dns_error", "unexpected") if engine == "img2dataset" else ()))
    assert not raw_web.asked


def test_users_in_urls_are_not_sent_and_ports_of_other_protocols_not_asked(raw_web, picture_bytes):
    raw_web.says["*"] = ok(picture_bytes())
    results, _ = fetched(raw_web, "me:secret@a.example/x")
    assert (
        results["me:secret@a.example/x"].ending.status is None and "Authorization" not in raw_web.heads["a.example/x"]
    )
    for port in (25, 6667):
        ending = fetched(None, f"127.0.0.1:{port}/x")[0][f"127.0.0.1:{port}/x"].ending
        assert ending.status == "refused_address" and str(port) in ending.words


def test_urls_that_are_none(raw_web):
    urls = ["held:///x/y", "ftp://a.example/x", "http://", "http://a b/x", "http://a.example:99999/", "http://[::1/", "", "x",
            "http://a.example/\r\nHost: b.example", "javascript:alert(1)"]  # fmt: skip
    results = fetch([Wanted(url, url) for url in urls], settings(raw_web), lambda *_: None)
    assert list(results) == urls
    assert {found.ending.status for found in results.values()} <= {"refused_scheme", "unexpected", "http_4xx"}
    assert results["held:///x/y"].ending.status == "refused_scheme"
    assert all("b.example" not in key.split("/")[0] for key in raw_web.asked)


def test_a_full_disk_stops_the_run_and_is_no_fault_of_an_image(raw_web, picture_bytes, monkeypatch):
    from curate.images import fetched as values

    class Full(io.BytesIO):
        def write(self, _):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(values.tempfile, "SpooledTemporaryFile", lambda **_: Full())
    raw_web.says["*"] = ok(picture_bytes())
    with pytest.raises(OSError, match="No space left"):
        fetched(raw_web, *(f"a.example/{n}" for n in range(5)))


def test_a_body_larger_than_memory_is_meant_for_waits_on_disk(raw_web):
    noise = np.random.default_rng(0).integers(0, 255, (900, 900, 3), dtype=np.uint8)
    picture = saved(Image.fromarray(noise), "PNG")
    assert len(picture) > 2_000_000
    raw_web.says["*"] = ok(picture)
    _, stored = fetched(raw_web, "a.example/x", max_bytes=5_000_000)
    assert list(stored.values()) == [picture]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"engine": "img2dataset", "per_host_interval": 1}, "the engine img2dataset cannot keep to it"),
        ({"engine": "img2datset"}, "img2datset"),
        ({"user_agent": "my bot\r\nX: y"}, "is no product token"),
        ({"contact": "somebody"}, "write https://example.org/bot"),
        ({"contact": "https://a.example/\r\nX: y"}, "is no address"),
    ],
)
def test_settings_that_cannot_be_kept_are_refused_in_words(change, said):
    with pytest.raises(RecipeError, match="download") as error:
        settings(**change)
    assert said in str(error.value)
