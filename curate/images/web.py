"""The web as a fetcher may see it: a urllib opener that bounds where, how much and how long.

img2dataset asks `urllib.request.urlopen` for every image. Left alone that follows redirects to any address, to ftp: and
through proxies of the environment, reads bodies of any length into memory, and waits as long as a byte comes now
and then. The opener here is installed in its place; it also turns each error into one of the closed statuses.
"""

import http.client
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from email.message import Message
from functools import partial
from typing import Any
from urllib.parse import urljoin, urlsplit

from curate.images.addresses import Addresses
from curate.images.bodies import Body, DiskError
from curate.images.consent import Policy, refused
from curate.images.consent.origins import Response
from curate.images.consent.robots import MAX_BYTES
from curate.images.fetched import Trail
from curate.images.status import RATE_LIMITED, FetchError, of_http

_CHUNK = 1 << 16
_TRANSIENT = {"timeout", "connection_error", "dns_error", "http_5xx", RATE_LIMITED}
_TRANSIENT_HTTP = {408}


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


class _TLSSocket(_Bounded, ssl.SSLSocket):
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
        while chunk := super().read(_CHUNK):
            body.add(chunk)
        if self.length:
            raise http.client.IncompleteRead(b"", self.length)
        body.end()
        if self.sized:
            self.sized(body.size)
        return body.read()


class _Connection(http.client.HTTPConnection):
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


