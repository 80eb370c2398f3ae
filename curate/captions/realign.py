"""The alt text, edited by what a model sees in the image (Altogether, Xu et al. 2024): what is wrong goes, what is seen comes, names stay.
Temperature 0.2, top-p 0.7. The paper trains a captioner for it; here a vision model is asked to edit."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import msgspec

from curate.backends.contract import Request, Sampling
from curate.captions import keeping, rejecting
from curate.captions.contract import REASON, Asking, Conversation, Kind, Row, refused
from curate.captions.settings import Asks
from curate.draw import draw
from curate.settings import Count

PROMPT = (
    "This image was found with the text below. Edit the text until it describes the image: keep its names and what the image bears out, "
    "correct what the image shows to be wrong, and add what can be seen and the text leaves out. Answer with the edited text alone.\n\n"
    "Text: {alt}"
)
MOST_WORDS = 128
"""Words of an alt text that are shown; the paper has as many tokens."""


class Realign(Asks, frozen=True, kw_only=True, tag="realign"):
    """Alt text edited by what is seen; see `curate.captions.realign`."""

    shows: ClassVar[bool] = True

    prompt: str = PROMPT
    """`{alt}` stands for the alt text."""
    keep_names: bool = True
    keep_numbers: bool = False
    max_tokens: Count = 256
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] = 0.2
    top_p: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.7
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if "{alt}" not in self.prompt:
            raise ValueError(f"{self.name}: prompt: {{alt}} is not in it, so the model would not be told")


class Realigner(Asking):
    """`schemas/captions/realign.yaml`."""

    def __init__(self, settings: Realign):
        self._settings = settings
        self._sampling = Sampling(settings.max_tokens, settings.temperature, settings.top_p)

    def converse(self, row: Row) -> Conversation:
        how = self._settings
        alt = " ".join(row.text[: rejecting.LONGEST].split()[:MOST_WORDS])
        seed = int(draw(how.seed, "realign", [row.uid])[0] * 2**31)
        prompt = keeping.filled(how.prompt, alt=alt)
        answers = yield [Request(prompt, "", row.photo, self._sampling, seed)]
        if status := refused(answers):
            return {REASON: status}
        text, why = rejecting.judged(answers[0])
        if why is None and keeping.copies(text, how.prompt, 6):
            why = "copies_prompt"
        if why is None and how.keep_numbers and keeping.lost_numbers(alt, text):
            why = "lost_numbers"
        if why is None and how.keep_names and keeping.lost_names(alt, text):
            why = "lost_names"
        # An alt text that needed no edit is a good answer.
        return {REASON: why, "rejected": [text], "rejections": [why]} if why else {"captions": [text], REASON: None}


def load(settings: Realign, device: str, identity: Mapping[str, Any]) -> Realigner:
    return Realigner(settings)


KIND = Kind(needs="requests", load=load)
