"""One request over HTTP, within limits: checked addresses, a deadline, so many bytes, no cookies, no proxies, no redirects.

aiohttp speaks HTTP/1.1 and keeps connections. Of the clients tried it took 70 to 140 us of CPU a request where httpx took
2,200 and libcurl 20; a small image takes 200 to decode and hash, and aiohttp lets its addresses be checked where it connects.
HTTP/2 was left out: hosts are mixed, so that few have two images in flight together.
"""

import asyncio
import os
import socket
import ssl
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import ada_url
import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from yarl import URL

from curate.images.addresses import Addresses
from curate.images.bodies import Body, DiskError
from curate.images.names import Names
from curate.images.status import FetchError

REDIRECTS = (301, 302, 303, 307, 308)
KEEP_ALIVE = 10.0
"""Seconds that a connection is kept for a host that has more images queued."""
_HEAD_ENDS = b"\r\n\r\n"
_DRAIN = 16_384
"""Bytes of a body nobody wants that are read all the same, since a new connection costs more."""
Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Limits:
    """What one request may use."""

    addresses: Addresses
    max_bytes: int
    timeout: float
    """Seconds without a byte."""


class Response(NamedTuple):
    """An answer; `body` of a 2xx that was welcome."""

    status: int
    headers: Headers
    body: Body | None

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name), None)


Welcome = Callable[[int, Headers], None]
"""Looks at the head of an answer before its body is read; raises FetchError when it is not wanted."""


class Transport:
    """Made and used on one event loop. Requests of one host share connections."""

    def __init__(self, limits: Limits, names: Names, agent: str):
        self._limits, self._names, self._agent = limits, names, agent
        self._kept, self._fresh = self._session(fresh=False), self._session(fresh=True)

    def _session(self, fresh: bool) -> aiohttp.ClientSession:
        session = aiohttp.ClientSession(
            connector=_Connector(self._names, self._limits.addresses, fresh), auto_decompress=False, trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(), headers={
                "User-Agent": self._agent, "Accept": "image/*, */*;q=0.5", "Accept-Encoding": "identity"},
        )  # fmt: skip
        # It would ask a server that hangs up a second time, on whatever connection: twice what the recipe allows.
        session._retry_connection = False
        return session

    async def close(self) -> None:
        await self._kept.close()
        await self._fresh.close()
        self._names.close()

    async def get(
        self, url: str, seconds: float, welcome: Welcome, keep: bool = False, cut_at: int | None = None
    ) -> Response:
        """Asks once. `seconds` to the last byte; `keep`: another request to this host follows; `cut_at`: so many bytes of the
        body, unpacked, are enough.

        Raises FetchError with a status of `schemas/images.yaml`, and an HTTP status where the head of an answer came;
        DiskError.
        """
        answer: aiohttp.ClientResponse | None = None
        body: Body | None = None
        try:
            answer = await self._head(url, time.monotonic() + seconds)
            headers = tuple((k.decode("latin-1"), v.decode("utf-8", "replace")) for k, v in answer.raw_headers)
            welcome(answer.status, headers)
            if answer.status // 100 == 2:
                codings = ", ".join(answer.headers.getall("Content-Encoding", ()))
                body = Body(cut_at or self._limits.max_bytes, codings, cut=cut_at is not None)
                await self._read(answer, body, cut_at)
            elif keep and 0 <= (answer.content_length or 0) <= _DRAIN:
                await answer.content.read(_DRAIN)
            if not keep:
                answer.close()
            return Response(answer.status, headers, body)
        except DiskError:
            raise
        except Exception as error:
            if body is not None:
                body.close()
            raise classified(error, answer.status if answer is not None else None) from error
        finally:
            if answer is not None:
                answer.release()

    async def _head(self, url: str, deadline: float) -> aiohttp.ClientResponse:
        """The head of an answer.

        A kept connection may be one that its server has closed meanwhile, and what is not HTTP on it the rest of the answer before,
        from a server that sends more than it says: then a new one is asked. A new one is asked once.
        """
        for session in (self._kept, self._fresh):
            limits = aiohttp.ClientTimeout(
                total=max(deadline - time.monotonic(), 0.001),
                sock_connect=self._limits.timeout,
                sock_read=self._limits.timeout,
            )
            _USED.set(False)
            try:
                return await session.get(URL(url, encoded=True), allow_redirects=False, timeout=limits)
            except (aiohttp.ClientResponseError, aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
                if not _USED.get():
                    raise
        raise AssertionError

    async def _read(self, answer: aiohttp.ClientResponse, body: Body, cut_at: int | None) -> None:
        most = self._limits.max_bytes
        if not cut_at and (answer.content_length or 0) > most:
            raise FetchError("too_many_bytes", f"the body is to have more than {most} bytes", answer.status)
        async for piece in answer.content.iter_any():
            body.add(piece)
            if body.full:
                return
        body.end()


_USED: ContextVar[bool] = ContextVar("used", default=False)
"""Whether the connection that a task was given last had been used before."""


class _Heads(ResponseHandler):
    """Hands the parser the head of an answer apart from what follows.

    It forgets a whole answer when bytes come behind it that its length does not speak of, if they come in one piece: whether
    an image is had would hang on how a network cuts its packets.
    """

    used = False

    def data_received(self, data: bytes) -> None:
        end = data.find(_HEAD_ENDS) + len(_HEAD_ENDS)
        if len(_HEAD_ENDS) <= end < len(data):
            super().data_received(data[:end])
            data = data[end:]
        super().data_received(data)
        # Nor does it tell who reads a body that the rest of it makes no sense.
        if self.exception() is not None and self._payload is not None and not self._payload.is_eof():
            self._payload.set_exception(aiohttp.ClientPayloadError())


class _Connector(aiohttp.TCPConnector):
    """Connects only to addresses that were checked, and checks once more at the socket itself."""

    def __init__(self, names: Names, addresses: Addresses, fresh: bool):
        self._addresses = addresses
        kept: dict[str, Any] = {"force_close": True} if fresh else {"keepalive_timeout": KEEP_ALIVE}
        super().__init__(
            limit=0, use_dns_cache=False, resolver=_Resolver(names), happy_eyeballs_delay=None,
            socket_factory=self._socket, ssl=ssl.create_default_context(), **kept,
        )  # fmt: skip
        self._factory = partial(_Heads, loop=asyncio.get_running_loop())  # type: ignore[assignment]

    async def connect(self, *args: Any, **keywords: Any) -> Connection:
        connection = await super().connect(*args, **keywords)
        protocol: Any = connection.protocol
        _USED.set(protocol.used)
        protocol.used = True
        return connection

    async def _resolve_host(self, host: str, port: int, traces: Any = None) -> list[ResolveResult]:
        """Of literal addresses too, which aiohttp asks no resolver about: `connect_to` may lead them elsewhere."""
        return await self._resolver.resolve(host, port)

    def _socket(self, info: Any) -> socket.socket:
        family, kind, protocol, _, place = info
        self._addresses.checked(place[0], [(family, place)])
        return socket.socket(family, kind, protocol)


class _Resolver(AbstractResolver):
    def __init__(self, names: Names):
        self._names = names

    async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_UNSPEC) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host, host=place[0], port=place[1], family=kind, proto=0, flags=socket.AI_NUMERICHOST
            )
            for kind, place in await self._names.resolve(host, port)
        ]

    async def close(self) -> None:
        self._names.close()


