"""A description, what a second look made of it, and a summary, as one conversation (PathGen, Sun et al. 2024): describe, revise, summarise.

All three steps ask the one backend of the captioner, which has to see: the released work has a model for each, but what a table's manifest
says of who made it is one backend. Each step's text has its column; where one fails, the steps before it stay, and the pair has no caption.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import msgspec

from curate.backends.contract import Photo, Request, Sampling
from curate.captions import keeping, rejecting
from curate.captions.contract import REASON, Asking, Conversation, Kind, Row, refused
from curate.captions.settings import Asks
from curate.settings import Count

PROMPTS = {
    "description": "Describe this image in detail: what is there, how it is arranged, what it is like. Say nothing that cannot be seen.",
    "revision": "A text that was found with this image, and a description of it, are below. Check the description against the image: correct what "
    "is wrong, leave out what cannot be seen, and name things as the text does where the image bears it out. Answer with the whole corrected "
    "description alone.\n\nText: {alt}\nDescription: {description}",
    "summary": "Sum the description up in one or two sentences of at most 60 words. Keep what matters most in the image, and add nothing. Answer "
    "with the summary alone.\n\nDescription: {revision}",
}
STEPS = tuple(PROMPTS)
SEE = frozenset({"description", "revision"})
"""Steps that are shown the image."""


class Agents(Asks, frozen=True, kw_only=True, tag="agents"):
    """Describe, revise, summarise; see `curate.captions.agents`."""

    shows: ClassVar[bool] = True

    prompts: dict[str, str] = {}
    """Prompts of your own, by step: `description`, `revision`, `summary`. `{alt}`, `{description}` and `{revision}` stand for those texts."""
    max_tokens: Count = 384
    """Of each step."""
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for step in self.prompts:
            if step not in PROMPTS:
                from curate.store import nearest

                raise ValueError(f"{self.name}: prompts: no step {step!r}: {nearest(step, STEPS)}")
        for step, part in (("revision", "{description}"), ("summary", "{revision}")):
            if part not in (PROMPTS | self.prompts)[step]:
                raise ValueError(
                    f"{self.name}: prompts: {step}: {part} is not in it, so the step before would be for nothing"
                )


class Crew(Asking):
    """`schemas/captions/agents.yaml`."""

    def __init__(self, settings: Agents):
        self._prompts = PROMPTS | settings.prompts
        self._sampling = Sampling(max_tokens=settings.max_tokens, temperature=settings.temperature)

    def converse(self, row: Row) -> Conversation:
        said: dict[str, str] = {}
        alt = " ".join(row.text.split())[: rejecting.LONGEST]
        for step in STEPS:
            prompt = keeping.filled(self._prompts[step], alt=alt, **said)
            answers = yield [self._request(prompt, row.photo if step in SEE else None)]
            if status := refused(answers):
                return said | {REASON: status}
            text, why = rejecting.judged(answers[0])
            if why is None and keeping.copies(text, self._prompts[step], 8):
                why = "copies_prompt"
            if why is not None:
                return said | {REASON: why, "rejected": [text]}
            said[step] = text
        return said | {"captions": [said["summary"]], REASON: None}

    def _request(self, prompt: str, photo: Photo | None) -> Request:
        return Request(prompt, "", photo, self._sampling)


def identity(settings: Agents) -> dict[str, Any]:
    return settings.identity() | {"prompts": PROMPTS | settings.prompts}


def load(settings: Agents, device: str, identity: Mapping[str, Any]) -> Crew:
    return Crew(settings)


KIND = Kind(needs="requests", load=load, identity=identity)
