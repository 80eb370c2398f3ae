"""The door of consent: what a fetcher asks before it asks for an image, and when the answer's headers are there."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from concurrent.futures import Future
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from curate.images.agent import TOKEN
from curate.images.consent import robots, statements
from curate.images.consent.origins import Headers, Response, Shelf, Steps, Unreachable, origin_of, path_of
from curate.images.consent.rules import Rule, Table, table
from curate.images.status import OPTED_OUT, FetchError

if TYPE_CHECKING:
    from curate.recipe import Download

NOT_OPTED_IN = "not_opted_in"
ROBOTS = "/robots.txt"

Get = Callable[[str], Awaitable[Response]]
"""Asks for a URL once, follows no redirect, refuses addresses as for images. May raise FetchError, or answer None as status."""


class Refusal(str):
    """Words about why an image is not fetched, or its bytes are not taken: at most 200 characters, safe to show.

    `rule` is the name of the rule in the table that forbids (None where none does), `reason` a reason or status of
    `schemas/images.yaml`, `http_status` the last one that was met.
    """

    rule: str | None
    reason: str
    http_status: int | None

    def __new__(
        cls, words: str, rule: str | None, reason: str = OPTED_OUT, http_status: int | None = None
    ) -> "Refusal":
        self = super().__new__(cls, statements.plain(words, 200))
        self.rule, self.reason, self.http_status = rule, reason, http_status
        return self


class Answer(NamedTuple):
    """What is known ahead of a request: a refusal, or else perhaps the words that allow the use (`consent`)."""

    refusal: Refusal | None = None
    consent: str | None = None


class Policy:
    """What is heeded, and what the origins of this process said. One for a process; safe among threads."""

    def __init__(
        self,
        rules: Table,
        agent: str = TOKEN,
        also: Iterable[str] = (),
        opt_in: bool = False,
        shelf: Shelf | None = None,
    ):
        self._rules, self._agent, self._also, self._opt_in = rules, agent.lower(), tuple(also), opt_in
        self._names = frozenset((self._agent, *(name.lower() for name in also)))
        self._robots, self._files = rules.of("robots_txt"), rules.of("well_known")
        self._headers, self._metas = rules.of("response_header"), rules.of("page_meta")
        self._access = next((rule for rule in self._robots if rule.syntax == "robots"), None)
        fields = tuple(rule.field for rule in self._robots if rule.syntax != "robots")
        self._parse = partial(robots.parse, agent=self._agent, also=self._also, fields=fields)
        self.shelf = Shelf() if shelf is None else shelf

    @classmethod
    def of(cls, settings: "Download") -> "Policy":
        """The policy of a recipe, the same one for equal settings: parts that a process makes one after another share what
        origins said. RulesError when its table or one of its names cannot be used."""
        return _policy(msgspec.json.encode(settings))

    def on_page(self, page_robots: str | None) -> Refusal | None:
        """What the page that shows an image says against it; `page_robots` is the column of `pairs`."""
        for rule in self._metas if page_robots else ():
            said: Iterable[str]
            if rule.syntax == "directives":
                said = statements.directives(page_robots or "", None)
            else:
                named = (item.partition(":") for item in (page_robots or "").split(","))
                said = [value.strip() for name, _, value in named if name.strip() == rule.field]
            found = _first(said, rule.forbids)
            if found is not None:
                return Refusal(f"the page's meta {rule.field}: {found}", rule.name)
        return None

    async def before(self, url: str, get: Get) -> Refusal | None:
        """Why a URL must not be asked for; None where it may be. To be asked ahead of every request, redirects included."""
        return (await self.ask(url, get)).refusal

    async def ask(self, url: str, get: Get) -> Answer:
        """As `before`, with what allows the use, which `on_response` wants to know where the recipe says opt_in."""

        async def obtain(want: "str | Future[None]") -> Any:
            if not isinstance(want, Future):
                return await get(want)
            # Shielded: who waits may be cancelled, and what is under way is not only theirs.
            return await asyncio.shield(asyncio.wrap_future(want))

        return await _driven(self._answer(url), obtain)

    def ask_blocking(self, url: str, get: Callable[[str], Response]) -> Answer:
        """As `ask`, for a fetcher of threads."""

        async def obtain(want: "str | Future[None]") -> Any:
            return want.result() if isinstance(want, Future) else get(want)

        return _at_once(_driven(self._answer(url), obtain))

    def on_response(self, headers: Headers, consent: str | None = None) -> Refusal | None:
        """What the headers of an image's answer say against it. To be asked ahead of its body.

        `consent` is that of `ask`: in the mode opt_in an image that neither it nor a header allows is refused.
        """
        by_name: dict[str, list[str]] = {}
        for name, value in headers:
            values = by_name.setdefault(name.lower(), [])
            if len(values) < statements.MAX_HEADERS:
                values.append(value)
        for rule in self._headers:
            said = list(self._in_headers(rule, by_name.get(rule.field, [])))
            found = _first(said, rule.forbids)
            if found is not None:
                return Refusal(f"{_field(rule)}: {found}", rule.name)
            consent = consent or _first(said, rule.allows)
        return None if consent or not self._opt_in else Refusal("nobody allows this use of it", None, NOT_OPTED_IN)

    def _in_headers(self, rule: Rule, values: list[str]) -> Iterable[str]:
        if rule.syntax == "dictionary":
            return statements.dictionary(values) if values else ()
        if rule.syntax == "value":
            return statements.value(values)
        return (word for value in values for word in statements.directives(value, self._names))

    def _answer(self, url: str) -> Steps[Answer]:
        """The way from a URL to its answer, past the files of its origin."""
        origin, path = origin_of(url), path_of(url)
        consent: str | None = None
        told: robots.Robots | None = None
        if self._robots:
            said = yield from self.shelf.read(origin + ROBOTS, self._parse)
            if isinstance(said, Unreachable) and self._access:
                ending = said.ending
                return Answer(
                    Refusal(f"robots.txt: {ending.words}", None, ending.status or OPTED_OUT, ending.http_status)
                )
            told = said if isinstance(said, robots.Robots) else None
            answer = self._by_robots(told, path) if told else Answer()
            if answer.refusal:
                return answer
            consent = answer.consent
        for rule in self._files:
            if told and self._access and told.forbids(rule.field):
                continue
            found = yield from self.shelf.read(origin + rule.field, statements.Reservations)
            said_here = list(found.statements(path)) if isinstance(found, statements.Reservations) else []
            forbids = _first(said_here, rule.forbids)
            if forbids is not None:
                return Answer(Refusal(f"{rule.field}: tdm-reservation: {forbids}", rule.name))
            consent = consent or _first(said_here, rule.allows)
        if self._opt_in and not consent and not any(rule.allows for rule in self._headers):
            return Answer(Refusal("nobody allows this use of it", None, NOT_OPTED_IN))
        return Answer(None, consent)

    def _by_robots(self, told: robots.Robots, path: str) -> Answer:
        consent = None
        for rule in self._robots:
            if rule.syntax == "robots":
                refused = told.forbids(path)
                if refused is not None:
                    line, agent = refused
                    return Answer(Refusal(f"robots.txt: {statements.plain(line)} (for {agent})", rule.name))
                continue
            for text, agent in told.statements(rule.field, path):
                said = list(statements.dictionary([text]))
                found = _first(said, rule.forbids)
                if found is not None:
                    return Answer(Refusal(f"robots.txt: {_field(rule)}: {found} (for {agent})", rule.name))
                consent = consent or _first(said, rule.allows)
        return Answer(None, consent)


async def _driven(steps: Steps[Answer], obtain: "Callable[[str | Future[None]], Awaitable[Any]]") -> Answer:
    """Goes the steps to their end. `obtain` gets a URL, or waits until another asker has got it."""
    try:
        want = next(steps)
        while True:
            try:
                came = await obtain(want)
            except FetchError as error:
                want = steps.throw(error)
            else:
                want = steps.send(came)
    except StopIteration as stop:
        return stop.value
    finally:
        steps.close()


def _at_once(work: Coroutine[Any, Any, Answer]) -> Answer:
    """The answer of a coroutine that never waits for a loop, in whatever thread."""
    try:
        work.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("a blocking fetcher awaits nothing")


@lru_cache(maxsize=4)
def _policy(encoded: bytes) -> Policy:
    from curate.recipe import Download

    settings = msgspec.json.decode(encoded, type=Download)
    rules = table(settings.consent_rules, settings.consent_off, settings.opt_out_directives)
    return Policy(rules, token(settings.user_agent), settings.robots_agents, settings.consent == "opt_in")


def token(user_agent: str | None) -> str:
    """The product token that a user agent begins with (`mybot/1.0 (+mailto:me@example.org)`: mybot), or ours."""
    match = re.match(r"[A-Za-z0-9_.-]+", user_agent or "")
    return match[0] if match else TOKEN


def refused(refusal: Refusal | None, http_status: int | None = None) -> FetchError:
    """The FetchError of a refusal."""
    assert refusal is not None
    return FetchError(refusal.reason, refusal, refusal.http_status or http_status, refusal.rule)


def _first(said: Iterable[str], named: tuple[str, ...]) -> str | None:
    return next((statement for statement in said if statement in named), None)


def _field(rule: Rule) -> str:
    """`x-robots-tag` as people write it: X-Robots-Tag."""
    return "-".join(word.capitalize() for word in rule.field.split("-"))
