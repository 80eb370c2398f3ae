"""Asking a host again: as often as the recipe allows while that may help, as late as the host wants, and at its gate each time."""

import asyncio
from collections.abc import Awaitable, Callable

from curate.images.gate import Gate, Turn
from curate.images.politeness import retry_after
from curate.images.status import RATE_LIMITED, FetchError, of_http
from curate.images.transport import Response
from curate.recipe import Download

_PASSING = {"timeout", "connection_error", "dns_error", "http_5xx", RATE_LIMITED}
"""Statuses after which the same request may end otherwise."""


class Attempts:
    """The attempts of one event loop, all at the same gate."""

    def __init__(self, settings: Download, gate: Gate):
        self._settings, self._gate = settings, gate

    async def at(self, host: str, first: bool, once: Callable[[Turn], Awaitable[Response]]) -> tuple[Response, Turn]:
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

    def _heed(self, host: str, response: Response, attempt: int) -> float | None:
        """What a server that has had enough asks for, or what is decent where it asks for nothing, goes for its whole host.

        The seconds that it asks for, one at least; None where it does not, or is left alone for good.
        """
        wanted = retry_after(response.headers) if response.status in (429, 503) else None
        if wanted is not None and wanted > self._settings.max_retry_after:
            self._gate.give_up(host, RATE_LIMITED, wanted)
            return None
        if wanted is None and response.status in (429, 503):
            self._gate.hold(
                host, self._settings.retry_wait * 2**attempt if response.status == 429 else 0.0, gently=True
            )
        elif wanted is not None:
            self._gate.hold(host, wanted, gently=True)
        return None if wanted is None else max(wanted, 1.0)


def _unasked(error: FetchError) -> bool | None:
    """None where the host itself was not asked: that says nothing about it."""
    return None if error.ending.status in ("refused_address", "refused_scheme", "unexpected") else False
