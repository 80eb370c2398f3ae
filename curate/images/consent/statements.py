"""The syntaxes in which pages and servers speak, apart from robots.txt's own: each is read into plain statements.

A statement is a text that a rule's `forbids` and `allows` may name: `noai`, `train-ai=n`, `1`. What cannot be parsed says
nothing, as the drafts demand; values come from strangers and are bounded before anything looks at them.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from curate.images.consent.robots import Patterns, normal

MAX_VALUE = 4096
"""Characters of one value that are read; more is no statement of anybody."""
MAX_HEADERS = 64
"""Fields of one name that are read."""
MAX_WORDS = 120
"""Characters of a stranger's text in words about it."""

_AGENT = re.compile(r"\s*([A-Za-z][A-Za-z0-9_.-]*)\s*:(.*)", re.DOTALL)
_DATED = re.compile(r"unavailable_after\s*:\s*((?:[a-z]+,\s*)?[^,]+)", re.IGNORECASE)
_VALUED = {"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"}
"""Directives that have a colon of their own, so that what stands before it names no robot."""


def plain(text: str, limit: int = MAX_WORDS) -> str:
    """A stranger's text fit for a line of ours: no control or direction signs, at most `limit` characters."""
    safe = "".join(c if c.isprintable() else "\ufffd" for c in text[: limit + 1])
    return safe if len(safe) <= limit else safe[: limit - 1] + "…"


def directives(text: str, agents: Collection[str] | None, now: datetime | None = None) -> Iterator[str]:
    """The directives of a robots meta element or an X-Robots-Tag field that are meant for all robots or for `agents`.

    `noindex, otherbot: noai, nofollow` tells all robots noindex, and otherbot alone the rest; where `agents` is None, as in a
    page, no robot can be named. `unavailable_after` is
    yielded once its date has passed (RFC 822, RFC 850, ISO 8601; others are not understood).
    """
    text = text[:MAX_VALUE]
    # A date has commas and colons of its own, which must not look like directives and robots.
    addressed = True
    for item in _DATED.sub("", text).split(","):
        match = _AGENT.fullmatch(item) if agents is not None else None
        if match and match[1].lower() not in _VALUED:
            addressed, item = match[1].lower() in (agents or ()), match[2]
        word = item.strip().lower()
        if word and addressed:
            yield word
    if any(_passed(match[1], now) for match in _DATED.finditer(text)):
        yield "unavailable_after"


def _passed(date: str, now: datetime | None) -> bool:
    now = now or datetime.now(UTC)
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            moment = read(date.strip())
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) <= now
        except (ValueError, TypeError, OverflowError):
            continue
    return False


def dictionary(texts: Iterable[str]) -> Iterator[str]:
    """`key=value` of the members of a structured dictionary (RFC 9651, 3.2) whose values are tokens, in order.

    Several fields are one dictionary; a key's last value counts; parameters do not. One that does not parse says nothing.
    """
    import http_sf

    text = ", ".join(texts)
    if len(text) > MAX_VALUE:
        return
    try:
        members: Any = http_sf.parse(text.encode("ascii"), tltype="dictionary")
    except (ValueError, UnicodeEncodeError, RecursionError):
        return
    for key, (value, _) in members.items():
        if isinstance(value, http_sf.Token):
            yield f"{key}={value}"


def value(texts: Collection[str]) -> Iterator[str]:
    """The one value of a field; several different ones contradict each other, and all of them count."""
    yield from dict.fromkeys(text.strip().lower() for text in texts if len(text) <= MAX_VALUE)


class Reservations:
    """The rules of a `tdmrep.json`: the first one in its sequence whose location fits a path counts.

    Locations are matched as paths in robots.txt are, on which the report bases them.
    """

    def __init__(self, body: bytes):
        self._rules = [(Patterns([(place, said)]), said) for place, said in _reservations(body)]

    @property
    def weight(self) -> int:
        return 100 + sum(500 + rule.weight for rule, _ in self._rules)

    def statements(self, path: str) -> Iterator[str]:
        """The value of tdm-reservation for a path with its query, at most one."""
        wanted = normal(path)
        for rule, said in self._rules:
            if rule.longest(wanted):
                yield said
                return


def _reservations(body: bytes) -> list[tuple[str, str]]:
    try:
        data = orjson.loads(body.removeprefix(b"\xef\xbb\xbf"))  # which a JSON file must not begin with, and some do
    except orjson.JSONDecodeError:
        return []
    rows = data if isinstance(data, list) else []
    found = []
    for row in rows:
        place, said = (row.get("location"), row.get("tdm-reservation")) if isinstance(row, dict) else (None, None)
        # A boolean is an int to Python, and a protocol error to the report.
        if isinstance(place, str) and place and type(said) in (int, str) and len(place) <= MAX_VALUE:
            found.append((place, str(said)[:MAX_VALUE].strip()))
    return found
