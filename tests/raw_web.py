"""A web server that says exactly the bytes it is told to, and notes when it was asked by whom. Loaded as a plugin by conftest.py."""

import socket
import threading
import time
from collections import Counter, defaultdict
from contextlib import suppress

import pytest


class RawWeb:
    """`says[path]` is bytes, or a function (connection, host) that writes them itself; robots.txt and the like are not there.

    `asked` counts paths with their host (`a.example/1.jpg`), `times` has when each host was asked for an image, `most` how many of its
    requests were open together.
    """

    def __init__(self):
        self.says, self.asked, self.times, self.most = {}, Counter(), defaultdict(list), Counter()
        self.heads, self._open, self._lock = {}, Counter(), threading.Lock()
        self.closing = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.closing.set()
        self._server.close()

    def _accept(self):
        with suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection, suppress(OSError), connection.makefile("rb") as lines:
            while line := lines.readline():
                path = line.split()[1].decode()
                fields = dict(line.decode("latin-1").rstrip().split(": ", 1) for line in iter(lines.readline, b"\r\n"))
                self._answer(connection, path, fields)

    def _answer(self, connection, path, fields):
        host = fields["Host"]
        image = not path.endswith((".txt", ".json"))
        with self._lock:
            self.asked[host + path] += 1
            self.heads[host + path] = fields
            self._open[host] += image
            self.most[host] = max(self.most[host], self._open[host])
            if image:
                self.times[host].append(time.monotonic())
        try:
            says = self.says.get(path) or self.says.get("*") if image else None
            if callable(says):
                says = says(connection, host)
            connection.sendall(says or ok(b"no", "404 Not Found"))
        finally:
            with self._lock:
                self._open[host] -= image


def ok(body, status="200 OK", **fields):
    """An answer with its length."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@pytest.fixture
def raw_web():
    web = RawWeb()
    yield web
    web.close()
