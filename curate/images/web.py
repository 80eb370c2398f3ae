"""The web as a fetcher may see it: a urllib opener that bounds where, how much and how long.

img2dataset asks `urllib.request.urlopen` for every image. Left alone that follows redirects to any address, to ftp: and
through proxies of the environment, reads bodies of any length into memory, and waits as long as a byte comes now
and then. The opener here is installed in its place; it also turns each error into one of the closed statuses.
"""

import http.client
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from email.message import Message
from functools import partial
from typing import Any
from urllib.parse import urljoin, urlsplit

from curate.images.bodies import Body
from curate.images.consent import refused
from curate.images.consent.origins import Response
from curate.images.consent.robots import MAX_BYTES
from curate.images.fetched import Trail
from curate.images.status import RATE_LIMITED, FetchError, of_http
from curate.images.urllib_connections import CHUNK, Connection, Limits, TLSSocket
from curate.images.urllib_errors import classified

_TRANSIENT = {"timeout", "connection_error", "dns_error", "http_5xx", RATE_LIMITED}
_TRANSIENT_HTTP = {408}


class _Handler(urllib.request.AbstractHTTPHandler):
    """http: and https: over the bounded connections."""

    def __init__(self, limits: Limits):
        super().__init__()
        self._limits = limits
        self._tls = ssl.create_default_context()
        self._tls.sslsocket_class = TLSSocket

    def http_open(self, req: urllib.request.Request) -> Any:
        return self._over(req, None)

    def https_open(self, req: urllib.request.Request) -> Any:
        return self._over(req, self._tls)

    def _over(self, req: Any, tls: ssl.SSLContext | None) -> Any:
        make: Any = partial(Connection, limits=self._limits, deadline=req.deadline, tls=tls)
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
                while not body.full and (chunk := response.read(CHUNK)):
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
