"""Consent on a loopback web: what is forbidden is never asked for, and each refusal ends in its row's words and rule."""

import gzip
import io
import threading
import zlib
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from curate.recipe import build
from tests.images.fetch_all import fetch


def jpeg() -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(out, "JPEG")
    return out.getvalue()


class Hosts(ThreadingHTTPServer):
    """Many hosts on one port, by their Host header. `files` is {host/path: (status, headers, body)}; other paths of a host
    that has a file are pictures. `asked` notes what was asked for, `agents` by whom."""

    daemon_threads, request_queue_size = True, 128

    def __init__(self):
        self.files, self.asked, self.agents = {}, Counter(), set()
        super().__init__(("127.0.0.1", 0), Handler)

    def says(self, host, path, body=b"", status=200, **headers):
        plain = {name.replace("_", "-"): value for name, value in headers.items()}
        self.files[f"{host}.example{path}"] = (status, plain, body)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        place = self.headers["Host"] + self.path
        self.server.asked[place] += 1
        self.server.agents.add(self.headers["User-Agent"])
        fixed = self.path in ("/robots.txt", "/.well-known/tdmrep.json")
        status, headers, body = self.server.files.get(place, (404, {}, b"") if fixed else (200, {}, jpeg()))
        try:
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
        except ConnectionError:
            self.close_connection = True

    def log_message(self, *_):
        return


@pytest.fixture(params=["curate", "img2dataset"])
def hosts(request):
    server = Hosts()
    server.engine = request.param
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def fetched(server, *places, **changes):
    base = {"allow_addresses": ["127.0.0.1"], "connect_to": {"*.example": f"127.0.0.1:{server.server_address[1]}"},
            "timeout": 2, "max_seconds": 4, "user_agent": "testbot", "retries": 0, "engine": server.engine}  # fmt: skip
    settings = build(
        {"name": "t", "extract": {"inputs": []}, "score": {"models": []}, "download": base | changes}
    ).download
    return {
        place: end.ending
        for place, end in fetch([(p, f"http://{p}") for p in places], settings, lambda *_: None).items()
    }


FORBIDDEN = b"User-agent: testbot\nDisallow: /img/\nAllow: /img/open/\nContent-Usage: /art/ train-ai=n\n"


def test_what_robots_txt_forbids_is_never_asked_for(hosts):
    hosts.says("a", "/robots.txt", FORBIDDEN)
    ends = fetched(
        hosts, *(f"a.example/img/{n}.jpg" for n in range(20)), "a.example/img/open/1.jpg", "a.example/art/1.jpg"
    )
    refused = ends["a.example/img/0.jpg"]
    assert (refused.status, refused.rule, refused.http_status) == ("opted_out", "robots_txt", None)
    assert refused.words == "robots.txt: Disallow: /img/ (for testbot)"
    assert {end.status for place, end in ends.items() if "/img/1" in place or "/img/2" in place} == {"opted_out"}
    assert ends["a.example/art/1.jpg"].rule == "content_usage_robots"
    assert ends["a.example/img/open/1.jpg"].status is None
    assert hosts.asked == {
        "a.example/robots.txt": 1,
        "a.example/.well-known/tdmrep.json": 1,
        "a.example/img/open/1.jpg": 1,
    }
    assert all("testbot" in agent for agent in hosts.agents), "files about an origin are asked for under the same name"


def test_a_redirect_into_what_is_forbidden_is_not_followed(hosts):
    hosts.says("a", "/robots.txt", FORBIDDEN)
    hosts.says("b", "/1.jpg", status=302, Location="http://a.example/img/1.jpg")
    end = fetched(hosts, "b.example/1.jpg")["b.example/1.jpg"]
    assert end.rule == "robots_txt" and not hosts.asked["a.example/img/1.jpg"]


def test_each_rule_ends_in_its_row(hosts):
    hosts.says("signal", "/robots.txt", b"User-agent: *\nContent-Signal: ai-train=no\n")
    hosts.says("tdm", "/.well-known/tdmrep.json", b'[{"location": "/", "tdm-reservation": 1}]')
    hosts.says("header", "/1.jpg", jpeg(), tdm_reservation="1")
    hosts.says("usage", "/1.jpg", jpeg(), Content_Usage="train-ai=n")
    hosts.says("tag", "/1.jpg", jpeg(), X_Robots_Tag="noai")
    hosts.says("down", "/robots.txt", status=503)
    hosts.says("far", "/robots.txt", status=301, Location="http://10.1.2.3/robots.txt")
    ends = fetched(
        hosts, *(f"{host}.example/1.jpg" for host in ("signal", "tdm", "header", "usage", "tag", "down", "far", "ok"))
    )
    assert {place.split(".")[0]: (end.status, end.rule) for place, end in ends.items()} == {
        "signal": ("opted_out", "content_signal"), "tdm": ("opted_out", "tdm_file"), "header": ("opted_out", "tdm_header"),
        "usage": ("opted_out", "content_usage_header"), "tag": ("opted_out", "x_robots_tag"),
        "down": ("robots_unreachable", None), "far": ("robots_unreachable", None), "ok": (None, None),
    }  # fmt: skip
    assert ends["down.example/1.jpg"].http_status == 503
    assert not hosts.asked["down.example/1.jpg"] and not hosts.asked["signal.example/1.jpg"]