def canonical(url: str, base: str | None = None) -> str:
    """A URL, perhaps relative to another, as WHATWG writes it: numbers as dotted addresses, no user, no fragment.

    Raises FetchError: refused_scheme for one that is not http or https, unexpected for one that is none.
    """
    try:
        parsed = ada_url.URL(url.encode("utf-8", "replace").decode("utf-8"), base=base)
    except ValueError as error:
        raise FetchError("unexpected", "the URL cannot be parsed") from error
    if parsed.protocol not in ("http:", "https:"):
        raise FetchError("refused_scheme", f"leads to {parsed.protocol} and not to http or https")
    if "@" in parsed.href or "#" in parsed.href:  # each of these parses anew
        parsed.username = parsed.password = parsed.hash = ""
    return parsed.href


def host_of(url: str) -> str:
    """The host of a canonical URL, without port."""
    return urlsplit(url).hostname or ""


def classified(error: BaseException, http_status: int | None = None) -> FetchError:
    """The FetchError for any error of a request. Its words hold no address, port or count that another run would not see."""
    if isinstance(error, FetchError):
        if error.ending.http_status is None and http_status is not None:
            return FetchError(error.ending.status or "unexpected", error.ending.words or "", http_status)
        return error
    for cause in (error.__cause__, error.__context__):
        if isinstance(cause, FetchError):  # aiohttp wraps what its resolver raises
            return classified(cause, http_status)
    return FetchError(*_named(error), http_status)


def _named(error: BaseException) -> tuple[str, str]:
    if isinstance(error, TimeoutError | asyncio.TimeoutError):
        return "timeout", "no answer in time"
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        inner = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
        return "tls_error", getattr(inner, "verify_message", "") or getattr(inner, "reason", "") or "TLS failed"
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, ConnectionRefusedError):
        return "connection_error", "connection refused"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "connection_error", "the body ends before its declared length"
    if isinstance(error, aiohttp.ClientResponseError):
        return "connection_error", "the answer is not HTTP"
    # Which of reset, abort and an empty line a dying server causes is a matter of timing: one sentence for all.
    if isinstance(error, aiohttp.ServerDisconnectedError | ConnectionError):
        return "connection_error", "the connection broke off"
    if isinstance(error, aiohttp.InvalidURL):
        return "unexpected", "the URL cannot be used"
    if isinstance(error, aiohttp.ClientError | OSError):
        number = getattr(error, "errno", None)
        return "connection_error", os.strerror(number) if number else type(error).__name__
    return "unexpected", f"{type(error).__name__}: {error}"
