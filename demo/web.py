"""The web of a bundled pool, on a loopback port: the statuses, redirects, headers and bodies that its table lists.

    python demo/web.py demo/pool 8765

A request names its page by its Host header and path (`Host: emoji.example`, `GET /noto/1f192.png`), as one that is
sent to another address than its host's does, or by an absolute address, as to a proxy.
"""

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pyarrow.parquet as pq

TABLE = "web.parquet"
COLUMNS = ["url", "status", "content_type", "location", "headers", "member"]


class Server(ThreadingHTTPServer):
    """Answers for one pool. `table` is {URL: row of web.parquet}."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, pool: Path, port: int):
        self.pool = pool
        self.table = {row["url"]: row for row in pq.read_table(pool / TABLE, columns=COLUMNS).to_pylist()}
        super().__init__(("127.0.0.1", port), Handler)

    def body(self, row: dict[str, Any]) -> bytes:
        """The bytes of a row's `member`: a file of the pool, or `zip!name` for a file in a zip."""
        archive, _, name = (row["member"] or "").rpartition("!")
        if archive:
            with ZipFile(self.pool / archive) as opened:
                return opened.read(name)
        return (self.pool / name).read_bytes() if name else b""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up early (a timeout, a size limit) is its own business; anything else is ours."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server
    wbufsize = 1 << 16
    disable_nagle_algorithm = True
    timeout = 60

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, with_body: bool) -> None:
        absolute = self.path.startswith("http://")
        host = (self.headers.get("Host") or "").lower().removesuffix(":80")
        row = self.server.table.get(self.path if absolute else f"http://{host}{self.path}")
        body = self.server.body(row) if row else b"no such page\n"
        self.send_response(row["status"] if row else 404)
        for name, value in _headers(row).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: the terminal belongs to the stages."""


def _headers(row: dict[str, Any] | None) -> dict[str, str]:
    if row is None:
        return {"Content-Type": "text/plain"}
    location = {"Location": row["location"]} if row["location"] else {}
    return {"Content-Type": row["content_type"], **location, **json.loads(row["headers"] or "{}")}


@contextmanager
def serve(pool: str | Path, port: int = 0) -> Iterator[tuple[Server, int]]:
    """Serves a pool while the block runs; yields the server and its port. Port 0 takes any that is free."""
    server = Server(Path(pool), port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server, server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def main(pool: str, port: str) -> None:
    with serve(pool, int(port)) as (server, chosen):
        print(f"{len(server.table)} addresses on http://127.0.0.1:{chosen}; stop with Ctrl-C", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(f"usage: {sys.argv[0]} POOL PORT")
    main(*sys.argv[1:])
