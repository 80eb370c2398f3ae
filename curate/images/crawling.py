"""The engine `curate`: an event loop in a thread of its own that asks many hosts at once and each of them politely.

For every image: consent, a turn at the host's gate, one request, perhaps a redirect or another try, then its facts. A part's
next batch is begun while the last one ends, so that one slow host holds up nothing but its own images.
"""

import asyncio
import gc
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from PIL import Image

from curate.images.addresses import Addresses
from curate.images.agent import agent
from curate.images.bodies import DiskError
from curate.images.consent import Policy, refused
from curate.images.consent.robots import MAX_BYTES
from curate.images.decoding import ImageError, open_image
from curate.images.fetched import SHA256_DIFFERS, Fetched, Spool, Times, Trail, Wanted, differs
from curate.images.gate import Gate, Turn
from curate.images.inspecting import Facts, facts_of, inspect
from curate.images.inspectors import Inspectors
from curate.images.names import Names
from curate.images.politeness import Manners, retry_after
from curate.images.status import RATE_LIMITED, Ending, FetchError, of_http
from curate.images.transport import REDIRECTS, Headers, Limits, Response, Transport, canonical, host_of
from curate.recipe import Download

MAX_REDIRECTS = 10
INSPECTORS = 2
"""Threads that decode, for each event loop."""
SMALL_BYTES, SMALL_PIXELS = 65_536, 65_536
"""Images within both are looked at on the loop itself, for 0.2 ms each: handing one to a thread and the interpreter back and
forth while both are busy took another 0.3."""
_GARBAGE = (50_000, 20, 50)
"""When Python looks for cycles: with thousands of images under way the usual (700, 10, 10) took a seventh of all time."""
_PASSING = {"timeout", "connection_error", "dns_error", "http_5xx", RATE_LIMITED}
"""Statuses after which the same request may end otherwise."""


@dataclass
class _Account:
    """What is known so far of one image."""

    started: float
    url: str
    redirects: int | None = None
    content_type: str | None = None
    nbytes: int | None = None
    elapsed: float = 0.0
    spent: float = 0.0
    """Seconds of `max_seconds` that are used."""
    requests: int = 0
    chain: list[str] = field(default_factory=list)
    consent: str | None = None
    """What allows the use, where somebody does."""

    def trail(self) -> Trail:
        moved = self.url if self.redirects else None
        return Trail(moved, self.redirects, self.content_type, self.nbytes)

    def times(self, now: float) -> Times:
        return Times(self.elapsed, max(0.0, now - self.started - self.elapsed), self.requests)


