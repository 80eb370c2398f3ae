"""Corners of the web that need exact bytes, and manners as servers see them."""

import gzip
import hashlib
import io
import time
import zlib
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from curate.images import memory
from curate.images.fetched import Wanted
from curate.recipe import RecipeError, build
from tests.images.fetch_all import fetch
from tests.raw_web import ok


def settings(web=None, **changes):
    base = {"allow_addresses": ["127.0.0.1"], "timeout": 1, "max_seconds": 3, "max_bytes": 500_000, "retries": 0,
            "retry_wait": 0.05, "workers": 1}  # fmt: skip
    if web is not None:
        base["connect_to"] = {"*.example": f"127.0.0.1:{web.port}"}
    if changes.get("engine") == "img2dataset":
        del base["retry_wait"]
    return build({"name": "t", "extract": {"inputs": []}, "score": {"models": []}, "download": base | changes}).download


def fetched(web, *places, **changes):
    """{place: Fetched} and {name: bytes}; a place is `host/path`."""
    stored = {}
    results = fetch([Wanted(p, f"http://{p}") for p in places], settings(web, **changes), stored.__setitem__)
    assert list(results) == list(places), "each URL comes back, once"
    return results, stored


def end(web, said, **changes):
    """How an answer of these bytes ends."""
    web.says["/x"] = said
    return fetched(web, "a.example/x", **changes)[0]["a.example/x"].ending


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


# -- manners, as servers see them


SILENT = {"consent_off": ["robots_txt", "content_usage_robots", "content_signal", "tdm_file"]}
"""Only images are asked for."""


def gaps(times):
    return [later - sooner for sooner, later in pairwise(times)]


def test_a_host_never_sees_more_than_its_share_at_once(raw_web, picture_bytes):
    def slow(connection, host):
        time.sleep(0.03)
        return ok(picture_bytes())

    raw_web.says["*"] = slow
    places = [f"{host}.example/{n}" for n in range(15) for host in "abc"]
    results, _ = fetched(raw_web, *places, per_host_concurrency=3)
    assert all(found.ending.status is None for found in results.values())
    assert raw_web.most == {f"{host}.example": 3 for host in "abc"}


def test_a_host_is_not_asked_sooner_than_the_interval(raw_web, picture_bytes):
    raw_web.says["*"] = ok(picture_bytes())
    places = [f"{host}.example/{n}" for n in range(4) for host in "ab"]
    fetched(raw_web, *places, per_host_interval=0.15, **SILENT)
    assert (
        all(gap >= 0.15 for times in raw_web.times.values() for gap in gaps(times))
        and len(raw_web.times["a.example"]) == 4
    )
    assert raw_web.times["b.example"][0] < raw_web.times["a.example"][1], "hosts do not wait for each other"


def test_retry_after_is_waited_for_by_the_whole_host(raw_web, picture_bytes):
    def says(connection, host):
        first = len(raw_web.times[host]) == 1
        return ok(b"", "429 Too Many", Retry_After="1") if first else ok(picture_bytes())

    raw_web.says["*"] = says
    results, _ = fetched(
        raw_web, *(f"a.example/{n}" for n in range(4)), "b.example/0", retries=1, per_host_concurrency=1
    )
    assert all(found.ending.status is None for found in results.values())
    assert gaps(raw_web.times["a.example"])[0] >= 1.0 and len(raw_web.times["a.example"]) == 5


def test_patience_with_a_server_that_always_asks_for_more_has_an_end(raw_web):
    raw_web.says["*"] = ok(b"", "429 Too Many", Retry_After="1")
    end = fetched(raw_web, "a.example/x", retries=1, max_retry_after=2)[0]["a.example/x"].ending
    assert (end.status, end.http_status) == ("rate_limited", 429)
    assert 3 <= len(raw_web.times["a.example"]) <= 4 and min(gaps(raw_web.times["a.example"])) >= 1.0


