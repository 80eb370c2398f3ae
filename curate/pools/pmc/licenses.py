"""Licences of articles and figures: the code as PMC's file lists write it, and the bucket that PMC groups it in."""

import re
from collections.abc import Iterable

COMMERCIAL, NONCOMMERCIAL, OTHER = "commercial", "noncommercial", "other"
NO_CODE = "NO-CC CODE"
"""PMC's word for articles with a custom licence, or none that a machine can read."""
BUCKETS = {
    "CC0": COMMERCIAL, "CC BY": COMMERCIAL, "CC BY-SA": COMMERCIAL, "CC BY-ND": COMMERCIAL,
    "CC BY-NC": NONCOMMERCIAL, "CC BY-NC-SA": NONCOMMERCIAL, "CC BY-NC-ND": NONCOMMERCIAL,
}  # fmt: skip
"""PMC's groups: commercial use allowed, non-commercial use only, and `other` for the rest (PMC Open Access Subset page)."""
_RESTRICTIVE = ("CC BY-NC-ND", "CC BY-NC-SA", "CC BY-NC", "CC BY-ND", "CC BY-SA", "CC BY", "CC0")
"""Of several the first counts: many statements name CC BY, and CC0 for the article's data."""

_ADDRESS = re.compile(
    r"creativecommons\.org/+(?:licen[cs]es?/+(by(?:-n[cd]|-sa)*)|(publicdomain/+zero))(?![a-z])", re.I
)
_SHORT = re.compile(r"\b(?:CC|Creative Commons)[\s-]?(?:(0)|BY((?:[\s-]+(?:NC|ND|SA))*))(?![A-Za-z0-9])")
_NAME = re.compile(
    r"creative commons:?\s+(?:public domain|attribution((?:[\s,–-]+(?:and\s+)?(?:non[\s-]?commercial|no[\s-]?deriv(?:ative|ate|ativ)?s?(?:\s+works?)?|"
    r"share[\s-]?alike))*))",
    re.I,
)


def code(addresses: Iterable[str], statement: str) -> str:
    """The Creative Commons code that links and words of a licence name, the most restrictive of several; or NO_CODE."""
    links = (match for text in (*addresses, statement) for match in _ADDRESS.finditer(text))
    found = {_of_parts(match[1]) if match[1] else "CC0" for match in links}
    found |= {"CC0" if match[1] else _of_parts(match[2]) for match in _SHORT.finditer(statement)}
    found |= {"CC0" if match[1] is None else _of_parts(match[1]) for match in _NAME.finditer(statement)}
    return next((known for known in _RESTRICTIVE if known in found), NO_CODE)


def listed(word: str) -> str:
    """The code for what a file list says (`CC BY-NC`, `CC-BY-NC 4.0`, `NO-CC CODE`)."""
    return code((word,), word.upper().strip())


def bucket(code: str) -> str:
    """commercial, noncommercial or other."""
    return BUCKETS.get(code, OTHER)


def _of_parts(words: str) -> str:
    """`CC BY` with the conditions that stand in the words, in the order that all codes have."""
    plain = re.sub(r"[\s-]", "", words.lower())
    conditions = [
        short
        for short, names in (("NC", ("nc", "noncommercial")), ("SA", ("sa", "sharealike")), ("ND", ("nd", "noderiv")))
        if any(name in plain for name in names)
    ]
    return "-".join(["CC BY", *conditions])
