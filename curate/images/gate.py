"""The scheduler on an event loop: a coroutine waits at the gate of a host until its request may start."""

import asyncio
from collections.abc import Callable

from curate.images.memory import Memory
from curate.images.politeness import BREAKER_OPEN, Manners, Scheduler
from curate.images.status import FetchError

_WHY = {
    BREAKER_OPEN: "the host failed too often in a row, and once more when it was tried again",
    "rate_limited": "the host asks to be left alone for longer than download.max_retry_after",
}


class Turn:
    """The right to one request. `leave` when its host is done with it, `release` when what it brought is dealt with."""

    def __init__(self, gate: "Gate", host: str, future: "asyncio.Future[None]"):
        self._gate, self.host, self.future = gate, host, future
        self._left = self._released = False

    def leave(self, reached: bool | None = None) -> None:
        if not self._left:
            self._left = True
            self._gate.leave(self, reached)

    def release(self) -> None:
        self.leave()
        if not self._released:
            self._released = True
            self._gate.release()


class Gate:
    """One for each event loop. `clock` is in seconds, as the loop's."""

    def __init__(self, manners: Manners, memory: Memory | None = None, clock: Callable[[], float] | None = None):
        self._loop = asyncio.get_running_loop()
        # Loops of one process share a clock, so that one may remember what another was told.
        self._clock = clock or self._loop.time
        self._scheduler = Scheduler(manners, memory)
        self._timer: asyncio.TimerHandle | None = None

    async def enter(self, host: str, first: bool = False) -> Turn:
        """Waits for a turn. Raises FetchError (breaker_open, rate_limited) when the host is asked no more."""
        turn = Turn(self, host, self._loop.create_future())
        gone = self._scheduler.ask(host, turn, self._clock(), first)
        if gone is not None:
            raise FetchError(gone, _WHY[gone])
        self._pump()
        await turn.future
        return turn

    def leave(self, turn: Turn, reached: bool | None) -> None:
        self._end(self._scheduler.leave(turn.host, turn, self._clock(), reached), BREAKER_OPEN)
        self._pump()

    def release(self) -> None:
        self._scheduler.release()
        self._pump()

    def hold(self, host: str, seconds: float, gently: bool = False) -> None:
        """The host is left alone for so long. Before the turn is left."""
        self._scheduler.hold(host, self._clock() + seconds, gently)

    def give_up(self, host: str, why: str, seconds: float) -> None:
        """Whoever waits for the host, or will for so long, gets a FetchError. Before the turn is left."""
        self._end(self._scheduler.give_up(host, why, self._clock() + seconds), why)

    def close(self) -> None:
        """Nobody enters any more. What is known of hosts is remembered."""
        if self._timer is not None:
            self._timer.cancel()
        self._scheduler.end(self._clock())

    def waiting(self, host: str) -> bool:
        return self._scheduler.waiting(host)

    def _end(self, turns: list[Turn], why: str) -> None:
        for turn in turns:
            if not turn.future.done():
                turn.future.set_exception(FetchError(why, _WHY[why]))

    def _pump(self) -> None:
        now = self._clock()
        while (taken := self._scheduler.take(now)) is not None:
            host, turn = taken
            if turn.future.done():  # cancelled while it waited
                self._scheduler.leave(host, turn, now, None)
                self._scheduler.release()
            else:
                turn.future.set_result(None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        at = self._scheduler.next_at()
        if at is not None:
            self._timer = self._loop.call_later(max(0.0, at - now), self._pump)
