"""The engine `curate`: many hosts are asked at once, and each of them politely.

For every image: consent, a turn at the host's gate, one request, perhaps a redirect or another try, then its facts. `attempts` has
the tries, `account` what is known meanwhile, `crawl_session` the event loop that all of it lives on.
"""

import time
from functools import partial

from PIL import Image

from curate.images.account import Account
from curate.images.addresses import Addresses
from curate.images.agent import agent
from curate.images.attempts import Attempts
from curate.images.bodies import DiskError
from curate.images.consent import Policy, refused
from curate.images.consent.robots import MAX_BYTES
from curate.images.decoding import ImageError, open_image
from curate.images.fetched import SHA256_DIFFERS, Fetched, Spool, Wanted, differs
from curate.images.gate import Gate, Turn
from curate.images.inspecting import Facts, facts_of, inspect
from curate.images.inspectors import Inspectors
from curate.images.memory import Memory
from curate.images.names import Names
from curate.images.politeness import Manners
from curate.images.status import Ending, FetchError, of_http
from curate.images.transport import REDIRECTS, Headers, Limits, Response, Transport
from curate.images.urls import canonical, host_of
from curate.recipe import Download

INSPECTORS = 2
"""Threads that decode, for each event loop."""
SMALL_BYTES, SMALL_PIXELS = 65_536, 65_536
"""Images within both are looked at on the loop itself, for 0.2 ms each: handing one to a thread and the interpreter back and
forth while both are busy took another 0.3."""


class Crawler:
    """Fetches one image at a time for as many callers as there are; lives on one event loop."""

    def __init__(self, settings: Download):
        addresses = Addresses.parse(settings.allow_addresses, settings.connect_to, settings.contact is not None)
        self._settings, self._inspectors = settings, Inspectors(INSPECTORS)
        self._gate = Gate(Manners.of(settings), Memory.of(settings))
        self._attempts = Attempts(settings, self._gate)
        names = Names(addresses, settings.dns_ttl, settings.timeout)
        limits = Limits(addresses, settings.max_bytes, settings.timeout)
        self._transport = Transport(limits, names, agent(settings.user_agent, settings.contact))
        self._policy = Policy.of(settings)

    async def close(self) -> None:
        await self._transport.close()
        self._inspectors.close()
        self._gate.close()

    async def fetch(self, wanted: Wanted, spool: Spool) -> Fetched:
        """The image's ending, and its bytes in `spool` when it ended well. DiskError when this machine fails."""
        account = Account(time.monotonic(), wanted.url)
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

    async def _found(self, account: Account) -> tuple[Response, Turn]:
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
            account.follow(location, response.status)

    async def _asked(self, account: Account, first: bool) -> tuple[Response, Turn]:
        """One hop. The turn is the caller's to release."""
        spent = account.spent

        async def once(turn: Turn) -> Response:
            account.spent = spent
            return await self._request(account, turn)

        return await self._attempts.at(host_of(account.url), first, once)

    async def _request(self, account: Account, turn: Turn) -> Response:
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

    async def _inspected(
        self, wanted: Wanted, response: Response, account: Account, spool: Spool
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

        response, turn = await self._attempts.at(host_of(url), True, once)
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