class Crawler:
    """Fetches one image at a time for as many callers as there are; lives on one event loop."""

    def __init__(self, settings: Download):
        addresses = Addresses.parse(settings.allow_addresses, settings.connect_to, settings.contact is not None)
        self._settings, self._inspectors = settings, Inspectors(INSPECTORS)
        self._gate = Gate(Manners.of(settings))
        names = Names(addresses, settings.dns_ttl, settings.timeout)
        limits = Limits(addresses, settings.max_bytes, settings.timeout)
        self._transport = Transport(limits, names, agent(settings.user_agent, settings.contact))
        self._policy = Policy.of(settings)

    async def close(self) -> None:
        await self._transport.close()
        self._inspectors.close()

    async def fetch(self, wanted: Wanted, spool: Spool) -> Fetched:
        """The image's ending, and its bytes in `spool` when it ended well. DiskError when this machine fails."""
        account = _Account(time.monotonic(), wanted.url)
        facts: Facts | None = None
        try:
            account.url = canonical(wanted.url)
            response, turn = await self._found(account)
            try:
                ending, facts = await self._inspected(wanted, response, account, spool)
            finally:
                turn.release()
        except FetchError as error:
            ending = error.ending
        except DiskError:
            raise
        except Exception as error:  # whatever it is, it is this image's end and no other's
            ending = FetchError("unexpected", f"{type(error).__name__}: {error}").ending
        return Fetched(ending, facts, account.trail(), account.times(time.monotonic()))

    async def _found(self, account: _Account) -> tuple[Response, Turn]:
        """Follows redirects to an answer with a body. Each hop is checked like the first."""
        while True:
            answer = await self._policy.ask(account.url, self._policy_file)
            if answer.refusal is not None:
                raise refused(answer.refusal)
            account.consent = account.consent or answer.consent
            response, turn = await self._asked(account, first=bool(account.chain))
            if response.status == 200:
                return response, turn
            turn.release()
            if response.body is not None:
                response.body.close()
            location = response.header("location")
            if response.status not in REDIRECTS or not location:
                raise of_http(response.status)
            account.chain.append(account.url)
            account.url = _following(account, location, response.status)
            account.redirects = len(account.chain)

    async def _asked(self, account: _Account, first: bool) -> tuple[Response, Turn]:
        """One hop. The turn is the caller's to release."""
        spent = account.spent

        async def once(turn: Turn) -> Response:
            account.spent = spent
            return await self._request(account, turn)

        return await self._tried(host_of(account.url), first, once)

    async def _tried(
        self, host: str, first: bool, once: Callable[[Turn], Awaitable[Response]]
    ) -> tuple[Response, Turn]:
        """An answer of a host, which is asked again as often as the recipe allows while that may help; the last one, in whatever
        way it ended. A server that says how long to wait has its way, and that is no failure, for max_retry_after in all."""
        failure: FetchError | None = None
        patience, attempt = float(self._settings.max_retry_after), 0
        while True:
            try:
                turn = await self._gate.enter(host, first or failure is not None)
            except FetchError as gone:
                # What the host did to this image says more than that it is asked no more.
                raise failure or gone from None
            asked_for: float | None = None
            try:
                response = await once(turn)
                passing = response.status in (408, 429) or response.status >= 500
                asked_for = self._heed(host, response, attempt) if passing else None
                turn.leave(True)
                patient = asked_for is not None and asked_for <= patience
                if not passing or (attempt == self._settings.retries and not patient):
                    return response, turn
                failure = of_http(response.status)
            except FetchError as error:
                turn.leave(True if error.ending.http_status is not None else _unasked(error))
                failure, patient = error, False
            except BaseException:
                turn.release()
                raise
            turn.release()
            if patient and asked_for is not None:
                patience -= asked_for
                continue
            if attempt == self._settings.retries or failure.ending.status not in _PASSING:
                raise failure
            if failure.ending.status != RATE_LIMITED:  # then the host's gate is shut for long enough
                await asyncio.sleep(self._settings.retry_wait * 2**attempt)
            attempt += 1

    async def _request(self, account: _Account, turn: Turn) -> Response:
        """One request, and its part in the account."""

        def welcome(status: int, headers: Headers) -> None:
            account.redirects = len(account.chain)
            account.content_type = next((v[:100] for k, v in headers if k.lower() == "content-type"), None)
            if status // 100 == 2 and status != 200:
                raise of_http(status)
            refusal = self._policy.on_response(headers, account.consent) if status == 200 else None
            if refusal is not None:
                raise refused(refusal, status)

        start = time.monotonic()
        account.requests += 1
        account.content_type = None
        try:
            left = self._settings.max_seconds - account.spent
            response = await self._transport.get(account.url, left, welcome, self._gate.waiting(turn.host))
        finally:
            took = time.monotonic() - start
            account.elapsed, account.spent = account.elapsed + took, account.spent + took
        return response

    def _heed(self, host: str, response: Response, attempt: int) -> float | None:
        """What a server that has had enough asks for, or what is decent where it asks for nothing, goes for its whole host.

        The seconds that it asks for, one at least; None where it does not, or is left alone for good.
        """
        wanted = retry_after(response.headers) if response.status in (429, 503) else None
        if wanted is not None and wanted > self._settings.max_retry_after:
            self._gate.give_up(host, RATE_LIMITED)
            return None
        if wanted is None and response.status in (429, 503):
            self._gate.hold(
                host, self._settings.retry_wait * 2**attempt if response.status == 429 else 0.0, gently=True
            )
        elif wanted is not None:
            self._gate.hold(host, wanted, gently=True)
        return None if wanted is None else max(wanted, 1.0)

    async def _inspected(
        self, wanted: Wanted, response: Response, account: _Account, spool: Spool
    ) -> tuple[Ending, Facts | None]:
        body, look = response.body, partial(_look, wanted, spool, self._settings)
        assert body is not None
        account.nbytes = body.size
        if body.size > SMALL_BYTES:
            return await self._inspectors.call(lambda: look(body.read()))
        data = body.read()
        try:
            opened = open_image(data, self._settings.max_pixels)
        except ImageError as error:
            return FetchError(error.status, str(error), 200).ending, None
        if opened.width * opened.height <= SMALL_PIXELS:
            return look(data, opened)
        return await self._inspectors.call(look, data, opened)

    async def _policy_file(self, url: str) -> tuple[int, Headers, bytes]:
        """Asks for a file that says what robots may do, no further than its rules are read. Raises FetchError."""
        url = canonical(url)

        async def once(turn: Turn) -> Response:
            keep, most = self._gate.waiting(turn.host), MAX_BYTES + 1
            return await self._transport.get(url, self._settings.max_seconds, lambda *_: None, keep, cut_at=most)

        response, turn = await self._tried(host_of(url), True, once)
        turn.release()
        return response.status, response.headers, response.body.read() if response.body else b""


