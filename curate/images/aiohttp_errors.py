"""What went wrong with aiohttp, as one of the closed statuses."""

import asyncio
import os
import ssl

import aiohttp

from curate.images.status import FetchError


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