def test_a_server_that_asks_for_too_much_is_left_alone(raw_web):
    raw_web.says["*"] = ok(b"", "503 Later", Retry_After="86400")
    results, _ = fetched(raw_web, *(f"a.example/{n}" for n in range(9)), retries=3, per_host_concurrency=1)
    ends = [found.ending for found in results.values()]
    assert [e.status for e in ends] == ["http_5xx", *["rate_limited"] * 8] and len(raw_web.times["a.example"]) == 1
    raw_web.says["*"] = ok(b"", "429 Later")
    assert fetched(raw_web, "b.example/0", retries=1)[0]["b.example/0"].ending.status == "rate_limited"
    assert len(raw_web.times["b.example"]) == 2


def test_the_next_part_of_a_process_knows_who_wants_to_be_left_alone(raw_web, picture_bytes):
    def says(connection, host):
        if host == "down.example":
            connection.shutdown(2)
            return b""
        return ok(b"", "429 Later", Retry_After="3600") if host == "full.example" else ok(picture_bytes())

    raw_web.says["*"] = says
    quick = SILENT | {"per_host_concurrency": 1, "breaker_failures": 2, "breaker_pause": 0.2}
    hosts = ("down", "full", "good")
    for part, ends in enumerate((
        {"down": ["connection_error"] * 3 + ["breaker_open"], "full": ["rate_limited"] * 4, "good": [None] * 4},
        {"down": ["breaker_open"] * 4, "full": ["rate_limited"] * 4, "good": [None] * 4},
    )):  # fmt: skip
        results, _ = fetched(raw_web, *(f"{host}.example/{part}{n}" for host in hosts for n in range(4)), **quick)
        assert {host: [results[f"{host}.example/{part}{n}"].ending.status for n in range(4)] for host in hosts} == ends
    assert {host: len(times) for host, times in raw_web.times.items()} == {
        "down.example": 3, "full.example": 1, "good.example": 8,
    }  # fmt: skip
    memory.of_process.cache_clear()
    fetched(raw_web, "full.example/x", **quick)
    assert len(raw_web.times["full.example"]) == 2


def test_one_host_that_hangs_slows_no_other(raw_web, picture_bytes):
    def says(connection, host):
        if host == "hangs.example":
            raw_web.closing.wait(5)
        return ok(picture_bytes())

    raw_web.says["*"] = says
    places = [f"hangs.example/{n}" for n in range(6)] + [f"h{n}.example/x" for n in range(30)]
    results, _ = fetched(raw_web, *places, concurrency=6, per_host_concurrency=2, breaker_failures=2, breaker_pause=0.2)
    slow = [results[f"hangs.example/{n}"].ending.status for n in range(6)]
    assert set(slow) == {"timeout", "breaker_open"} and slow.count("breaker_open") >= 2
    took = [results[f"h{n}.example/x"].times for n in range(30)]
    assert all(times.elapsed + times.waited < 0.9 for times in took), "none waited for the one that hangs"


def test_connections_are_kept_while_a_host_has_more(raw_web, picture_bytes):
    peers = set()

    def says(connection, host):
        peers.add(connection.getpeername())
        return ok(picture_bytes())

    raw_web.says["*"] = says
    fetched(raw_web, *(f"a.example/{n}" for n in range(20)), per_host_concurrency=2)
    assert len(peers) <= 4


def test_a_server_that_hangs_up_is_asked_once_and_a_connection_that_it_closed_meanwhile_is_no_failure(
    raw_web, picture_bytes
):
    def hangs_up(connection, host):
        connection.shutdown(2)
        return b""

    raw_web.says |= {"/x": hangs_up, "/y": b"220 mail ready\r\n"}
    results, _ = fetched(raw_web, "a.example/x", "b.example/y", **SILENT)
    assert {found.ending.status for found in results.values()} == {"connection_error"}
    assert (raw_web.asked["a.example/x"], raw_web.asked["b.example/y"]) == (1, 1)

    def once(connection, host):
        """Keeps the connection, as far as one can see, and hangs up when it is asked on it."""
        if connection in served:
            return hangs_up(connection, host)
        served.append(connection)
        return ok(picture_bytes())

    served = []
    raw_web.says["*"] = once
    results, _ = fetched(raw_web, *(f"c.example/{n}" for n in range(4)), per_host_concurrency=1, breaker_failures=1)
    assert [found.ending.status for found in results.values()] == [None] * 4


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
