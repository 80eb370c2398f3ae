"""The alt text, or a caption, in other languages, by a language model: the nine of RS-M-CLIP (Silva et al. 2024) by default.

A translation is held to what can be checked without knowing the language: numbers and placeholders are all there, the script is the
language's, a language model of the house finds it to be in that language where it is long enough to tell, and it is neither the original
nor far from its length.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
import pyarrow as pa

from curate.backends.contract import Answer, Request, Sampling
from curate.captions import keeping, rejecting
from curate.captions.contract import REASON, Asking, Conversation, Kind, Row, refused
from curate.captions.settings import Asks
from curate.draw import draw
from curate.settings import Count, Name, Positive, RecipeError, Share
from curate.store import nearest

LANGUAGES = {
    "ar": "Arabic", "bg": "Bulgarian", "cs": "Czech", "da": "Danish", "de": "German", "el": "Greek", "en": "English", "es": "Spanish",
    "et": "Estonian", "fa": "Persian", "fi": "Finnish", "fr": "French", "he": "Hebrew", "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian",
    "id": "Indonesian", "it": "Italian", "ja": "Japanese", "ko": "Korean", "lt": "Lithuanian", "lv": "Latvian", "nl": "Dutch", "no": "Norwegian",
    "pl": "Polish", "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "sk": "Slovak", "sv": "Swedish", "th": "Thai", "tr": "Turkish",
    "uk": "Ukrainian", "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip
"""What prompts call a language; others are named by their code or by `names`."""
SCRIPTS = {
    "Han": ("\u3400-\u9fff\uf900-\ufaff", ("zh",)),
    "Han or kana": ("\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff", ("ja",)),
    "Hangul": ("\u1100-\u11ff\u3130-\u318f\uac00-\ud7af", ("ko",)),
    "Cyrillic": ("\u0400-\u052f", ("ru", "uk", "bg")),
    "Greek": ("\u0370-\u03ff\u1f00-\u1fff", ("el",)),
    "Arabic": ("\u0600-\u06ff\u0750-\u077f\ufb50-\ufdff\ufe70-\ufeff", ("ar", "fa")),
    "Hebrew": ("\u0590-\u05ff", ("he",)),
    "Thai": ("\u0e00-\u0e7f", ("th",)),
    "Devanagari": ("\u0900-\u097f", ("hi",)),
}
_SCRIPT = {code: re.compile(f"[{letters}]") for letters, codes in SCRIPTS.values() for code in codes}
_WIDE = re.compile("[\u1100-\u11ff\u3040-\u30ff\u3130-\u318f\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")
WIDE = 3
"""Letters of an alphabet that one of Han, kana or Hangul is counted as."""
IN_SCRIPT = 0.4
"""Share of the letters that has to be of the language's script; names may stay in their own."""
TELLS = 20
"""Letters (as above) from which on the language model is believed."""
SURE = 0.5
"""Probability from which on it is."""
PROMPT = (
    "Translate the caption into {language}. Leave numbers, names, web addresses and anything in braces or angle brackets as they are. "
    "Answer with the translation alone.\n\nCaption: {text}"
)
MOST_TEXT = 1000
"""Characters that are shown."""


class Translate(Asks, frozen=True, kw_only=True, tag="translate"):
    """Translations; see `curate.captions.translate`."""

    runtime = ("name", "language_model")

    languages: Annotated[tuple[Annotated[str, msgspec.Meta(pattern="^[a-z]{2,3}$")], ...], msgspec.Meta(min_length=1)] = (
        "pt", "es", "fr", "de", "nl", "it", "zh", "ko", "ru",
    )  # fmt: skip
    """ISO codes, as `language_model` says them."""
    of: Name | None = None
    """The captioner whose first caption is translated; by default the alt text is."""
    names: dict[str, str] = {}
    """What prompts call languages that are not known here, by code."""
    prompt: str = PROMPT
    """`{language}` and `{text}` stand for the two."""
    language_model: str = "lid.176.ftz"
    """As in `match`; it is known by its content."""
    keep_numbers: bool = True
    keep_placeholders: bool = True
    check_language: bool = True
    shortest: Share = 0.4
    """Of the length of the original; letters of Han, kana and Hangul count as three."""
    longest: Positive = 3.0
    max_tokens: Count = 160
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(set(self.languages)) < len(self.languages):
            raise ValueError(f"{self.name}: languages: one of {', '.join(self.languages)} is there twice")
        for code in self.languages:
            if code not in LANGUAGES | self.names:
                hint = nearest(code, list(LANGUAGES | self.names))
                raise ValueError(
                    f"{self.name}: languages: {code!r} has no name to ask by: {hint}; or give it one in `names`"
                )
        for part in ("{language}", "{text}"):
            if part not in self.prompt:
                raise ValueError(f"{self.name}: prompt: {part} is not in it, so the model would not be told")

    def captions_of(self) -> tuple[str, ...]:
        return () if self.of is None else (self.of,)


