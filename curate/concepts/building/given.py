"""The sources that a list is to be built from, as somebody gave them: checked first, then read in the order in which they claim entries."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from curate.concepts.building import assembling, files, frequencies, wordnet
from curate.concepts.building.assembling import BuildError, Candidate
from curate.concepts.building.presets import Preset
from curate.concepts.building.reading import found

Counted = Callable[[str, Preset, list[str], list[str]], tuple[dict[str, list[Candidate]], dict[str, Any]]]
"""What counts dumps and page views of a language, as `files.counted` does."""


class Given(NamedTuple):
    """Paths in which {lang} is the code of a language, and a number of words."""

    wordnet: Path | None
    omw: Sequence[str]
    omw_language: str | None
    wikipedia: Sequence[str]
    pageviews: Sequence[str]
    words: int

    def check(self, code: str) -> None:
        """Raises BuildError for a language's sources that are not there or not what they should be, before any is read."""
        if not any((self.wordnet, self.omw, self.wikipedia, self.pageviews, self.words)):
            raise BuildError(
                "no source: give --wordnet, --omw, --wikipedia, --pageviews or --words; see `curate metadata build --help`"
            )
        files.check(code, of_language(self.wikipedia, code), of_language(self.pageviews, code))
        found(of_language(self.omw, code), "--omw")
        if self.words:
            next(frequencies.words(code, 1), None)

    def read(
        self, code: str, preset: Preset, counted: Counted
    ) -> tuple[dict[str, Iterable[Candidate]], dict[str, Any]]:
        """(candidates by source, what was read) of a language; `counted` counts dumps and views."""
        sources: dict[str, Iterable[Candidate]] = {}
        inputs: dict[str, Any] = {}
        if self.wordnet:
            sources["wordnet"] = list(wordnet.princeton(self.wordnet))
            there = [self.wordnet / file for file in wordnet.DATA_FILES if (self.wordnet / file).is_file()]
            inputs["wordnet"] = {file.name: assembling.mark(str(file)) for file in there}
        if self.omw:
            tables = found(of_language(self.omw, code), "--omw")
            sources["omw"] = [entry for file in tables for entry in wordnet.multilingual(file, self.omw_language)]
            inputs["omw"] = files.marks(tables)
        if self.wikipedia or self.pageviews:
            chosen, account = counted(
                code, preset, of_language(self.wikipedia, code), of_language(self.pageviews, code)
            )
            sources |= chosen
            inputs |= account
        if self.words:
            frequent = list(frequencies.words(code, self.words))
            sources |= {"words": frequent, "words-capitalised": list(frequencies.capitalised(frequent))}
            inputs["wordfreq"] = {"version": frequencies.version(), "most_frequent_words": self.words}
        return sources, inputs


def of_language(paths: Sequence[str], code: str) -> list[str]:
    return [path.replace("{lang}", code) for path in paths]
