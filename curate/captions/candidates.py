"""Several captions of an image, drawn one independently of the other, for a training or a ranking to choose from.

DataCompDR's way with CoCa: five captions, each drawn from the nucleus of 0.9 and cut at its first full stop (Vasu et al., "MobileCLIP",
arXiv:2311.17049). Any backend that sees will do.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import msgspec

from curate.backends.contract import Answer, Request, Sampling
from curate.captions import rejecting
from curate.captions.contract import REASON, Asking, Conversation, Kind, Row, refused
from curate.captions.settings import Asks
from curate.draw import draw
from curate.settings import Count

SYSTEM = "You write captions of images for a data set. Say what can be seen, and nothing that cannot."
PROMPT = "Write a caption of this image: one short sentence that says what is there."


class Candidates(Asks, frozen=True, kw_only=True, tag="candidates"):
    """Captions that are drawn; see `curate.captions.candidates`."""

    shows: ClassVar[bool] = True

    n: Annotated[int, msgspec.Meta(ge=1, le=100)] = 5
    top_p: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.9
    temperature: Annotated[float, msgspec.Meta(gt=0, le=2)] = 1.0
    max_tokens: Count = 60
    stop: Annotated[str, msgspec.Meta(max_length=20)] = "."
    """Each caption is cut before it; empty: none is."""
    prompt: str = PROMPT


class Candidate(Asking):
    """`schemas/captions/candidates.yaml`."""

    def __init__(self, settings: Candidates, seed: int):
        self._settings, self._seed = settings, seed
        stop = (settings.stop,) if settings.stop else ()
        self._sampling = Sampling(settings.max_tokens, settings.temperature, settings.top_p, stop)

    def converse(self, row: Row) -> Conversation:
        # By the image: its other texts ask the same, and are answered the same.
        draws = (draw(self._seed, f"candidates:{i}", [row.image_uid])[0] for i in range(self._settings.n))
        answers = yield [
            Request(self._settings.prompt, SYSTEM, row.photo, self._sampling, int(one * 2**31)) for one in draws
        ]
        return chosen(answers, self._settings.stop)


def chosen(answers: Sequence[Answer], stop: str) -> dict[str, Any]:
    """Columns of what was drawn. One request that failed ends all: what a set holds must not hang on an endpoint's bad minute."""
    if status := refused(answers):
        return {REASON: status}
    good: dict[str, str] = {}
    bad, reasons, repeated = [], [], 0
    for answer in answers:
        text, finish = cut(answer, stop)
        reason, same = rejecting.reason(text, finish), text.casefold()
        if reason is not None:
            bad.append(text)
            reasons.append(reason)
        elif same in good:
            repeated += 1
        else:
            good[same] = text
    counted = {"rejected": bad or None, "repeated": repeated}
    return {REASON: None, "captions": list(good.values())} | counted if good else {REASON: reasons[0]} | counted


def cut(answer: Answer, stop: str) -> tuple[str, str]:
    """A tidied text up to where it is to stop, and why it ends: not every backend heeds the stop, and what is behind it may be cut off."""
    text = rejecting.tidy(answer.text)
    before, found, _ = text.partition(stop) if stop else (text, "", "")
    return before.strip(), "stop" if found else answer.finish


def identity(settings: Candidates) -> dict[str, Any]:
    return settings.identity() | {"system": SYSTEM}


def load(settings: Candidates, device: str, identity: Mapping[str, Any]) -> Candidate:
    return Candidate(settings, identity["seed"])


KIND = Kind(needs="requests", load=load, identity=identity)
