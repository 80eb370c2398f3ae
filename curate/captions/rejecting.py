"""What of a model's words is a caption: tidied, or refused with a reason. A model's words are hostile input: all here takes time in
proportion to their length, and no pattern may go over a text again and again."""

import re
import unicodedata
from typing import NamedTuple

import numpy as np

from curate.backends.contract import Answer

LONGEST = 2000
"""Characters of a caption."""
LOOKED_AT = 1 << 16
"""Characters of an answer that are looked at; a caption is in there, or there is none."""
MOST_REPEATED = 4
"""Times that a run of words may follow upon itself."""
LONGEST_RUN = 20
"""Words of a run that is looked for; of texts without blanks twice as many characters."""
_OPENINGS = re.compile(
    r"(?:(?:sure(?: thing)?|certainly|absolutely|of course|okay|ok)\s?[,!.:]\s*)?"
    r"(?:(?:here(?:'s|’s| is| are)|this is)\b[^:\n]{0,40}\b(?:caption|description|rewrit|re-?writ|revis|version|translation|sentence|answer|summary|text)[^:\n]{0,60}:\s*)?"
    r"(?:[*_#]{0,3}\s?(?:(?:rewritten|revised|new|final|improved|fused)\s)?(?:caption|description|answer|rewritten|rewrite|output|summary|translation|revision|sentence)(?:\s\d{1,2})?[*_]{0,3}\s?:[*_]{0,3}\s*)?",
    re.IGNORECASE,
)
_DOES = (
    r"(?:assist|help|comply|fulfil|describe|see|view|access|provide|rewrite|translate|create|generate|process|determine|identify|answer|"
    r"do that|continue|engage|summari[sz]e|caption|open)"
)
_REFUSALS = re.compile(
    rf"\b(?:i(?:['’]m| am) (?:sorry\b|unable to|not able to|just an? (?:ai|language)|an? (?:ai|(?:large )?language model|text-based)\b)"
    rf"|i (?:can(?:not|['’]t| not)|won['’]t|could(?:n['’]t| not)|am not able to) (?:\w{{1,12}} )?{_DOES}\b"
    r"|i (?:do not|don['’]t) (?:have (?:access|the ability|an? image)|see an? image)\b"
    r"|(?:ai|helpful) assistant\b|as an? (?:ai\b|(?:large )?language model|text-based)|(?:unfortunately|sorry),? i\b|i apologi[sz]e\b|cannot (?:assist|help|comply|fulfil)\b"
    r"|no (?:image|picture|photo|caption|text) (?:was |is |has been )?(?:provided|attached|given|available|visible to me)\b"
    r"|without (?:an?|the) (?:image|picture|caption) (?:being )?(?:provided|attached|given|i)\b"
    r"|please (?:provide|share|upload|attach) (?:me )?(?:with )?(?:the|an?|your) (?:image|picture|photo|caption|text)\b)",
    re.IGNORECASE,
)
_THOUGHT = re.compile(r"\s*<think>")
_MARK = re.compile(r"<\|[a-z_]{1,30}\|>|</s>|<end_of_turn>")
"""Marks of a conversation that a model's engine should have taken for its end."""
DENSE = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
"""Letters of scripts that write no blanks between words: Thai, Lao, Burmese, Khmer, kana, Han."""
REASONS = {
    "empty": "the model said nothing",
    "refusal": "the model declined, or spoke of itself",
    "cut_off": "the answer was cut off at its length",
    "too_long": f"a caption is longer than {LONGEST} characters",
    "repeats_itself": f"the same words follow upon themselves more than {MOST_REPEATED} times",
    "few_words": "the caption has fewer than two words",
    "copies_prompt": "the model gave back an instruction or an example of the prompt",
    "off_topic": "hardly a word of the original comes again",
    "same": "it says what was there before, word for word",
    "lost_numbers": "a number of the original is missing",
    "lost_names": "a name of the original is missing",
    "lost_placeholders": "a placeholder, tag, address or hashtag of the original is missing, or not as it was",
    "invents": "it tells of more than its sources do",
    "wrong_language": "it is in another language than was asked for",
    "wrong_script": "it is written in another script than the language's",
    "off_length": "it is far shorter or longer than the original",
}
"""Every reason that words of a model are refused for; each captioner lists in its schema those that it has."""


