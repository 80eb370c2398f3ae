"""What can be seen: a short and a long description of the image, by a backend that takes images; the alt text is not shown to it."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import msgspec

from curate.backends.contract import Answer, Request, Sampling
from curate.captions import rejecting
from curate.captions.contract import REASON, Asking, Conversation, Kind, Row, refused
from curate.captions.settings import Asks
from curate.settings import Count

SYSTEM = "You describe images for a data set. Say what can be seen, and nothing that cannot."
PROMPTS = {
    "short": "Describe this image in one sentence of fewer than 20 words: what is there, what it is like, what happens.",
    "long": "Describe this image in three to five sentences: the things in it, their number, colours and places, what they do, the "
    "setting and the style. Read out writing that can be read. Do not guess at what cannot be seen.",
}


class Describe(Asks, frozen=True, kw_only=True, tag="describe"):
    """Visual captions; see `curate.captions.describe`."""

    shows: ClassVar[bool] = True

    lengths: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] = ("short",)
    """Of `short` and `long`, or keys of `prompts`: a caption each, in this order."""
    prompts: dict[str, str] = {}
    """Prompts of your own, by length."""
    max_tokens: Count = 160
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        known = PROMPTS | self.prompts
        for length in self.lengths:
            if length not in known:
                from curate.store import nearest

                raise ValueError(f"{self.name}: lengths: no prompt for {length!r}: {nearest(length, list(known))}")


class Describer(Asking):
    """`schemas/captions/describe.yaml`."""

    def __init__(self, settings: Describe):
        self._prompts = [(PROMPTS | settings.prompts)[length] for length in settings.lengths]
        self._sampling = Sampling(max_tokens=settings.max_tokens, temperature=settings.temperature)

    def converse(self, row: Row) -> Conversation:
        answers = yield [Request(prompt, SYSTEM, row.photo, self._sampling) for prompt in self._prompts]
        return described(answers)


def described(answers: Sequence[Answer]) -> dict[str, Any]:
    """Columns of what a model saw: all lengths must have an answer that is one."""
    if status := refused(answers):
        return {REASON: status}
    texts = [rejecting.tidy(answer.text) for answer in answers]
    reasons = [rejecting.reason(text, answer.finish) for text, answer in zip(texts, answers, strict=True)]
    bad = next((reason for reason in reasons if reason), None)
    return {REASON: bad, "rejected": texts} if bad else {"captions": texts, REASON: None}


def identity(settings: Describe) -> dict[str, Any]:
    prompts = PROMPTS | settings.prompts
    return settings.identity() | {"prompts": {length: prompts[length] for length in settings.lengths}, "system": SYSTEM}


def load(settings: Describe, device: str, identity: Mapping[str, Any]) -> Describer:
    return Describer(settings)


KIND = Kind(needs="requests", load=load, identity=identity)
