"""The two published matching rules, as definitions: how a text is spaced, how an entry is padded, what can never match.

Both space a text alike: it is padded with a blank at both ends; each of , . ; : ? ! and the backtick becomes " X "; tab,
newline and carriage return become a blank. Blanks are not collapsed, and case matters. An entry matches where its padded
form is a substring.

`metaclip1` (Xu et al., Demystifying CLIP Data, 2023) pads an entry with a blank at both ends. `metaclip2` (Chuang et al.,
Meta CLIP 2, 2025) leaves the blank out on a side where the entry begins or ends with a character of a script without
blanks, or with punctuation; the sets are those of its released code. Kana and Hangul are not among them.
"""

import re
from typing import Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Rule = Literal["metaclip1", "metaclip2"]
RULES: tuple[str, ...] = get_args(Rule)

MARKS, BLANKS = ",.;:?!`", "\t\n\r"
_WRAP = str.maketrans({mark: f" {mark} " for mark in MARKS} | dict.fromkeys(BLANKS, " "))

UNSPACED = (
    (0x0E00, 0x0E7F),  # Thai
    (0x0E80, 0x0EFF),  # Lao
    (0x0F00, 0x0FFF),  # Tibetan
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, 0x2FDF),  # radicals of Han; the two blocks are neighbours
    (0x2FF0, 0x2FFF),  # descriptions of Han
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0x2CEB0, 0x2EBEF),
)
"""Code points of scripts that are written without blanks, first and last."""
PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~，。、；：？！“”‘’（）【】《》〈〉「」『』～—")

_IMPOSSIBLE = re.compile(f"[{BLANKS}]|[^ ][{MARKS}]|[{MARKS}][^ ]|[{MARKS}] [{MARKS}]")
"""What no spaced text holds: every mark has blanks of its own on both sides, so two of them have two between."""


def spaced(text: str) -> str:
    """The text as both rules read it."""
    return f" {text} ".translate(_WRAP)


def padded(entry: str, rule: str) -> str:
    """The substring that an entry is looked for as. Raises IndexError for an empty entry."""
    if rule == "metaclip1":
        return f" {entry} "
    left = "" if stands_close(entry[0]) else " "
    return left + entry + ("" if stands_close(entry[-1]) else " ")


def stands_close(char: str) -> bool:
    """Whether `metaclip2` looks for an entry without a blank on the side where this character stands."""
    return char in PUNCTUATION or any(first <= ord(char) <= last for first, last in UNSPACED)


def matchable(entry: str, rule: str) -> bool:
    """Whether the rule can find the entry in any text."""
    return bool(entry) and not _IMPOSSIBLE.search(padded(entry, rule))


# -- the same over an entry list

_CLOSE = "[" + "".join(f"\\x{{{first:X}}}-\\x{{{last:X}}}" for first, last in UNSPACED) + "".join(
    f"\\x{{{ord(char):X}}}" for char in sorted(PUNCTUATION)
) + "]"  # fmt: skip


def _sides(entries: pa.Array, rule: str) -> tuple[np.ndarray, np.ndarray]:
    """Whether each entry is looked for with a blank before it, and with one behind it; bool."""
    if rule == "metaclip1":
        return np.ones(len(entries), bool), np.ones(len(entries), bool)
    before, behind = (
        pc.match_substring_regex(entries, f"(?s){pattern}") for pattern in (f"\\A{_CLOSE}", f"{_CLOSE}\\z")
    )
    return ~before.to_numpy(zero_copy_only=False), ~behind.to_numpy(zero_copy_only=False)


def stands_apart(entries: pa.Array, rule: str) -> np.ndarray:
    """Whether each entry is looked for with blanks on both sides; bool."""
    before, behind = _sides(entries, rule)
    return before & behind


def padded_all(entries: pa.Array, rule: str) -> pa.Array:
    """`padded` of each entry of a large_string array; an empty one stays empty or becomes blanks."""
    blanks = pa.array(["", " "], pa.large_string())
    before, behind = (blanks.take(pa.array(side.astype(np.int8))) for side in _sides(entries, rule))
    return pc.binary_join_element_wise(before, entries, behind, pa.scalar("", pa.large_string()))


def impossible(entries: pa.Array, rule: str) -> np.ndarray:
    """Whether the rule can find each entry in no text; bool, the opposite of `matchable`."""
    found = pc.match_substring_regex(padded_all(entries, rule), _IMPOSSIBLE.pattern)
    return pc.or_(found, pc.equal(entries, "")).to_numpy(zero_copy_only=False)
