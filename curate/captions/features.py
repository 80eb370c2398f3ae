"""What a model lists when asked what can be seen, a thing a line (GRAIN, Zohra et al. 2024): phrases for `regions` to find boxes of."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import msgspec

from curate.backends.contract import Request, Sampling
from curate.captions import rejecting
from curate.captions.contract import REASON, Asking, Conversation, Kind, Row, refused
from curate.captions.settings import Asks
from curate.settings import Count

PROMPT = (
    "List the things and visual features that can be seen in this image, each in a few words that a detector could look for, one on each "
    "line, at most {most} lines. No numbers, no explanations."
)
MARKS = ".,!? -*•–—\t"
"""Stripped from both ends of a line."""


class Features(Asks, frozen=True, kw_only=True, tag="features"):
    """Phrases of what is seen; see `curate.captions.features`."""

    shows: ClassVar[bool] = True

    prompt: str = PROMPT
    """`{most}` stands for `most`."""
    most: Annotated[int, msgspec.Meta(ge=1, le=100)] = 10
    """Lines that count."""
    max_words: Count = 8
    """A longer line is talk, and left out."""
    max_tokens: Count = 160


class Lister(Asking):
    """`schemas/captions/features.yaml`."""

    def __init__(self, settings: Features):
        self._settings = settings
        self._prompt = settings.prompt.replace("{most}", str(settings.most))

    def converse(self, row: Row) -> Conversation:
        (answer,) = yield [Request(self._prompt, "", row.photo, Sampling(max_tokens=self._settings.max_tokens))]
        if status := refused([answer]):
            return {REASON: status}
        text = rejecting.tidy(answer.text)
        reason = rejecting.reason(text, answer.finish)
        lines, left = listed(answer.text, self._settings)
        # A list that is cut off has whole lines before the cut; a refusal may be short enough for one.
        if not lines or reason == "refusal":
            return {REASON: reason or "no_list", "rejected": left or [text]}
        return {"features": lines, "rejected": left or None, REASON: None}


def listed(text: str, settings: Features) -> tuple[list[str], list[str]]:
    """The lines of an answer that are phrases, lower-case, each once; and those that are not."""
    found: dict[str, None] = {}
    left = []
    for line in text[: rejecting.LONGEST].splitlines():
        phrase = " ".join(line.lstrip("0123456789).( ").strip(MARKS).split()).lower()
        if not any(letter.isalpha() for letter in phrase):
            continue
        if len(phrase.split()) > settings.max_words or phrase.endswith(":"):
            left.append(line.strip())
        elif len(found) < settings.most:
            found[phrase] = None
    return list(found), left


def load(settings: Features, device: str, identity: Mapping[str, Any]) -> Lister:
    return Lister(settings)


KIND = Kind(needs="requests", load=load)
