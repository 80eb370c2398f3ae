"""The bundled pool's web: what its table says is what a client gets."""

import hashlib
import http.client
import importlib.util
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow.parquet as pq
import pytest

DEMO = Path(__file__).resolve().parents[2] / "demo"


@pytest.fixture(scope="module")
def port():
    spec = importlib.util.spec_from_file_location("demo_web", DEMO / "web.py")
    web = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(web)
    with web.serve(DEMO / "pool") as (_, port):
        yield port
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def ask(port: int, url: str, method: str = "GET", as_proxy: bool = False):
    parts = urlsplit(url)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    target = url if as_proxy else parts.path + (f"?{parts.query}" if parts.query else "")
    connection.request(method, target, headers={"Host": parts.netloc})
    answer = connection.getresponse()
    return answer, answer.read()


def test_every_address_answers_as_its_table_says(port):
    for row in pq.read_table(DEMO / "pool" / "web.parquet").to_pylist():
        answer, body = ask(port, row["url"])
        assert answer.status == row["status"]
        assert answer.headers["Content-Type"] == row["content_type"]
        assert (answer.headers["Location"] or "") == row["location"]
        assert not row["sha256"] or hashlib.sha256(body).hexdigest() == row["sha256"]


def test_headers_come_with_the_image(port):
    table = pq.read_table(DEMO / "pool" / "web.parquet").to_pylist()
    said = {ask(port, row["url"])[0].headers["X-Robots-Tag"] for row in table if row["headers"]}
    assert said == {"noai", "noimageai", "noindex", "PoolBot: noai", "all"}


@pytest.mark.parametrize("as_proxy", [False, True])
def test_host_header_and_absolute_address_are_one(port, as_proxy):
    answer, body = ask(port, "http://emoji.example/noto/1f192.png", as_proxy=as_proxy)
    assert (answer.status, body[:4]) == (200, b"\x89PNG")


def test_head_is_get_without_the_body(port):
    def raw(method: str) -> tuple[bytes, bytes]:
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(
                f"{method} /noto/1f192.png HTTP/1.1\r\nHost: emoji.example\r\nConnection: close\r\n\r\n".encode()
            )
            head, _, body = client.makefile("rb").read().partition(b"\r\n\r\n")
            return b"\r\n".join(line for line in head.splitlines() if not line.startswith(b"Date")), body

    (head, nothing), (get, body) = raw("HEAD"), raw("GET")
    assert nothing == b""
    assert head == get
    assert f"Content-Length: {len(body)}".encode() in head


@pytest.mark.parametrize(
    "url", ["http://emoji.example/../web.parquet", "http://other.example/noto/1f192.png", "http://emoji.example/"]
)
def test_what_is_not_in_the_table_is_not_there(port, url):
    assert ask(port, url)[0].status == 404


def test_a_client_that_hangs_up_is_forgotten(port, capfd):
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"GET /noto/1f192.png HTTP/1.1\r\nHost: emoji.example\r\n\r\n")
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    assert ask(port, "http://emoji.example/noto/1f192.png")[0].status == 200
    assert capfd.readouterr() == ("", "")
