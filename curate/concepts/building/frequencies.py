"""Frequent words of a language, from the package wordfreq."""

import re
from collections.abc import Iterator, Sequence
from importlib import metadata

from curate.concepts.building.assembling import BuildError, Candidate

SMASHED = re.compile(r"\d[\d.,]*\d")
"""wordfreq counts all numbers of one length together, with zeros for digits: those are no words of a text."""


def words(language: str, most: int) -> Iterator[Candidate]:
    """The `most` most frequent words of a language, with their occurrences in a billion words.

    Left out, but counted in `most`: numbers that stand for many, and entries without a letter or digit.
    """
    try:
        import wordfreq
    except ImportError as error:
        raise BuildError("--words: the package wordfreq is missing: pip install 'curate-pairs[metadata]'") from error
    try:
        table = wordfreq.get_frequency_dict(language, wordlist="best")
    except LookupError as error:
        known = ", ".join(sorted(wordfreq.available_languages("best")))
        raise BuildError(f"--words: wordfreq has no language {language!r}; it has {known}") from error
    ranked = sorted(table.items(), key=lambda item: (-item[1], item[0]))[:most]
    yield from ((word, "words", round(share * 1e9, 1)) for word, share in ranked if is_word(word))


def is_word(text: str) -> bool:
    """Whether an entry of a frequency list is a word: not a single mark or symbol, not a class of numbers."""
    return any(char.isalnum() for char in text) and not SMASHED.search(text)


def capitalised(candidates: Sequence[Candidate]) -> Iterator[Candidate]:
    """The same words with an upper first letter: frequency lists fold case, the rule does not, and names, sentences
    and titles begin with one."""
    for text, source, statistic in candidates:
        yield text[0].upper() + text[1:], f"{source}-capitalised", statistic


def version() -> str:
    """The version of wordfreq, whose lists change with it."""
    return metadata.version("wordfreq")
