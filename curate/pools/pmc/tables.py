"""Tables beside the articles, which say what the XML does not: licences, MeSH terms, cluster labels.

A table is looked up by a hash of its key, in sorted arrays: twelve bytes a row, 100 MB for eight million, read once a process.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import xxhash

from curate import CurateError
from curate.hints import nearest
from curate.pools.pmc.meta import pmcid
from curate.recipe import Pmc

KEYS = ("accession id", "accessionid", "pmcid", "article_accession_id")
IMAGES = ("file", "image_file_name", "image", "figure", "member")
WORDS = {
    "license_table": ("license", "licence"),
    "mesh_table": ("mesh_terms", "mesh_term", "mesh", "term"),
    "label_table": ("label", "labels", "image_primary_label", "primary_label", "cluster_label"),
}
"""Columns, the first that a table has, in any case of letters; PMC's own `oa_file_list.csv` is a table of licences."""
SEPARATOR = ";"
"""Between several words of one row. A key may have several rows as well."""


class TableError(CurateError, ValueError):
    """A table of the recipe that cannot be used; the message names the file and the columns that it needs."""


class Lookup:
    """Words by key: `lookup("PMC1")` is a tuple, in the order of the words' own."""

    def __init__(self, keys: Sequence[np.ndarray], codes: Sequence[np.ndarray], words: Sequence[str]):
        found = np.concatenate(keys) if keys else np.empty(0, np.uint64)
        order = np.argsort(found, kind="stable")
        self._keys, self._codes = found[order], (np.concatenate(codes) if codes else np.empty(0, np.uint32))[order]
        self._words = tuple(words)

    def __call__(self, key: str) -> tuple[str, ...]:
        hashed = np.uint64(xxhash.xxh3_64_intdigest(key.encode()))
        first, last = (int(np.searchsorted(self._keys, hashed, side)) for side in ("left", "right"))
        return tuple(dict.fromkeys(self._words[code] for code in np.sort(self._codes[first:last])))


def marks(settings: Pmc) -> dict[str, str]:
    """For each table of the settings, by the setting's name, size and hash of what is in it.

    Raises TableError for one that is not there, or has not the columns it needs.
    """
    named = {name: getattr(settings, name) for name in WORDS}
    return {name: _mark(path, name) for name, path in named.items() if path}


def _mark(path: str, name: str) -> str:
    _columns(path, name)
    hashed, size = xxhash.xxh3_128(), 0
    with fsspec.open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            hashed.update(chunk)
            size += len(chunk)
    return f"{size} bytes, {hashed.hexdigest()}"


def lookup(path: str | None, name: str) -> Lookup | None:
    """The table at `path`, as `name` (license_table ...) reads it; None for no path. Raises TableError."""
    return _load(path, name) if path else None


def image_key(pmcid: str | None, file: str) -> str:
    """What an image is looked up by in a table of labels: its article, and its file without folder."""
    return f"{pmcid or ''}/{file.rpartition('/')[2]}"


@lru_cache(maxsize=8)
def _load(path: str, name: str) -> Lookup:
    keys: list[np.ndarray] = []
    codes: list[np.ndarray] = []
    words: dict[str, int] = {}
    columns = _columns(path, name)
    for batch in _batches(path, columns):
        hashes, numbers = [], []
        for *key, said in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            spoken = _key(key)
            for word in (part.strip() for part in str(said or "").split(SEPARATOR)):
                if word and spoken:
                    hashes.append(xxhash.xxh3_64_intdigest(spoken.encode()))
                    numbers.append(words.setdefault(word, len(words)))
        keys.append(np.array(hashes, np.uint64))
        codes.append(np.array(numbers, np.uint32))
    return Lookup(keys, codes, list(words))


def _key(values: Sequence[Any]) -> str | None:
    article = pmcid(str(values[0] or ""))
    if article is None or len(values) == 1:
        return article
    return image_key(article, str(values[1])) if values[1] else None


def _columns(path: str, name: str) -> list[str]:
    """The columns to read: one or two that make the key, and that of the words."""
    try:
        with fsspec.open(path, "rb") as file:
            there = _header(path, file)
    except FileNotFoundError as error:
        raise TableError(f"pmc.{name}: there is no file at {path}; correct the path in the recipe") from error
    except pa.ArrowInvalid as error:
        raise TableError(f"pmc.{name}: {path} is no table: {error}") from error
    by_name = {column.strip().lower(): column for column in there}
    keys = _first(by_name, KEYS)
    if name == "label_table":
        image = _first(by_name, IMAGES)
        keys = [*keys, *image] if keys and image else []
    words = _first(by_name, WORDS[name])
    if not keys or not words:
        wanted = f"{KEYS[2]}, {IMAGES[0]}" if name == "label_table" else KEYS[2]
        hint = nearest(WORDS[name][0], there) if there else "it has none"
        raise TableError(f"pmc.{name}: {path} needs the columns {wanted} and {WORDS[name][0]}; {hint}")
    return [*keys, *words]


def _first(by_name: dict[str, str], names: Sequence[str]) -> list[str]:
    return [by_name[name] for name in names if name in by_name][:1]


def _header(path: str, file: Any) -> list[str]:
    if path.endswith(".parquet"):
        import pyarrow.parquet as pq

        return list(pq.ParquetFile(file).schema_arrow.names)
    from pyarrow import csv

    return list(csv.open_csv(file, parse_options=_loose()).schema.names)


def _loose() -> Any:
    """A row of another length is no row of the table: citations in the lists have commas without quotes at times."""
    from pyarrow import csv

    return csv.ParseOptions(newlines_in_values=True, invalid_row_handler=lambda _: "skip")


def _batches(path: str, columns: list[str]) -> Iterator[pa.RecordBatch]:
    with fsspec.open(path, "rb") as file:
        if path.endswith(".parquet"):
            import pyarrow.parquet as pq

            yield from pq.ParquetFile(file).iter_batches(columns=columns)
            return
        from pyarrow import csv

        types = csv.ConvertOptions(include_columns=columns, column_types=dict.fromkeys(columns, pa.string()))
        yield from csv.open_csv(file, parse_options=_loose(), convert_options=types)
