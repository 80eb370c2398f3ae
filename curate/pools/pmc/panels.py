"""Panels of a figure, as its caption marks them: `(A) ... (B) ...`. Only what the text gives is said."""

import re
from typing import Any

_MARK = re.compile(r"\(\s?([A-Za-z](?:\s?(?:,|and|&|[-–])\s?[A-Za-z])*)\s?\)")
_LEADS = re.compile(r"(?:^|[.;:!?])\s*$")


def panels(caption: str) -> list[dict[str, Any]]:
    """The panels that a caption names in order from A (or a), two at least; none otherwise.

    Each has its `label`, and where every mark leads what it speaks of (it begins the caption or a sentence), `start` and
    `end`: characters of the caption, mark included. Marks of several (`(B, C)`, `(B-D)`) give each of them the same span. A
    caption that marks what stands before (`Brain (A) and liver (B)`) does not say where a panel's text begins: labels alone.
    """
    marks: list[tuple[str, int]] = []
    leading = True
    upper: bool | None = None
    following = 0
    for match in _MARK.finditer(caption):
        letters = _letters(match[1])
        if not letters or (upper is not None and letters[0].isupper() is not upper):
            continue
        if [ord(letter.lower()) - 97 for letter in letters] != list(range(following, following + len(letters))):
            continue  # Said again, or something else in brackets.
        upper = letters[0].isupper()
        following += len(letters)
        leading = leading and bool(_LEADS.search(caption[max(match.start() - 20, 0) : match.start()]))
        marks += [(letter, match.start()) for letter in letters]
    if len(marks) < 2:
        return []
    if not leading:
        return [{"label": letter} for letter, _ in marks]
    ends = [min((at for _, at in marks if at > start), default=len(caption)) for _, start in marks]
    return [
        {"label": letter, "start": start, "end": start + len(caption[start:end].rstrip())}
        for (letter, start), end in zip(marks, ends, strict=True)
    ]


def _letters(inside: str) -> list[str]:
    """The letters of a mark: `A`, `A, B and C`, or a range `A-C`; none for a word or a mix of cases."""
    found = re.findall(r"(?<![A-Za-z])[A-Za-z](?![A-Za-z])", inside)
    if len({letter.isupper() for letter in found}) != 1:
        return []
    if len(found) == 2 and re.search(r"[-–]", inside):
        return [chr(point) for point in range(ord(found[0]), ord(found[1]) + 1)]
    return found
