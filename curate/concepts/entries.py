"""Entry lists: one table per language, `<metadata>/<lang>/entries.parquet`; `metadata` itself is the folder that ships."""

from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash
from fsspec.implementations.local import LocalFileSystem

from curate import schema
from curate.hints import nearest
from curate.house import folder
from curate.recipe import RecipeError

SHIPPED, FILE = "metadata", "entries.parquet"


def load(metadata: str, language: str) -> pa.Table:
    """The entry list of a language, held to `schemas/entries.yaml`.

    Raises RecipeError when `metadata` (the folder that ships, or any fsspec URL) has no list for the language, or
    one that cannot be read, has texts that are no UTF-8, or whose ids or texts repeat.
    """
    return parse(read(metadata, language), metadata, language)


def parse(data: bytes, metadata: str, language: str) -> pa.Table:
    """`load` of bytes that were `read`; the names are for errors."""
    try:
        table = schema.load("entries").hold(pq.read_table(pa.BufferReader(data)))
        # Parquet's strings are whatever bytes its writer put there.
        table.validate(full=True)
    except (pa.ArrowException, OSError) as error:
        raise RecipeError(f"match.metadata: {metadata}/{language}/{FILE}: {error}; build the list again") from error
    for column in ("id", "text"):
        if len(table[column].unique()) != len(table):
            raise RecipeError(f"match.metadata: {metadata}/{language}/{FILE}: {column}s repeat; build the list again")
    return table


def fingerprint(metadata: str, language: str) -> str:
    """xxh3-128 of the list's bytes; RecipeError when there is none."""
    return xxhash.xxh3_128_hexdigest(read(metadata, language))


def languages(metadata: str) -> list[str]:
    """All languages that have a list there, in alphabetical order."""
    if metadata == SHIPPED:
        return sorted(item.name for item in folder(SHIPPED).iterdir() if (item / FILE).is_file())
    fs, root = _place(metadata)
    return sorted(path.split("/")[-2] for path in fs.glob(f"{root}/*/{FILE}"))


def state(metadata: str, language: str) -> tuple[int, ...]:
    """What changes when a list on this machine does: time, size and place of its file. Empty where it is elsewhere, or nowhere."""
    fs, root = _place(str(folder(SHIPPED)) if metadata == SHIPPED else metadata)
    place = Path(root, language, FILE)
    if not isinstance(fs, LocalFileSystem) or not place.is_file():
        return ()
    found = place.stat()
    return found.st_mtime_ns, found.st_size, found.st_ino


def read(metadata: str, language: str) -> bytes:
    """The file of a list. Read anew each time: a worker keeps indexes, and not the lists that they are made of.

    Raises RecipeError when there is none.
    """
    fs, root = _place(metadata)
    if metadata == SHIPPED:
        shipped = folder(SHIPPED) / language / FILE
        if shipped.is_file():
            return shipped.read_bytes()
    elif fs.exists(place := f"{root}/{language}/{FILE}"):
        return bytes(fs.cat_file(place))
    known = languages(metadata)
    hint = nearest(language, known) if known else f"nothing there looks like <lang>/{FILE}"
    raise RecipeError(f"match.languages: no entry list for {language!r} in match.metadata={metadata!r}: {hint}")


def _place(metadata: str) -> tuple[fsspec.AbstractFileSystem, str]:
    fs, root = fsspec.core.url_to_fs(metadata)
    return fs, root.rstrip("/")
