"""Which reader a file of a pool goes to.

A reader is a plain function: a file in, tables of the schema of `pairs` out, what became of everything else in the account. It
raises what the storage raises (a lost connection is no fault of the data), and what the recipe has to say (the columns of a table).
Bytes that cannot be read cost themselves alone, and stand in the account as `bad_record` with the place where they are.
"""

from collections.abc import Callable, Iterable, Iterator

import pyarrow as pa

from curate import CurateError, storage
from curate.pools import archive, label_tables, labels, pmc, slides, tables, tars
from curate.pools.candidates import Account
from curate.pools.inputs import Input
from curate.recipe import Extract

Reader = Callable[[Input, Extract, Account], Iterator[pa.Table]]

READERS: dict[str, Reader] = {
    "archive": archive.read,
    "table": tables.read,
    "pmc": pmc.read,
    "labels": labels.read,
    "slides": slides.read,
    "tar": tars.read,
}
SUFFIXES = {
    "archive": (".warc", ".warc.gz", ".warc.zst", ".warc.lz4", ".wat", ".wat.gz"),
    "table": tables.SUFFIXES,
    "tar": tars.SUFFIXES,
    "pmc": (".nxml", ".tar.gz"),
    "slides": slides.SUFFIXES,
}
"""What files are called that a reader takes by itself."""


class ReaderError(CurateError, ValueError):
    """A file that no reader takes by its name; the message says which names are known, and how to choose one."""


def read(file: Input, settings: Extract, account: Account) -> Iterator[pa.Table]:
    """The candidate rows of a file, by the reader that its source or else its name asks for. Raises ReaderError."""
    return READERS[kind(file)](file, settings, account)


def kind(file: Input) -> str:
    """Which of READERS takes a file. Raises ReaderError."""
    if file.source is not None and file.source.reader != "auto":
        return file.source.reader
    name = file.name.lower()
    found = [kind for kind, suffixes in SUFFIXES.items() if name.endswith(suffixes)]
    if not found:
        known = ", ".join(suffix for suffixes in SUFFIXES.values() for suffix in suffixes)
        raise ReaderError(
            f"{file.path}: nothing reads a file of that name; known are {known}. Rename it, or name a reader in the recipe: "
            "extract.sources: [{name: ..., inputs: [...], reader: archive}]"
        )
    return found[0]


def warming(files: Iterable[Input]) -> set[str]:
    """Which compiled functions reading these files takes, in the words of `jobs.workers`: warc, wat."""
    return {"wat" if ".wat" in file.name.lower() else "warc" for file in files if kind(file) == "archive"}


def check(files: Iterable[Input]) -> dict[str, str]:
    """Says before anything is read which file nothing reads or reaches, and what other files the sources read.

    For each of these what it is, and what is in it. Raises ReaderError, TableError, StorageError.
    """
    marks: dict[str, str] = {}
    sources: set[str] = set()
    for file in files:
        storage.check(file.path)
        if kind(file) == "labels":
            marks |= label_tables.marks(file)
        if file.source and file.source.name not in sources:
            sources.add(file.source.name)
            if said := tables.mark(file):
                marks[f"subset of {file.source.name}"] = said
            if file.source.pmc:
                named = pmc.tables.marks(file.source.pmc)
                marks |= {f"{name} of {file.source.name}": mark for name, mark in named.items()}
    return marks
