"""A web server on a loopback port that does to a fetcher what the web does. Loaded as a plugin by conftest.py."""

import io
import struct
import threading
import time
import zlib
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image


def picture(kind: str = "JPEG", seed: int = 0, size: int = 32, **options) -> bytes:
    """The bytes of a small real image; equal seeds show the same picture."""
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).resize((size, size), Image.Resampling.BICUBIC).save(out, kind, **options)
    return out.getvalue()


def huge_png() -> bytes:
    """A valid PNG header of 50,000 x 50,000 pixels, and next to nothing after it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")
    )


class HostileWeb:
    """`url(path)` of a page; `asked` counts the requests by path."""

    formats: ClassVar = {
        "jpg": "JPEG",
        "png": "PNG",
        "webp": "WEBP",
        "gif": "GIF",
        "bmp": "BMP",
        "tiff": "TIFF",
        "avif": "AVIF",
    }

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.hosts: dict[str, str] = {}
        self.closing = threading.Event()
        web = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                web.asked[self.path] += 1
                web.hosts[self.path] = self.headers["Host"]
                try:
                    web.answer(self)
                except (BrokenPipeError, ConnectionResetError):  # the fetcher has had enough, as it should
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                return

        class Server(ThreadingHTTPServer):
            request_queue_size, daemon_threads = 128, True

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/{path}"

    def close(self) -> None:
        self.closing.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def answer(self, page: BaseHTTPRequestHandler) -> None:
        """One path, one behaviour."""
        name = page.path.strip("/")
        stem, _, suffix = name.partition(".")
        if name in ("robots.txt", ".well-known/tdmrep.json"):
            self.send(page, b"no", status=404)
            return
        if stem.startswith("ok") and suffix in self.formats:
            self.send(page, picture(self.formats[suffix], seed=int(stem.removeprefix("ok") or 0)))
        elif stem.isdigit():
            self.send(page, b"no", status=int(stem))
        elif stem == "robots":
            tag = {"noai": "noai", "other": "otherbot: noai", "ours": "TestBot: NoAI", "all": "all"}
            tag["dated"] = "noindex, unavailable_after: 25 Jun 2010 15:00:00 PST"
            self.send(page, picture(), headers={"X-Robots-Tag": tag[suffix]})
        elif stem in self.redirects:
            self.send(page, b"", status=302, headers={"Location": self.redirects[stem].format(port=self.port)})
        else:
            getattr(self, stem)(page)

    redirects: ClassVar = {
        "moved": "/ok1.jpg",
        "to-drip": "/drip",
        "loop": "/loop",
        "to-private": "http://10.1.2.3/x.jpg",
        "to-metadata": "http://169.254.169.254/latest/meta-data/",
        "to-number": "http://167772161/x.jpg",
        "to-file": "file:///etc/passwd",
        "to-ftp": "ftp://127.0.0.1/x.jpg",
        "to-v6": "http://[::ffff:10.0.0.1]/x.jpg",
    }

    @staticmethod
    def send(page, body: bytes, status: int = 200, headers: dict[str, str] | None = None, length: int | None = None):
        page.send_response(status)
        page.send_header("Content-Type", "image/jpeg")
        page.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in (headers or {}).items():
            page.send_header(name, value)
        page.end_headers()
        page.wfile.write(body)

    def html(self, page) -> None:
        self.send(page, b"<!DOCTYPE html><html><body>Not here any more</body></html>")

    def empty(self, page) -> None:
        self.send(page, b"")

    def truncated(self, page) -> None:
        self.send(page, picture()[:-40])

    def truncated_png(self, page) -> None:
        self.send(page, picture("PNG")[:-40])

    def garbled(self, page) -> None:
        data = bytearray(picture("PNG", size=64))
        data[200:260] = bytes(60)
        self.send(page, bytes(data))

    def huge(self, page) -> None:
        self.send(page, huge_png())

    def longer(self, page) -> None:
        """Promises more than comes."""
        self.send(page, picture(), length=len(picture()) + 1000)
        page.close_connection = True

    def boundless(self, page) -> None:
        """Promises more than any memory holds."""
        self.send(page, picture(), length=10**15)
        page.close_connection = True

    def shorter(self, page) -> None:
        """Promises less than comes."""
        self.send(page, picture(), length=len(picture()) - 40)
        page.close_connection = True

    def cut(self, page) -> None:
        """Hangs up without a word."""
        page.close_connection = True

    def nonsense(self, page) -> None:
        page.wfile.write(b"220 mail.example ESMTP ready\r\n")
        page.close_connection = True

    def silent(self, page) -> None:
        self.closing.wait(20)
        page.close_connection = True

    def drip(self, page) -> None:
        """A byte now and then, each soon enough to look alive."""
        page.send_response(200)
        page.send_header("Content-Length", "100000")
        page.end_headers()
        for _ in range(200):
            page.wfile.write(b"\xff")
            page.wfile.flush()
            if self.closing.wait(0.1):
                return

    def drip_head(self, page) -> None:
        """The same, but it never gets past the headers."""
        page.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        for _ in range(200):
            page.wfile.write(b"a")
            page.wfile.flush()
            if self.closing.wait(0.1):
                return

    def endless(self, page) -> None:
        page.send_response(200)
        page.send_header("Transfer-Encoding", "chunked")
        page.end_headers()
        block = b"10000\r\n" + b"\0" * 65536 + b"\r\n"
        until = time.monotonic() + 20
        while time.monotonic() < until and not self.closing.is_set():
            page.wfile.write(block)

    def flaky(self, page) -> None:
        """Fails at first, answers when asked again."""
        if self.asked[page.path] == 1:
            self.send(page, b"busy", status=503)
        else:
            self.send(page, picture())


@pytest.fixture
def hostile_web():
    web = HostileWeb()
    yield web
    web.close()


@pytest.fixture
def picture_bytes():
    return picture
