"""Files of sources: found by paths and globs, opened packed or not, read up to where they break, added up as they come."""

import bz2
import glob
import gzip
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import fsspec
import pyarrow as pa

from curate.concepts.building.assembling import BuildError

BREAKS = (EOFError, OSError, zlib.error)
"""What reading a packed file raises where it is cut off or damaged."""
PIECE = 1 << 20
WAITING = 1 << 20
"""Rows of counts that wait to be added up."""


def found(patterns: Sequence[str], option: str) -> list[str]:
    """Files of paths and globs (local, or any fsspec URL), in order, each once. Raises BuildError for a pattern without a file."""
    files: dict[str, None] = {}
    for pattern in patterns:
        try:
            here = _matching(pattern)
        except (OSError, ValueError, ImportError) as error:
            raise BuildError(f"{option}: {pattern!r} cannot be looked up: {error}") from error
        if not here:
            raise BuildError(f"{option}: no file matches {pattern!r}")
        files |= dict.fromkeys(here)
    return list(files)


def _matching(pattern: str) -> list[str]:
    fs, place = fsspec.core.url_to_fs(pattern)
    if "://" in pattern:
        matching = sorted(fs.glob(place)) if glob.has_magic(place) else [place]
        return [fs.unstrip_protocol(file) for file in matching if fs.isfile(file)]
    # A name that is there is meant, whatever it has of a glob's signs.
    return [file for file in ([pattern] if fs.exists(place) else sorted(glob.glob(pattern))) if fs.isfile(file)]


def opened(file: str) -> Any:
    """A file's bytes as a stream, unpacked by the end of its name (.bz2, .gz). Raises BuildError when it is not there."""
    try:
        raw = fsspec.open(file, "rb", block_size=PIECE).open()
    except OSError as error:
        raise BuildError(f"{file}: {error.strerror or error}; give the path of a file that can be read") from error
    if file.endswith(".bz2"):
        return bz2.BZ2File(raw)
    return gzip.GzipFile(fileobj=raw) if file.endswith(".gz") else raw


def pieces(file: str) -> Iterator[bytes | None]:
    """A file's bytes, some at a time; None last where it breaks off, behind all that could be read."""
    with opened(file) as stream:
        # read1 gives what is there, and not an error for what is missing behind it.
        read = stream.read1 if isinstance(stream, bz2.BZ2File | gzip.GzipFile) else stream.read
        while True:
            try:
                piece = read(PIECE)
            except BREAKS:
                yield None
                return
            if not piece:
                return
            yield piece


def separated(file: str, end: bytes, longest: int) -> Iterator[str | None]:
    """A file's text cut at `end`, which is not part of it, with what stands behind the last; None last where it breaks off.

    Of a piece that is longer than `longest` bytes the middle is left out, so that a file without any `end` is not held in memory.
    """
    rest = b""
    for piece in pieces(file):
        if piece is None:
            yield None
            return
        *whole, rest = (rest + piece).split(end)
        yield from (one.decode("utf-8", errors="replace") for one in whole)
        if len(rest) > longest + len(end):
            rest = rest[:longest] + rest[-len(end) :]
    if rest:
        yield rest.decode("utf-8", errors="replace")


def summed(tables: Iterable[pa.Table], columns: pa.Schema) -> pa.Table:
    """The sum of tables of counts: the last column is added up over equal values of all others.

    Tables wait until there are as many rows of them as of the sum, so that each row is added a few times and not once
    for every table behind it.
    """
    total, waiting, rows = columns.empty_table(), list[pa.Table](), 0
    for table in tables:
        waiting.append(table)
        rows += len(table)
        if rows > max(len(total), WAITING):
            total, waiting, rows = _added([total, *waiting], columns), [], 0
    return _added([total, *waiting], columns)


def _added(tables: Sequence[pa.Table], columns: pa.Schema) -> pa.Table:
    *keys, number = columns.names
    both = pa.concat_tables(tables).group_by(keys).aggregate([(number, "sum")])
    return both.rename_columns({f"{number}_sum": number}).select(columns.names).cast(columns)
