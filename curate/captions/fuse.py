"""Alt text and visual caption in one sentence, by a language model (VeCLIP, Lai et al. 2023): the alt text knows names, the picture what is there.

What comes of a failure is the alt text: the pair has no caption here, the reason says why, and a text policy falls back. A sentence that
tells of more than both sources do is refused: by the share of words that neither has, and by any number that neither has.
"""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from curate.backends.contract import Request, Sampling
from curate.captions import keeping, rejecting
from curate.captions.contract import REASON, Asking, Conversation, Kind, Row, refused
from curate.captions.settings import Asks
from curate.settings import Count, Name, Share

PROMPT = (
    "An image has a text from the page that it was found on, and a description of what can be seen. Make one short sentence of both: keep the "
    "facts and the names of the text, and what is seen of the description. Leave out advertising and file names, and add nothing that is in "
    "neither. Answer with the sentence alone.\n\nText: {alt}\nDescription: {seen}\nSentence:"
)
MOST_ALT = 1000
"""Characters of an alt text, and of a description, that are shown."""


class Fuse(Asks, frozen=True, kw_only=True, tag="fuse"):
    """One sentence of alt text and visual caption; see `curate.captions.fuse`."""

    of: Name
    """The captioner that saw the image (`describe`)."""
    prompt: str = PROMPT
    """`{alt}` and `{seen}` stand for the two."""
    most_new: Share = 0.4
    """Of the words of four letters and more, this share may be in neither source; 1: any."""
    keep_numbers: bool = False
    """Whether every number of the alt text has to be there; prices and file names have some, too."""
    keep_names: bool = False
    """Whether every name of the alt text has to be there."""
    max_tokens: Count = 77
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] = 0.0
    top_p: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for part in ("{alt}", "{seen}"):
            if part not in self.prompt:
                raise ValueError(f"{self.name}: prompt: {part} is not in it, so the model would not be told")

    def captions_of(self) -> tuple[str, ...]:
        return (self.of,)


class Fuser(Asking):
    """`schemas/captions/fuse.yaml`."""

    def __init__(self, settings: Fuse):
        self._settings, self._table = settings, f"captions/{settings.of}"
        self.reads = {self._table: ("captions",)}
        self._sampling = Sampling(settings.max_tokens, settings.temperature, settings.top_p, ("\nText:",))

    def converse(self, row: Row) -> Conversation:
        how = self._settings
        alt = " ".join(row.text.split())[:MOST_ALT]
        seen = " ".join(" ".join(row.tables[self._table]["captions"]).split())[:MOST_ALT]
        prompt = keeping.filled(how.prompt, alt=alt, seen=seen)
        answers = yield [Request(prompt, "", None, self._sampling)]
        if status := refused(answers):
            return {REASON: status}
        text, why = rejecting.judged_line(answers[0])
        share = None if why == "empty" else keeping.new_share(text, alt, seen)
        if why is None:
            why = self._why(text, alt, share or 0.0)
        if why is not None:
            return {"new_share": share, "rejected": [text], "rejections": [why], REASON: why}
        return {"captions": [text], "new_share": share, REASON: None}

    def _why(self, text: str, alt: str, share: float) -> str | None:
        if keeping.copies(text, self._settings.prompt, 6):
            return "copies_prompt"
        if share > self._settings.most_new:
            return "invents"
        if self._settings.keep_numbers and keeping.lost_numbers(alt, text):
            return "lost_numbers"
        return "lost_names" if self._settings.keep_names and keeping.lost_names(alt, text) else None


def load(settings: Fuse, device: str, identity: Mapping[str, Any]) -> Fuser:
    return Fuser(settings)


KIND = Kind(needs="requests", load=load)
