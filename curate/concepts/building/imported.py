"""Entry lists that users have: a JSON list of strings, or an object whose keys are the entries and whose values their sources."""

import json
from collections import Counter
from pathlib import Path

from curate.concepts.building.assembling import BuildError, Candidate

LARGEST = 2**30
"""Bytes of a file that is read: 27 million entries are half of that."""
SOURCE = "imported"


def imported(file: Path) -> tuple[list[Candidate], dict[str, int]]:
    """Entries in the order of the list, and what in it is no entry, by reason. Raises BuildError naming what is wrong."""
    size = file.stat().st_size if file.is_file() else -1
    if size < 0 or size > LARGEST:
        raise BuildError(
            f"{file}: " + ("no such file" if size < 0 else f"{size:,} bytes; at most {LARGEST:,} are read")
        )
    try:
        found = json.loads(file.read_bytes().decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise BuildError(f"{file}: not JSON in UTF-8: {error}") from error
    if not isinstance(found, list | dict):
        raise BuildError(
            f"{file}: a list of strings is wanted (or an object with the entries as keys), not {type(found).__name__}"
        )
    pairs = found.items() if isinstance(found, dict) else ((entry, SOURCE) for entry in found)
    entries: dict[str, Candidate] = {}
    refused: Counter[str] = Counter()
    for text, source in pairs:
        if not isinstance(text, str):
            refused["not_a_string"] += 1
        elif text in entries:
            refused["repeated"] += 1
        elif not is_text(text):
            refused["not_unicode"] += 1
        else:
            entries[text] = (text, source if isinstance(source, str) and source else SOURCE, None)
    if not entries:
        raise BuildError(f"{file}: no entry in it (refused: {dict(refused) or 'nothing'}); a list of strings is wanted")
    return list(entries.values()), dict(sorted(refused.items()))


def is_text(text: str) -> bool:
    """Whether a string can be written as UTF-8: JSON lets half a surrogate pair stand alone."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