class Judged(NamedTuple):
    """A model's words, tidied, and why they are no caption, or None."""

    text: str
    reason: str | None


def judged(answer: Answer) -> Judged:
    """All that was said, as one line."""
    text = tidy(answer.text)
    return Judged(text, "too_long" if len(answer.text) > LOOKED_AT else reason(text, answer.finish))


def judged_line(answer: Answer) -> Judged:
    """The first line that says something: models like to go on with remarks, or with a further example."""
    lines = _said(answer.text).splitlines()
    said = [place for place, line in enumerate(lines) if any(map(str.isalnum, line))]
    if not said or len(answer.text) > LOOKED_AT:
        return judged(answer)
    text = tidy(lines[said[0]])
    # What was cut off later is whole here.
    return Judged(text, reason(text, "stop" if answer.finish == "length" and len(said) > 1 else answer.finish))


def tidy(text: str) -> str:
    """A model's words as one line of text: no opening phrase, no quotes around all, no control characters, NFC."""
    text = unicodedata.normalize("NFC", _said(text))
    if not text.isprintable():
        text = "".join(map(_visible, text))
    text = " ".join(text.split())
    text = text.strip("*").strip()
    for left, right in ('""', "''", "“”", "«»", "``", "「」"):
        if len(text) > 1 and text[0] == left and text[-1] == right and left not in text[1:-1]:
            text = text[1:-1].strip()
    return text


def _said(text: str) -> str:
    """The words without thoughts before them, marks after them, and the phrase that opens them."""
    text = text[:LOOKED_AT]
    if _THOUGHT.match(text):
        text = text.partition("</think>")[2]
    text = _MARK.split(text, 1)[0].strip().strip("`").strip()
    opening = _OPENINGS.match(text)
    return text[opening.end() :] if opening and opening.end() < len(text) else text


def _visible(letter: str) -> str:
    kind = unicodedata.category(letter)
    # Joiners are letters to Persian, Indic scripts and emoji; other marks of format turn texts around, or hide in them.
    if letter in "\u200c\u200d" or kind[0] != "C":
        return letter
    return "" if kind == "Cf" else " "


def words(text: str) -> int:
    """How many words a text has; two letters of a script without blanks count as one."""
    dense = len(DENSE.findall(text))
    return (dense + 1) // 2 + sum(any(map(str.isalnum, word)) for word in DENSE.sub(" ", text).split())


def reason(text: str, finish: str = "stop") -> str | None:
    """Why a tidied text is no caption; None where it is one."""
    if finish == "content_filter":
        return "refusal"
    if not any(map(str.isalnum, text)):
        return "empty"
    if _REFUSALS.search(text[:LONGEST]):
        return "refusal"
    if finish == "length":
        return "cut_off"
    if len(text) > LONGEST:
        return "too_long"
    if words(text) < 2:
        return "few_words"
    return "repeats_itself" if repeats(text) else None


def repeats(text: str) -> bool:
    """Whether a run of up to LONGEST_RUN words comes more than MOST_REPEATED times in a row; or, over 24 characters and more, a run of
    characters. Time: the length of the text, for each length of a run."""
    text = text.casefold()
    said = re.findall(r"\w+", text)
    ids = {word: place for place, word in enumerate(said)}
    longest = max(map(len, said), default=0)
    if _periodic(np.fromiter((ids[word] for word in said), np.int64), LONGEST_RUN, 0 if longest > 1 else len(said)):
        return True
    return _periodic(np.frombuffer(text.encode("utf-32-le", "replace"), np.uint32), 2 * LONGEST_RUN, 24)


def _periodic(values: np.ndarray, longest: int, least: int) -> bool:
    """Whether a stretch of at least `least` values is one run of up to `longest` of them, more than MOST_REPEATED times."""
    for run in range(1, min(longest, len(values) // (MOST_REPEATED + 1)) + 1):
        other = np.flatnonzero(values[run:] != values[:-run])
        edges = np.concatenate([[-1], other, [len(values) - run]])
        if np.diff(edges).max() - 1 >= max(MOST_REPEATED * run, least - run):
            return True
    return False
