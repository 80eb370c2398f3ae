"""Connections of urllib that keep within limits: addresses that were checked, so many seconds, so many bytes."""

import http.client
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from curate.images.addresses import Addresses
from curate.images.bodies import Body
from curate.images.consent import Policy
from curate.images.status import FetchError
from curate.images.urllib_errors import classified

CHUNK = 1 << 16


@dataclass(frozen=True)
class Limits:
    """What one fetch may use, redirects included."""

    addresses: Addresses
    max_bytes: int
    timeout: float
    """Seconds without a byte."""
    max_seconds: float
    """Seconds from the first connection to the last byte."""
    agent: str
    """The User-Agent header."""
    policy: Policy | None = None
    """What is asked before an image is asked for, and of each answer."""


class _Bounded:
    """Mixin of sockets: every receive waits at most `patience` seconds and none outlives `deadline`."""

    patience: float
    deadline: float

    def recv_into(self, *args: Any, **keywords: Any) -> int:
        self.settimeout(min(self.patience, _left(self.deadline)))  # type: ignore[attr-defined]
        return super().recv_into(*args, **keywords)  # type: ignore[misc]


class _PlainSocket(_Bounded, socket.socket):
    pass


class TLSSocket(_Bounded, ssl.SSLSocket):
    pass


class _Response(http.client.HTTPResponse):
    """A response that reads no more than `max_bytes`, and says when the body ends before its declared length.

    The declared length is never trusted with memory: `http.client` would allocate it at once.
    """

    sized: Callable[[int], None] | None = None
    """Is told the size of a whole body."""

    def __init__(self, *args: Any, max_bytes: int, **keywords: Any):
        super().__init__(*args, **keywords)
        self._max_bytes = max_bytes

    def read(self, amt: int | None = None) -> bytes:
        try:
            return super().read(amt) if amt is not None else self._read_all()
        except Exception as error:
            raise classified(error, self.status) from error

    def _read_all(self) -> bytes:
        if (self.length or 0) > self._max_bytes:
            raise FetchError("too_many_bytes", f"the body is to have more than {self._max_bytes} bytes", self.status)
        body = Body(self._max_bytes, self.getheader("Content-Encoding"))
        while chunk := super().read(CHUNK):
            body.add(chunk)
        if self.length:
            raise http.client.IncompleteRead(b"", self.length)
        body.end()
        if self.sized:
            self.sized(body.size)
        return body.read()


class Connection(http.client.HTTPConnection):
    """Connects to the very address that was checked; the name stays in the Host header and in TLS."""

    tls: ssl.SSLContext | None = None

    def __init__(self, host: str, *, limits: Limits, deadline: float, timeout: float, tls: ssl.SSLContext | None):
        self.default_port = 443 if tls else 80
        super().__init__(host, timeout=timeout)
        self._limits, self._deadline, self.tls = limits, deadline, tls
        self.response_class = partial(_Response, max_bytes=limits.max_bytes)  # type: ignore[assignment]

    def connect(self) -> None:
        sock: Any = self._dial()
        if self.tls:
            sock = self.tls.wrap_socket(sock, server_hostname=self.host)
            sock.patience, sock.deadline = self._limits.timeout, self._deadline
        self.sock = sock

    def _dial(self) -> _PlainSocket:
        failure: OSError = ConnectionError("no address")
        for family, place in self._limits.addresses.resolve(self.host, self.port):
            sock = _PlainSocket(family, socket.SOCK_STREAM)
            sock.patience, sock.deadline = self._limits.timeout, self._deadline
            try:
                sock.settimeout(min(sock.patience, _left(sock.deadline)))
                sock.connect(place)
                return sock
            except OSError as error:
                sock.close()
                failure = error
        raise failure


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the deadline has passed")
    return left
