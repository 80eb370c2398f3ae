"""One request over HTTP, within limits: checked addresses, a deadline, so many bytes, no cookies, no proxies, no redirects.

aiohttp speaks HTTP/1.1 and keeps connections. Of the clients tried it took 70 to 140 us of CPU a request where httpx took
2,200 and libcurl 20; a small image takes 200 to decode and hash, and aiohttp lets its addresses be checked where it connects.
HTTP/2 was left out: hosts are mixed, so that few have two images in flight together.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import aiohttp
from yarl import URL

from curate.images.addresses import Addresses
from curate.images.aiohttp_connections import USED, Connector
from curate.images.aiohttp_errors import classified
from curate.images.bodies import Body, DiskError
from curate.images.names import Names
from curate.images.status import FetchError

REDIRECTS = (301, 302, 303, 307, 308)
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
            connector=Connector(self._names, self._limits.addresses, fresh), auto_decompress=False, trust_env=False,
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
            USED.set(False)
            try:
                return await session.get(URL(url, encoded=True), allow_redirects=False, timeout=limits)
            except (aiohttp.ClientResponseError, aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
                if not USED.get():
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
