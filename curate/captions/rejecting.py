"""What of a model's words is a caption: tidied, or refused with a reason. A model's words are hostile input."""

import re
import unicodedata

LONGEST = 2000
"""Characters of a caption."""
MOST_REPEATED = 4
"""Times that a run of words may follow upon itself."""
_OPENINGS = re.compile(
    r"(?:(?:sure|certainly|of course|okay|ok)\b[^:\n]{0,60}[:,!.]\s*)?(?:here(?:'s| is| are)\b[^:\n]{0,80}:\s*)?"
    r"(?:(?:caption|description|answer|rewritten(?: caption)?|output|summary)\s*:\s*)?",
    re.IGNORECASE,
)
_REFUSALS = re.compile(
    r"\b(?:i(?:'m| am)\s+(?:sorry|unable|not able|an? (?:ai|language|text)\b)|i\s+(?:can(?:not|'t| not)|won't|do(?:n't| not) have (?:access|the ability))\b"
    r"|as an? (?:ai|language model|text-based)\b|(?:unfortunately|sorry),? i\b|i apologi[sz]e\b|cannot (?:assist|help|comply|fulfil)"
    r"|(?:no|without (?:an?|the)) image (?:was |is |has been )?(?:provided|attached|given|available)?)",
    re.IGNORECASE,
)
REASONS = {
    "empty": "the model said nothing",
    "refusal": "the model declined, or spoke of itself",
    "cut_off": "the answer was cut off at its length",
    "too_long": f"a caption is longer than {LONGEST} characters",
    "repeats_itself": f"the same words follow upon themselves more than {MOST_REPEATED} times",
    "few_words": "the caption has fewer than two words",
}
"""Reasons that any captioner may have; each lists in its schema those that it has."""
_REPEATED = re.compile(rf"(\b.{{2,80}}?)(?:[\s,.;]+\1){{{MOST_REPEATED},}}", re.IGNORECASE | re.DOTALL)


def tidy(text: str) -> str:
    """A model's words as one line of text: no opening phrase, no quotes around all, no control characters, NFC."""
    text = unicodedata.normalize("NFC", text[: 2 * LONGEST]).strip()
    opening = _OPENINGS.match(text)
    text = text[opening.end() :] if opening and opening.end() < len(text) else text
    if not text.isprintable():
        text = "".join(" " if unicodedata.category(c)[0] == "C" else c for c in text)
    text = " ".join(text.split())
    for left, right in ('""', "''", "“”", "«»", "``"):
        if len(text) > 1 and text[0] == left and text[-1] == right and left not in text[1:-1]:
            text = text[1:-1].strip()
    return text.strip("*").strip()


def reason(text: str, finish: str = "stop") -> str | None:
    """Why a tidied text is no caption; None where it is one."""
    if finish == "content_filter":
        return "refusal"
    if not text:
        return "empty"
    if _REFUSALS.search(text):
        return "refusal"
    if finish == "length":
        return "cut_off"
    if len(text) > LONGEST:
        return "too_long"
    if len(text.split()) < 2:
        return "few_words"
    return "repeats_itself" if _REPEATED.search(text) else None