def test_files_that_come_packed_though_nobody_asked_for_that_are_read(hosts):
    rules, far = b"User-agent: *\nDisallow: /img/\n", b"#" * 80 + b"\n"
    reserved = b'[{"location": "/", "tdm-reservation": 1}]'
    hosts.says("packed", "/robots.txt", gzip.compress(rules), Content_Encoding="gzip")
    hosts.says("zlib", "/robots.txt", zlib.compress(rules), Content_Encoding="deflate")
    hosts.says("tdm", "/.well-known/tdmrep.json", gzip.compress(reserved), Content_Encoding="gzip")
    hosts.says("bom", "/.well-known/tdmrep.json", b"\xef\xbb\xbf" + reserved)
    # The limit is that of what is read: rules within it hold, whatever follows, bombs and damage too.
    hosts.says("bomb", "/robots.txt", gzip.compress(rules + bytes(300_000_000)), Content_Encoding="gzip")
    hosts.says("late", "/robots.txt", gzip.compress(far * 20_000 + rules), Content_Encoding="gzip")
    hosts.says("torn", "/robots.txt", gzip.compress(rules)[:-9], Content_Encoding="gzip")
    hosts.says("odd", "/robots.txt", rules, Content_Encoding="br")
    names = ("packed", "zlib", "tdm", "bom", "bomb", "late", "torn", "odd")
    ends = fetched(hosts, *(f"{name}.example/img/1.jpg" for name in names))
    assert {place.split(".")[0]: (end.status, end.rule) for place, end in ends.items()} == {
        "packed": ("opted_out", "robots_txt"), "zlib": ("opted_out", "robots_txt"), "tdm": ("opted_out", "tdm_file"),
        "bom": ("opted_out", "tdm_file"), "bomb": ("opted_out", "robots_txt"), "late": (None, None),
        "torn": ("bad_encoding", None), "odd": ("bad_encoding", None),
    }  # fmt: skip
    assert not any(hosts.asked[f"{name}.example/img/1.jpg"] for name in names if name != "late")


def test_rules_that_are_off_ask_for_nothing(hosts):
    hosts.says("a", "/robots.txt", FORBIDDEN)
    off = ["robots_txt", "content_usage_robots", "content_signal", "tdm_file"]
    assert fetched(hosts, "a.example/img/1.jpg", consent_off=off)["a.example/img/1.jpg"].status is None
    assert hosts.asked == {"a.example/img/1.jpg": 1}


def test_opt_in_on_the_web(hosts):
    hosts.says("robots", "/robots.txt", b"User-agent: *\nContent-Usage: train-ai=y\n")
    hosts.says("header", "/1.jpg", jpeg(), Content_Usage="train-ai=y")
    hosts.says("moved", "/1.jpg", status=302, Location="http://robots.example/2.jpg")
    places = [f"{host}.example/1.jpg" for host in ("robots", "header", "moved", "silent")]
    ends = fetched(hosts, *places, consent="opt_in")
    assert [ends[place].status for place in places] == [None, None, None, "not_opted_in"]


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"User-agent: *\nDisallow: /img/\n" + b"# fill\n" * 8_000_000, {}, "opted_out"),
        (b"\0" * 2_000_000, {}, None),
        (b"x" * 5_000_000, {}, None),
        (b"User-agent: *\nDisallow: /", {"Content-Length": "999999"}, "connection_error"),
        (b"User-agent: *\nDisallow: /", {"Content-Encoding": "gzip"}, "opted_out"),
    ],
    ids=["50 MB", "zeros", "one line", "cut off", "not gzip"],
)
def test_hostile_robots_files(hosts, body, headers, status):
    hosts.says("a", "/robots.txt", body)
    hosts.files["a.example/robots.txt"][1].update(headers)
    if "Content-Length" in headers:
        hosts.files["a.example/robots.txt"][1]["Connection"] = "close"
    assert fetched(hosts, "a.example/img/1.jpg")["a.example/img/1.jpg"].status == status