def _look(
    wanted: Wanted, spool: Spool, settings: Download, data: bytes, opened: Image.Image | None = None
) -> tuple[Ending, Facts | None]:
    """How an image ends whose bytes are there, which go to `spool` when that is well."""
    try:
        facts = inspect(data, settings.max_pixels) if opened is None else facts_of(data, opened)
    except ImageError as error:
        return FetchError(error.status, str(error), 200).ending, None
    if settings.sha256_mismatch == "drop" and differs(facts, wanted.known):
        return FetchError(SHA256_DIFFERS, "the bytes are others than the source has seen", 200).ending, None
    spool.put(wanted.image, data)
    return Ending(None, 200), facts


def _unasked(error: FetchError) -> bool | None:
    """None where the host itself was not asked: that says nothing about it."""
    return None if error.ending.status in ("refused_address", "refused_scheme", "unexpected") else False


def _following(account: _Account, location: str, status: int) -> str:
    try:
        following = canonical(location, account.url)
    except FetchError as error:
        raise FetchError(error.ending.status or "unexpected", f"redirected: {error.ending.words}", status) from error
    if following in account.chain or len(account.chain) > MAX_REDIRECTS:
        raise FetchError("redirect_loop", "redirected too often", status)
    return following


class CrawlSession:
    """The crawler's event loop in a thread. See `curate.images.fetched.Session`."""

    def __init__(self, settings: Download):
        self._garbage = gc.get_threshold()
        gc.set_threshold(*_GARBAGE)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="crawl", daemon=True)
        self._thread.start()
        self._crawler: Crawler = self._call(self._made(settings)).result()

    async def _made(self, settings: Download) -> Crawler:
        return Crawler(settings)

    def _call(self, work: Any) -> "Future[Any]":
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def start(self, images: Sequence[Wanted]) -> "CrawlBatch":
        spool = Spool()
        return CrawlBatch(self._call(self._all(images, spool)), [wanted.image for wanted in images], spool)

    async def _all(self, images: Sequence[Wanted], spool: Spool) -> dict[str, Fetched]:
        try:
            async with asyncio.TaskGroup() as group:
                tasks = {w.image: group.create_task(self._crawler.fetch(w, spool)) for w in images}
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return {image: task.result() for image, task in tasks.items()}

    def close(self) -> None:
        self._call(self._ended()).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        gc.set_threshold(*self._garbage)

    async def _ended(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._crawler.close()


class CrawlBatch:
    """See `curate.images.fetched.Batch`."""

    def __init__(self, future: "Future[dict[str, Fetched]]", order: list[str], spool: Spool):
        self._future, self._order, self._spool = future, order, spool

    def result(self) -> dict[str, Fetched]:
        return self._future.result()

    def bodies(self, images: Collection[str]) -> Iterator[tuple[str, bytes]]:
        fetched = self.result()
        for image in self._order:
            if image in images and fetched[image].facts is not None:
                yield image, self._spool.get(image)

    def close(self) -> None:
        self._future.cancel()
        self._spool.close()