class _Handler(urllib.request.AbstractHTTPHandler):
    """http: and https: over the bounded connections."""

    def __init__(self, limits: Limits):
        super().__init__()
        self._limits = limits
        self._tls = ssl.create_default_context()
        self._tls.sslsocket_class = _TLSSocket

    def http_open(self, req: urllib.request.Request) -> Any:
        return self._over(req, None)

    def https_open(self, req: urllib.request.Request) -> Any:
        return self._over(req, self._tls)

    def _over(self, req: Any, tls: ssl.SSLContext | None) -> Any:
        make: Any = partial(_Connection, limits=self._limits, deadline=req.deadline, tls=tls)
        return self.do_open(make, req)

    http_request = https_request = urllib.request.AbstractHTTPHandler.do_request_


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows to http and https alone; the new host is checked like any, and the deadline stays."""

    def http_error_302(self, req: Any, fp: Any, code: int, msg: str, headers: Message) -> Any:
        target = headers.get("location") or headers.get("uri")
        if target and urlsplit(urljoin(req.full_url, target)).scheme not in ("http", "https"):
            raise FetchError("refused_scheme", f"redirected to {target}", code)
        try:
            return super().http_error_302(req, fp, code, msg, headers)  # type: ignore[arg-type]
        except urllib.error.HTTPError as error:
            if str(error.msg).startswith(self.inf_msg):
                error.close()
                raise FetchError("redirect_loop", "redirected too often", code) from error
            raise

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302

    def redirect_request(self, req: Any, *args: Any) -> Any:
        following: Any = super().redirect_request(req, *args)
        if following is not None:
            following.deadline, following.consents = req.deadline, req.consents
            following.first = getattr(req, "first", req)
            following.first.hops = getattr(following.first, "hops", 0) + 1
            self.parent.ask(following)  # type: ignore[attr-defined]  # the opener below
        return following


class Opener(urllib.request.OpenerDirector):
    """An opener that keeps within limits and raises only FetchError. One for each shard of URLs.

    img2dataset retries whatever failed. What cannot end otherwise (404, opted out, refused) is answered from memory.
    """

    def __init__(self, limits: Limits):
        super().__init__()
        self._limits = limits
        self._settled: dict[str, FetchError] = {}
        self.trails: dict[str, Trail] = {}
        """How answers were come by, by the URL that was asked for."""
        self._plain = urllib.request.OpenerDirector()
        self._plain.add_handler(_Handler(limits))
        handlers = (
            _Handler(limits),
            _Redirects(),
            urllib.request.HTTPErrorProcessor(),
            urllib.request.HTTPDefaultErrorHandler(),
        )
        # No proxy, file, ftp or data handler: what is not added cannot be reached.
        for handler in handlers:
            self.add_handler(handler)

    def open(self, fullurl: Any, data: Any = None, timeout: Any = None) -> Any:
        if hasattr(fullurl, "deadline"):  # a redirect of a request that is already bounded
            return super().open(fullurl, data, timeout)
        request: Any = fullurl if isinstance(fullurl, urllib.request.Request) else urllib.request.Request(fullurl)
        url = request.full_url
        if url in self._settled:
            raise self._settled[url]
        request.consents = []
        request.add_header("User-Agent", self._limits.agent)
        try:
            self.ask(request)
            request.deadline = time.monotonic() + self._limits.max_seconds
            response = super().open(request, data, timeout or self._limits.timeout)
            self.trails[url] = trail = _trail(request, response)
            self._welcome(response, request)
            response.sized = lambda size: self.trails.update({url: replace(trail, nbytes=size)})
        except Exception as error:
            if isinstance(error, urllib.error.HTTPError):
                self.trails[url] = _trail(request, error)
            failure = classified(error)
            if failure.ending.status not in _TRANSIENT and failure.ending.http_status not in _TRANSIENT_HTTP:
                self._settled[url] = failure
            raise failure from error
        return response

    def ask(self, request: Any) -> None:
        """Asks the policy whether a request may be made; FetchError where not. Notes what allows the use."""
        if self._limits.policy is None:
            return
        answer = self._limits.policy.ask_blocking(request.full_url, partial(self._get, headers=request.headers))
        if answer.refusal is not None:
            raise refused(answer.refusal)
        request.consents.append(answer.consent)  # shared along redirects

    def _get(self, url: str, headers: dict[str, str]) -> Response:
        """One request without redirects, for files about an origin; the body is cut at what is read of such a file."""
        request: Any = urllib.request.Request(url, headers=headers)
        request.deadline = time.monotonic() + self._limits.max_seconds
        try:
            response: Any = self._plain.open(request, None, self._limits.timeout)
            with response:
                codings = ", ".join(response.headers.get_all("Content-Encoding", ()))
                body = Body(MAX_BYTES + 1, codings if response.status // 100 == 2 else None, cut=True)
                while not body.full and (chunk := response.read(_CHUNK)):
                    body.add(chunk)
                if response.length and not body.full:
                    raise http.client.IncompleteRead(b"", response.length)
                body.end()
        except Exception as error:
            raise classified(error) from error
        return response.status, response.headers.items(), body.read()

    def _welcome(self, response: Any, request: Any) -> None:
        """Closes and refuses an answer that has no image for us."""
        policy = self._limits.policy
        refusal = (
            policy.on_response(response.headers.items(), next(filter(None, request.consents), None)) if policy else None
        )
        if response.status == 200 and refusal is None:
            return
        response.close()
        if response.status != 200:
            raise of_http(response.status)
        raise refused(refusal, response.status)


def _trail(request: Any, response: Any) -> Trail:
    hops, content_type = getattr(request, "hops", 0), response.headers.get("Content-Type")
    return Trail(response.geturl() if hops else None, hops, content_type and content_type[:100])


@contextmanager
def installed(opener: Opener) -> Iterator[None]:
    """`urllib.request.urlopen` of this process goes through the opener inside the block."""
    urllib.request.install_opener(opener)
    try:
        yield
    finally:
        urllib.request.install_opener(None)  # None brings the default back


def classified(error: BaseException, http_status: int | None = None) -> FetchError:
    """The FetchError for any error of a fetch. Its words hold no address, port or count that another run would not see."""
    if isinstance(error, FetchError):
        return error
    if isinstance(error, urllib.error.HTTPError):
        error.close()
        return of_http(error.code)
    if isinstance(error, urllib.error.URLError) and isinstance(error.reason, BaseException):
        return classified(error.reason, http_status)
    status, words = _named(error)
    return FetchError(status, words, http_status)


def _named(error: BaseException) -> tuple[str, str]:
    if isinstance(error, DiskError):
        return "lost", str(error)
    if isinstance(error, TimeoutError):
        return "timeout", "no answer in time"
    if isinstance(error, ssl.SSLError):
        return "tls_error", getattr(error, "verify_message", "") or error.reason or "TLS failed"
    if isinstance(error, ConnectionRefusedError):
        return "connection_error", "connection refused"
    if isinstance(error, http.client.IncompleteRead):
        return "connection_error", "the body ends before its declared length"
    # Which of reset, abort and an empty line a dying server causes is a matter of timing: one sentence for all.
    if isinstance(error, ConnectionError):
        return "connection_error", "the connection broke off"
    if isinstance(error, http.client.InvalidURL):
        return "unexpected", f"InvalidURL: {error}"
    if isinstance(error, http.client.HTTPException):
        return "connection_error", "the answer is not HTTP"
    if isinstance(error, OSError):
        return "connection_error", error.strerror or type(error).__name__
    return "unexpected", f"{type(error).__name__}: {error}"


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the deadline has passed")
    return left
