"""The index of an entry list: built once on a machine, one file of flat arrays, memory-mapped and shared by all its workers.

It is kept in CURATE_CACHE (by default `~/.cache/curate`) under the fingerprint of its list, the rule, and LAYOUT; any of
those files may be removed at any time. A list is read, and an index opened, when the first text of its language comes.
"""

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from curate import CurateError
from curate.concepts import characters, entries, words
from curate.concepts.characters import CharacterIndex
from curate.concepts.native import PADDING, compiled
from curate.concepts.rules import impossible, padded_all, stands_apart
from curate.concepts.trie import Trie
from curate.concepts.words import WordIndex

LAYOUT = 1
"""Changes with the arrays or the hashes in them: an index of another layout is built anew."""
FEW = 50
"""A list with one entry by words to so many by characters is matched by characters alone."""
LINE = 64
"""Arrays begin at the beginning of a cache line."""


class CacheError(CurateError, RuntimeError):
    """An index cannot be kept; the message says where and what to do."""


class Index(NamedTuple):
    """What finds the entries of one list by one rule. Either part is None where no entry asks for it."""

    ids: np.ndarray | None
    """int32, one for each entry of the list, ascending; None where they are 0, 1, 2, ... and so the places themselves."""
    words: WordIndex | None
    characters: CharacterIndex | None

    def match(self, texts: pa.Array, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Entries of some texts: their ids (int32), ascending and each once for a text, and how many each row has (int64).

        `texts` is a string or large_string array without nulls, `rows` (int64) says which of them.
        """
        offsets, data = buffers(texts)
        found = []
        if self.words is not None:
            found.append(words.match(self.words, data.ctypes.data, offsets, rows))
        if self.characters is not None:
            found.append(characters.match(self.characters, data, offsets, rows, characters.KIND))
        if not found:
            return np.empty(0, np.int32), np.zeros(len(rows), np.int64)
        places, counts = found[0] if len(found) == 1 else _merged(*found[0], *found[1])
        return (places if self.ids is None else self.ids[places]), counts


def buffers(texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """An array's offsets (int32 or int64, one more than texts) and bytes (uint8), without copying."""
    kind = np.int64 if texts.type == pa.large_string() else np.int32
    _, offsets, data = texts.buffers()
    if not len(texts) or data is None:
        return np.zeros(len(texts) + 1, kind), np.zeros(1, np.uint8)
    ends = np.frombuffer(offsets, kind, count=len(texts) + 1, offset=texts.offset * np.dtype(kind).itemsize)
    return ends, np.frombuffer(data, np.uint8)


@compiled
def _merged(one, one_counts, other, other_counts):
    """Two answers for the same rows as one; no entry is in both."""
    out, counts = np.empty(len(one) + len(other), one.dtype), one_counts + other_counts
    i = j = n = 0
    for row in range(len(counts)):
        i_end, j_end = i + one_counts[row], j + other_counts[row]
        while i < i_end or j < j_end:
            take = j == j_end or (i < i_end and one[i] < other[j])
            out[n] = one[i] if take else other[j]
            i += take
            j += not take
            n += 1
    return out, counts


def build(table: pa.Table, rule: str) -> Index:
    """The index of an entry list (`schemas/entries.yaml`) by a rule; entries that can never match are left out."""
    table = table.sort_by("id")
    texts = table["text"].combine_chunks().cast(pa.large_string())
    usable = ~impossible(texts, rule)
    apart = stands_apart(texts, rule)
    by_words, by_characters = usable & apart, usable & ~apart
    if FEW * by_words.sum() < by_characters.sum():
        # Not worth a second pass over every text: to characters a blank is a character.
        by_words, by_characters = by_words & False, usable
    ids = table["id"].to_numpy().astype(np.int32)
    return Index(
        None if np.array_equal(ids, np.arange(len(ids))) else ids,
        words.build(*_bytes(texts), by_words) if by_words.any() else None,
        characters.build(*_bytes(padded_all(texts, rule)), by_characters) if by_characters.any() else None,
    )


def _bytes(texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """An array's bytes, with spare ones behind the last, and offsets from their beginning."""
    offsets, data = buffers(texts)
    spare = np.zeros(PADDING, np.uint8)
    return np.concatenate([data[offsets[0] : offsets[-1]], spare]), (offsets - offsets[0]).astype(np.int64)


# -- kept on disk


@lru_cache(maxsize=256)
def opened(metadata: str, language: str, rule: str) -> Index:
    """The index of a language's list, from the machine's cache; built and put there by the first that asks for it.

    Raises RecipeError when there is no list for the language, CacheError when the cache cannot be written.
    """
    mark = f"{entries.fingerprint(metadata, language)}-{rule}-{LAYOUT}"
    file = cache() / f"{language}-{mark}.index"
    if not file.exists():
        with _alone(file):
            if not file.exists():
                write(build(entries.load(metadata, language), rule), file)
    return read(file)


def cache() -> Path:
    """The folder where indexes are kept, for this user alone. Raises CacheError when it cannot be made."""
    root = os.environ.get("CURATE_CACHE") or os.path.join(os.path.expanduser("~"), ".cache", "curate")
    try:
        os.makedirs(root, mode=0o700, exist_ok=True)
    except OSError as error:
        raise CacheError(
            f"{root}: {error.strerror}; name a folder for indexes that can be written: CURATE_CACHE=..."
        ) from error
    return Path(root)


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Lets one process of the machine through at a time; a process that dies lets the next one in."""
    with open(file.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class Place(msgspec.Struct, frozen=True):
    """Where an array stands in an index file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int


def write(index: Index, file: Path) -> None:
    """Writes an index, whole or not at all: the length of the directory, the directory as JSON, the arrays."""
    arrays = dict(_flat("", index))
    places, offset = [], 0
    for name, array in arrays.items():
        places.append(Place(name, array.dtype.str, array.shape, offset))
        offset += -(-array.nbytes // LINE) * LINE
    directory = msgspec.json.encode(places)
    directory += b" " * (-(8 + len(directory)) % LINE)
    temporary = file.with_name(f".{file.name}.{uuid.uuid4().hex}.tmp")
    try:
        with open(temporary, "wb") as out:
            out.write(len(directory).to_bytes(8, "little") + directory)
            for array in arrays.values():
                out.write(np.ascontiguousarray(array).data)
                out.write(b"\0" * (-array.nbytes % LINE))
        os.replace(temporary, file)
    except OSError as error:
        raise CacheError(f"{file}: {error.strerror}; name a folder with more room: CURATE_CACHE=...") from error
    finally:
        temporary.unlink(missing_ok=True)


def read(file: Path) -> Index:
    """The index in a file, its arrays mapped and not read."""
    data = np.asarray(np.memmap(file, np.uint8, mode="r"))
    size = int.from_bytes(data[:8].tobytes(), "little")
    found: dict[str, np.ndarray] = {}
    for place in msgspec.json.decode(data[8 : 8 + size].tobytes(), type=list[Place]):
        dtype, start = np.dtype(place.dtype), 8 + size + place.offset
        length = dtype.itemsize * int(np.prod(place.shape))
        found[place.name] = data[start : start + length].view(dtype).reshape(place.shape)
    return _nested("", Index, found)


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, np.ndarray]]:
    if isinstance(value, tuple):
        for name, inner in zip(value._fields, value, strict=True):  # type: ignore[attr-defined]
            yield from _flat(f"{prefix}.{name}", inner)
    elif value is not None:
        yield prefix, np.asarray(value)


KINDS: dict[str, type] = {
    ".words": WordIndex,
    ".characters": CharacterIndex,
    ".words.trie": Trie,
    ".characters.trie": Trie,
}


def _nested(prefix: str, kind: type, arrays: dict[str, np.ndarray]) -> Any:
    values = []
    for name in kind._fields:  # type: ignore[attr-defined]
        place = f"{prefix}.{name}"
        if place in KINDS:
            there = any(found.startswith(place + ".") for found in arrays)
            values.append(_nested(place, KINDS[place], arrays) if there else None)
        else:
            array = arrays.get(place)
            values.append(int(array[()]) if array is not None and array.ndim == 0 else array)
    return kind(*values)
