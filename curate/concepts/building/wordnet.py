"""Synset names of WordNets: Princeton's database files, and the two formats of the Open Multilingual Wordnet."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.parsers import expat

from curate.concepts.building.assembling import BuildError, Candidate
from curate.concepts.building.reading import BREAKS, opened

DATA_FILES = ("data.noun", "data.verb", "data.adj", "data.adv")
BOM = b"\xef\xbb\xbf"
MARKER = re.compile(r"\((a|p|ip)\)$")
"""WordNet's marks for where an adjective may stand; not part of the word."""
SYNSET = re.compile(r"\d{8} \d\d [nvasr] [0-9a-f]{2} (\S+) ")
JOINED = re.compile(r"(?<=\w)\+(?=\w)")
"""What joins the parts of a word in some tables; `C++` keeps its own."""


def princeton(folder: Path) -> Iterator[Candidate]:
    """Synset names: the first lemma of each synset, blanks for underscores, with the number of synsets it names.

    Files are those of wndb(5WN). Raises BuildError when one is missing from `folder`.
    """
    names = Counter[str]()
    for file in (folder / name for name in DATA_FILES):
        try:
            lines = file.read_bytes().decode("utf-8", errors="replace").split("\n")
        except OSError as error:
            raise BuildError(f"{file}: {error.strerror}; WordNet's database has {', '.join(DATA_FILES)}") from error
        for number, line in enumerate(lines, 1):
            if line.strip() and not line.startswith("  "):  # the licence stands in indented lines at the top
                names[_first_lemma(line, f"{file}, line {number}")] += 1
    if not names:
        raise BuildError(f"{folder}: no synset in {', '.join(DATA_FILES)}; give the folder of WordNet's database files")
    yield from ((name, "wordnet", float(count)) for name, count in names.items())


def _first_lemma(line: str, where: str) -> str:
    synset = SYNSET.match(line)
    if synset is None:
        raise BuildError(
            f"{where}: not a synset: {line[:40]!r}; a line is offset, file, type, number of words and words, as wndb(5WN) has it"
        )
    return MARKER.sub("", synset.group(1)).replace("_", " ")


def multilingual(file: Path | str, language: str | None = None) -> Iterator[Candidate]:
    """Lemmas of an Open Multilingual Wordnet, with the number of synsets each stands in, the most frequent first.

    `file` is a table (`wn-data-*.tab`: synset, TAB, `lang:lemma` or `lemma`, TAB, word) or WN-LMF in XML, either may be gzipped.
    `language` picks the lemmas of one language from a table that has several (three letters, as the table writes it). Blanks for
    underscores; a `+` that joins the parts of a word is left out. Raises BuildError naming what is wrong.
    """
    names = Counter[str]()
    with opened(str(file)) as stream:
        try:
            start = stream.read(4096).removeprefix(BOM).lstrip()
            stream.seek(0)
            lemmas = _lmf(stream, file) if start.startswith(b"<") else _table(stream, file, language)
            for lemma in lemmas:
                names[JOINED.sub("", lemma.replace("_", " ")).strip()] += 1
        except BREAKS as error:
            raise BuildError(f"{file}: it cannot be read to its end ({error}); fetch it anew") from error
    if not names:
        raise BuildError(f"{file}: no lemma in it" + (f" of language {language!r}" if language else ""))
    yield from (
        (name, "omw", float(count)) for name, count in sorted(names.items(), key=lambda item: (-item[1], item[0]))
    )


def _table(stream: Any, file: Path | str, language: str | None) -> Iterator[str]:
    languages = set[str]()
    for number, line in enumerate(stream, 1):
        line = line.removeprefix(BOM)
        if line.startswith(b"#") or not line.strip():
            continue
        fields = line.decode("utf-8", errors="replace").rstrip("\r\n").split("\t")
        if len(fields) < 3:
            raise BuildError(
                f"{file}, line {number}: {len(fields)} fields; a line is synset, kind and word with tabs between"
            )
        code, _, kind = fields[1].rpartition(":")
        if kind != "lemma" or (language and code not in ("", language)):
            continue
        languages.add(code)
        if len(languages) > 1:
            raise BuildError(f"{file}: lemmas of {' and '.join(sorted(languages))}; say which with --omw-language")
        yield fields[2]


def _lmf(stream: Any, file: Path | str) -> Iterator[str]:
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

    def __init__(self, file: Path | str):
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
