"""Connections of aiohttp: only to addresses that were checked, and checked once more at the socket itself."""

import asyncio
import socket
import ssl
from contextvars import ContextVar
from functools import partial
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

from curate.images.addresses import Addresses
from curate.images.names import Names

KEEP_ALIVE = 10.0
"""Seconds that a connection is kept for a host that has more images queued."""
_HEAD_ENDS = b"\r\n\r\n"
USED: ContextVar[bool] = ContextVar("used", default=False)
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


class Connector(aiohttp.TCPConnector):
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
        USED.set(protocol.used)
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
