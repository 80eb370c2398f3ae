"""How one fetch ended, in the words of `schemas/images.yaml`, and how that survives a fetcher that passes on strings."""

import re
from dataclasses import dataclass

OPTED_OUT = "opted_out"
RATE_LIMITED = "rate_limited"
_SAID = re.compile(r"^curate\[(?P<status>\w+)(?::(?P<rule>\w+))? (?P<http>\d+|-)\] (?P<words>.*)$", re.DOTALL)


@dataclass(frozen=True)
class Ending:
    """How a fetch ended: a status (None: well), the last HTTP status, and at most 200 characters about it."""

    status: str | None
    http_status: int | None = None
    words: str | None = None
    rule: str | None = None
    """The rule of the consent table that forbids, where one does."""


class FetchError(Exception):
    """A fetch that ended badly. Its text is a form that `heard` reads back, since img2dataset keeps only `str(error)`.

    Not an OSError: urllib would wrap one into an error of its own.
    """

    def __init__(self, status: str, words: str, http_status: int | None = None, rule: str | None = None):
        # Unpaired surrogates would make img2dataset's parquet writer lose every later row of its shard.
        plain = words.encode("utf-8", "replace").decode("utf-8")[:200]
        super().__init__(f"curate[{status}{f':{rule}' if rule else ''} {http_status or '-'}] {plain}")
        self.ending = Ending(status, http_status, plain, rule)


def of_http(status: int) -> FetchError:
    """The error for an answer that is no 200."""
    kind = RATE_LIMITED if status == 429 else {4: "http_4xx", 5: "http_5xx"}.get(status // 100, "http_other")
    return FetchError(kind, f"HTTP {status}", status)


def heard(message: str | None) -> Ending:
    """The ending in an error message of img2dataset: ours, or `unexpected` with its words."""
    if message is None:
        return Ending(None, 200)
    match = _SAID.match(message)
    if match:
        code = match["http"]
        return Ending(match["status"], None if code == "-" else int(code), match["words"], match["rule"])
    return Ending("unexpected", None, message[:200])
