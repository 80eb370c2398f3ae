"""The alt text in other words, by a language model that is shown examples (LaCLIP, Fan et al. 2023): three of a bank in each prompt, a rewrite
for each of four banks, temperature 0.9, top-p 0.95, at most 77 tokens. The image is not shown.

A rewrite has to be one: what repeats the prompt or the alt text, or has lost a number or a name of it, is refused (`curate.captions.keeping`
says what counts). Of an answer its first line is read, whatever is in it: neither its place nor an arrow tells where a rewrite is.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec

from curate.backends.contract import Answer, Request, Sampling
from curate.captions import examples, keeping, rejecting
from curate.captions.contract import REASON, Asking, Conversation, Kind, Row, refused
from curate.captions.examples import Bank
from curate.captions.settings import Asks
from curate.draw import draw
from curate.settings import Count, RecipeError, Share

TASK = (
    "Say the last caption in other words, in the manner of the examples. Keep its names and numbers, and add nothing that it does not say. "
    "Answer with the new caption alone."
)
GOES_ON = "Image captions, and the same captions in other words"
ARROW = "=>"
MOST_ALT = 400
"""Characters of an alt text that are shown: longer ones are pages, not captions."""


class Rewrite(Asks, frozen=True, kw_only=True, tag="rewrite"):
    """Rewrites of the alt text; see `curate.captions.rewrite`."""

    banks: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] = examples.SHIPPED
    """Banks of examples: `plain`, `rich`, `spoken`, `headline`, or paths of your own (.tsv)."""
    rewrites: Count | None = None
    """Of each alt text; by default one for each bank. More go round the banks again."""
    shown: Count = 3
    """Examples in each prompt."""
    form: Literal["chat", "completion"] = "chat"
    """`completion` is for base models: they go on with a list of captions."""
    keep_numbers: bool = True
    keep_names: bool = True
    keep_words: Share = 0.2
    """Of the alt text's words this share has to come again, by their first letters; 0: other words alone will do."""
    max_tokens: Count = 77
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] = 0.9
    top_p: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.95
    seed: int = 0
    """Draws examples and words."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.banks:
            examples.known(name)


class Rewriter(Asking):
    """`schemas/captions/rewrite.yaml`."""

    def __init__(self, settings: Rewrite, banks: Sequence[Bank]):
        count = settings.rewrites or len(banks)
        self._settings, self._banks = settings, [banks[index % len(banks)] for index in range(count)]
        stop = ("\n",) if settings.form == "completion" else ("\nCaption:",)
        self._sampling = Sampling(settings.max_tokens, settings.temperature, settings.top_p, stop)

    def converse(self, row: Row) -> Conversation:
        shown, alt = self._drawn(row.uid), " ".join(row.text.split())[:MOST_ALT]
        answers = yield [self._request(row.uid, index, alt, pairs) for index, pairs in enumerate(shown)]
        if status := refused(answers):
            return {REASON: status}
        captions: dict[str, str] = {}
        rejected = []
        for answer, bank, pairs in zip(answers, self._banks, shown, strict=True):
            text, why = self._judged(answer, alt, pairs, captions)
            if why is None:
                captions[text] = bank.name
            else:
                rejected.append((text, why))
        return {
            "captions": list(captions) or None,
            "banks": list(captions.values()) or None,
            "rejected": [text for text, _ in rejected] or None,
            "rejections": [why for _, why in rejected] or None,
            REASON: None if captions else rejected[0][1],
        }

    def _drawn(self, uid: str) -> list[list[tuple[str, str]]]:
        how = self._settings
        return [bank.drawn(how.shown, how.seed, uid, index) for index, bank in enumerate(self._banks)]

    def _request(self, uid: str, index: int, alt: str, pairs: Sequence[tuple[str, str]]) -> Request:
        seed = int(draw(self._settings.seed, "rewrite", [f"{uid}:{index}"])[0] * 2**31)
        if self._settings.form == "completion":
            lines = [f"{before} {ARROW} {after}" for before, after in pairs]
            # An arrow of the alt text's own would be the model's cue to stop being asked.
            lines.append(f"{alt.replace(ARROW, '->')} {ARROW}")
            return Request("\n".join([f"{GOES_ON}:", *lines]), "", None, self._sampling, seed, bare=True)
        lines = [f"Caption: {before}\nRewritten: {after}" for before, after in pairs]
        prompt = "\n\n".join([TASK, *lines, f"Caption: {alt}\nRewritten:"])
        return Request(prompt, "", None, self._sampling, seed)

    def _judged(
        self, answer: Answer, alt: str, pairs: Sequence[tuple[str, str]], before: Mapping[str, str]
    ) -> tuple[str, str | None]:
        text, why = rejecting.judged_line(answer)
        said = keeping.normalised(text)
        if why is not None:
            return text, why
        others = [one for pair in pairs for one in pair]
        if said in map(keeping.normalised, others) or keeping.copies(text, f"{TASK} {GOES_ON}", 4):
            return text, "copies_prompt"
        # A run of words from an example is one of the alt text's own where both have it.
        if any(keeping.copies(text, one, 6) and not keeping.copies(alt, one, 6) for one in others):
            return text, "copies_prompt"
        if said in {keeping.normalised(one) for one in (alt, *before)}:
            return text, "same"
        if self._settings.keep_numbers and keeping.lost_numbers(alt, text):
            return text, "lost_numbers"
        if self._settings.keep_names and keeping.lost_names(alt, text):
            return text, "lost_names"
        if keeping.kept_share(alt, text) < self._settings.keep_words:
            return text, "off_topic"
        return text, None


def identity(settings: Rewrite) -> dict[str, Any]:
    """Raises RecipeError for a bank that cannot be read."""
    banks = [bank.identity for bank in examples.banks(settings.banks, settings.shown)]
    return settings.identity() | {"banks": banks, "prompt": GOES_ON if settings.form == "completion" else TASK}


def load(settings: Rewrite, device: str, identity: Mapping[str, Any]) -> Rewriter:
    """Raises RecipeError for a bank that is not here, or not what the run was planned with."""
    banks = examples.banks(settings.banks, settings.shown)
    if [bank.identity for bank in banks] != list(identity["banks"]):
        raise RecipeError(
            f"{settings.name}: the banks {', '.join(settings.banks)} are not those that this run was planned with"
        )
    return Rewriter(settings, banks)


KIND = Kind(needs="requests", load=load, identity=identity)