class Translator(Asking):
    """`schemas/captions/translate.yaml`."""

    def __init__(self, settings: Translate):
        self._settings = settings
        self._table = None if settings.of is None else f"captions/{settings.of}"
        self.reads = {self._table: ("captions",)} if self._table else {}
        self._names = LANGUAGES | settings.names
        self._sampling = Sampling(settings.max_tokens, settings.temperature)

    def converse(self, row: Row) -> Conversation:
        text = row.text if self._table is None else row.tables[self._table]["captions"][0]
        text = " ".join(text.split())[:MOST_TEXT]
        answers = yield [self._request(row.uid, code, text) for code in self._settings.languages]
        if status := refused(answers):
            return {REASON: status}
        kept, rejected = [], []
        for code, answer in zip(self._settings.languages, answers, strict=True):
            made, why = self._judged(answer, text, code)
            if why is None:
                kept.append((made, code))
            else:
                rejected.append((made, why, code))
        captions, langs = _columns(kept, 2)
        texts, reasons, asked = _columns(rejected, 3)
        return {
            "captions": captions,
            "langs": langs,
            "rejected": texts,
            "rejections": reasons,
            "rejected_langs": asked,
            REASON: None if kept else rejected[0][1],
        }

    def _request(self, uid: str, code: str, text: str) -> Request:
        prompt = keeping.filled(self._settings.prompt, language=self._names[code], text=text)
        seed = (
            int(draw(self._settings.seed, "translate", [f"{uid}:{code}"])[0] * 2**31)
            if self._sampling.temperature
            else 0
        )
        return Request(prompt, "", None, self._sampling, seed)

    def _judged(self, answer: Answer, text: str, code: str) -> tuple[str, str | None]:
        how = self._settings
        made, why = rejecting.judged_line(answer)
        talks = keeping.has_words(text)
        # One word for one word is a translation.
        if why == "few_words" and rejecting.words(text) < 3:
            why = None
        if why is not None:
            return made, why
        if keeping.copies(made, how.prompt, 6):
            return made, "copies_prompt"
        if talks and keeping.normalised(made) == keeping.normalised(text):
            return made, "same"
        if how.keep_numbers and keeping.lost_numbers(text, made):
            return made, "lost_numbers"
        if how.keep_placeholders and keeping.lost_placeholders(text, made):
            return made, "lost_placeholders"
        if talks and not in_script(made, code):
            return made, "wrong_script"
        if talks and how.check_language and not in_language(made, code, how.language_model):
            return made, "wrong_language"
        ratio = length(made) / max(length(text), 1)
        return made, None if how.shortest <= ratio <= how.longest else "off_length"


def _columns(rows: Sequence[tuple[str, ...]], width: int) -> list[list[str] | None]:
    return [[row[place] for row in rows] or None for place in range(width)]


def length(text: str) -> int:
    """Letters, those of Han, kana and Hangul counted as WIDE."""
    return sum(map(str.isalnum, text)) + (WIDE - 1) * len(_WIDE.findall(text))


def in_script(text: str, code: str) -> bool:
    """Whether a text is written as its language is; of languages in Latin letters, that it is not written otherwise is left to
    `in_language`."""
    letters = sum(map(str.isalpha, text))
    return code not in _SCRIPT or len(_SCRIPT[code].findall(text)) >= IN_SCRIPT * letters


def in_language(text: str, code: str, model: str) -> bool:
    """Whether the house's language model takes a text to be in a language, or cannot tell: the text is short, the model is not sure, or has
    no such language."""
    from curate.texts import language  # compiles loops

    # Addresses and placeholders are in no language.
    found = language.identify(pa.array([keeping.without_placeholders(text)]), model)
    if length(text) < TELLS or found.scores[0] < SURE or code not in found.labels or found.codes[0] < 0:
        return True
    return found.labels[found.codes[0]] == code


def identity(settings: Translate) -> dict[str, Any]:
    """Raises RecipeError when the language model is not here."""
    from curate.texts import language

    known = language.fingerprint(settings.language_model) if settings.check_language else None
    return settings.identity() | {
        "language_names": {code: (LANGUAGES | settings.names)[code] for code in settings.languages},
        "language_model": known,
    }


def load(settings: Translate, device: str, identity: Mapping[str, Any]) -> Translator:
    """Raises RecipeError when the language model is not here, or not the one that was planned with."""
    from curate.texts import language

    if settings.check_language and language.fingerprint(settings.language_model) != identity["language_model"]:
        raise RecipeError(
            f"{settings.name}: {settings.language_model} is not the language model that this run was planned with"
        )
    return Translator(settings)


KIND = Kind(needs="requests", load=load, identity=identity)
