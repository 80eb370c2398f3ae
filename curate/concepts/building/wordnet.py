"""Synset names of WordNets: Princeton's database files, and the two formats of the Open Multilingual Wordnet."""

import gzip
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.parsers import expat

from curate.concepts.building.assembling import BuildError, Candidate

DATA_FILES = ("data.noun", "data.verb", "data.adj", "data.adv")
MARKER = re.compile(r"\((a|p|ip)\)$")
"""WordNet's marks for where an adjective may stand; not part of the word."""


def princeton(folder: Path) -> Iterator[Candidate]:
    """Synset names: the first lemma of each synset, blanks for underscores, with the number of synsets it names.

    Files are those of wndb(5WN). Raises BuildError when one is missing from `folder`.
    """
    names: Counter[str] = Counter()
    for file in DATA_FILES:
        try:
            lines = (folder / file).read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise BuildError(
                f"{folder / file}: {error.strerror}; WordNet's database has {', '.join(DATA_FILES)}"
            ) from error
        for line in lines:
            if not line.startswith("  "):  # the licence stands in indented lines at the top
                names[MARKER.sub("", line.split(" ", 5)[4]).replace("_", " ")] += 1
    yield from ((name, "wordnet", float(count)) for name, count in names.items())


def multilingual(file: Path, language: str | None = None) -> Iterator[Candidate]:
    """Lemmas of an Open Multilingual Wordnet, with the number of synsets each stands in, the most frequent first.

    `file` is a table (`wn-data-*.tab`: synset, TAB, `lang:lemma` or `lemma`, TAB, word) or WN-LMF in XML, either may be gzipped.
    `language` picks the lemmas of one language from a table that has several (three letters, as the table writes it). Blanks for
    underscores, and `+`, which joins the parts of a word there, is left out. Raises BuildError naming what is wrong.
    """
    names = Counter[str]()
    with (gzip.open if file.suffix == ".gz" else open)(file, "rb") as stream:
        start = stream.read(4096).lstrip()
        stream.seek(0)
        lemmas = _lmf(stream, file) if start.startswith(b"<") else _table(stream, file, language)
        for lemma in lemmas:
            names[lemma.replace("_", " ").replace("+", "").strip()] += 1
    if not names:
        raise BuildError(f"{file}: no lemma in it" + (f" of language {language!r}" if language else ""))
    yield from (
        (name, "omw", float(count)) for name, count in sorted(names.items(), key=lambda item: (-item[1], item[0]))
    )


def _table(stream: Any, file: Path, language: str | None) -> Iterator[str]:
    for number, line in enumerate(stream, 1):
        if line.startswith(b"#") or not line.strip():
            continue
        fields = line.decode("utf-8", errors="replace").rstrip("\r\n").split("\t")
        if len(fields) < 3:
            raise BuildError(
                f"{file}, line {number}: {len(fields)} fields; a line is synset, kind and word with tabs between"
            )
        code, _, kind = fields[1].rpartition(":")
        if kind == "lemma" and (not language or code in ("", language)):
            yield fields[2]


def _lmf(stream: Any, file: Path) -> Iterator[str]:
    """The written form of an entry's lemma, once for each of its senses, as the document streams.

    Documents that define entities are refused: no WordNet needs them, and expanded they may fill the memory.
    """
    reader = _Senses(file)
    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = reader.begin, reader.end
    parser.EntityDeclHandler = reader.refuse
    try:
        while chunk := stream.read(1 << 16):
            parser.Parse(chunk, False)
            yield from reader.taken()
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise BuildError(f"{file}: not XML: {error}") from error
    yield from reader.taken()


class _Senses:
    """What `_lmf` keeps of the document: the lemma and the senses of the entry that it is in."""

    def __init__(self, file: Path):
        self._file, self._form, self._senses, self._found = file, "", 0, list[str]()

    def begin(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "Lemma":
            self._form = attributes.get("writtenForm", "")
        self._senses += tag == "Sense"

    def end(self, tag: str) -> None:
        if tag == "LexicalEntry":
            self._found += [self._form] * max(self._senses, 1) if self._form else []
            self._form, self._senses = "", 0

    def refuse(self, name: str, *_: object) -> None:
        raise BuildError(f"{self._file}: it defines the entity {name!r}; take entities out of the document")

    def taken(self) -> list[str]:
        found, self._found = self._found, []
        return found
