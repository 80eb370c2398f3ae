"""Files of flat arrays on this machine: made by the first process that asks, memory-mapped and shared by all.

They are kept in CURATE_CACHE (by default `~/.cache/curate`), and any of them may be removed at any time. The kernels believe what
stands in these arrays, so the folder has to be this user's own, and a file is held to its checksum whenever it is opened: one that a
full disk or a crash left behind, or that was renamed, is made anew.
"""

import fcntl
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_IWGRP, S_IWOTH
from typing import Any, TypeVar, get_args, get_type_hints

import msgspec
import numpy as np
import xxhash

from curate import CurateError

LINE = 64
"""Arrays begin at the beginning of a cache line."""
CHECKSUM, HEAD = 8, 16
"""Bytes before what the checksum is of, and before the directory, whose length stands between."""
PIECE = 1 << 20
"""What is read at a time for the checksum. Not through the mapping, whose pages would count as this process's memory."""

Kept = TypeVar("Kept", bound=tuple)


class CacheError(CurateError, RuntimeError):
    """A file cannot be kept; the message says where and what to do."""


class Damaged(CacheError):
    """A file is not the one that was written under its name."""


class Place(msgspec.Struct, frozen=True):
    """Where an array stands in a file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int


class Directory(msgspec.Struct, frozen=True):
    """What a file holds, and the name that it was written under."""

    file: str
    arrays: list[Place]


def folder() -> Path:
    """The folder of the files, of this user and for this user alone to write; made where there is none.

    Raises CacheError when it cannot be made, or when others could have put something there.
    """
    root = os.environ.get("CURATE_CACHE") or os.path.join(os.path.expanduser("~"), ".cache", "curate")
    try:
        os.makedirs(root, mode=0o700, exist_ok=True)
        status = os.stat(root)
    except OSError as error:
        raise CacheError(
            f"{root}: {error.strerror}; name a folder for indexes that can be written: CURATE_CACHE=..."
        ) from error
    if status.st_uid != os.geteuid():
        whose = f"belongs to user {status.st_uid}, and this is user {os.geteuid()}"
    elif status.st_mode & (S_IWGRP | S_IWOTH):
        whose = f"can be written by others (mode {status.st_mode & 0o777:o})"
    else:
        return Path(root)
    raise CacheError(
        f"{root} {whose}: indexes are taken from a folder of one's own; name one that is, or that is still to be made: CURATE_CACHE=..."
    )


def kept(file: Path, kind: type[Kept], make: Callable[[], Kept]) -> Kept:
    """The arrays in a file; where there is none, or it is damaged, `make` is asked and the answer kept.

    Raises CacheError when the folder or its file system does not take the file.
    """
    with suppress(OSError, Damaged):
        return read(file, kind)
    with _alone(file):
        # Another process may have made it meanwhile.
        with suppress(OSError, Damaged):
            return read(file, kind)
        write(make(), file)
    return read(file, kind)


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Lets one process of the machine through at a time; a process that dies lets the next one in."""
    try:
        lock = open(file.with_suffix(".lock"), "w")  # noqa: SIM115
    except OSError as error:
        raise CacheError(
            f"{file.parent}: {error.strerror}; name a folder that can be written: CURATE_CACHE=..."
        ) from error
    with lock:
        # Some network file systems have no locks. Two then make the same file, and either is good.
        with suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def write(value: Any, file: Path) -> None:
    """Writes a named tuple of arrays, whole or not at all: checksum, length of the directory, directory as JSON, arrays.

    Raises CacheError when the file cannot be written.
    """
    arrays, places, offset = dict(flat("", value)), [], 0
    for name, array in arrays.items():
        places.append(Place(name, array.dtype.str, array.shape, offset))
        offset += -(-array.nbytes // LINE) * LINE
    directory = msgspec.json.encode(Directory(file.name, places))
    directory += b" " * (-(HEAD + len(directory)) % LINE)
    temporary = file.with_name(f".{file.name}.{uuid.uuid4().hex}.tmp")
    checksum = xxhash.xxh3_64()
    try:
        with open(temporary, "wb") as out:
            out.write(bytes(CHECKSUM))
            for piece in _pieces(directory, arrays.values()):
                checksum.update(piece)
                out.write(piece)
            out.seek(0)
            out.write(checksum.digest())
        os.replace(temporary, file)
    except OSError as error:
        raise CacheError(f"{file}: {error.strerror}; name a folder with more room: CURATE_CACHE=...") from error
    finally:
        temporary.unlink(missing_ok=True)


def _pieces(directory: bytes, arrays: Any) -> Iterator[Any]:
    yield len(directory).to_bytes(HEAD - CHECKSUM, "little") + directory
    for array in arrays:
        yield np.ascontiguousarray(array).data
        yield b"\0" * (-array.nbytes % LINE)


def read(file: Path, kind: type[Kept]) -> Kept:
    """The named tuple in a file, its arrays mapped. Raises Damaged, or FileNotFoundError when there is none."""
    checksum = xxhash.xxh3_64()
    with open(file, "rb") as stored:
        expected = stored.read(CHECKSUM)
        while piece := stored.read(PIECE):
            checksum.update(piece)
    if expected != checksum.digest():
        raise Damaged(f"{file}: its checksum is another")
    data = np.asarray(np.memmap(file, np.uint8, mode="r"))
    start = HEAD + int.from_bytes(data[CHECKSUM:HEAD].tobytes(), "little")
    directory = msgspec.json.decode(data[HEAD:start].tobytes(), type=Directory)
    if directory.file != file.name:
        raise Damaged(f"{file}: was written as {directory.file}")
    arrays = {}
    for place in directory.arrays:
        dtype, at = np.dtype(place.dtype), start + place.offset
        length = dtype.itemsize * int(np.prod(place.shape))
        arrays[place.name] = data[at : at + length].view(dtype).reshape(place.shape)
    return _nested("", kind, arrays)


def flat(prefix: str, value: Any) -> Iterator[tuple[str, np.ndarray]]:
    """The arrays of a named tuple and of those inside it, by their names joined with dots."""
    if isinstance(value, tuple):
        for name, inner in zip(value._fields, value, strict=True):  # type: ignore[attr-defined]
            yield from flat(f"{prefix}.{name}", inner)
    elif value is not None:
        yield prefix, np.asarray(value)


def _nested(prefix: str, kind: Any, arrays: dict[str, np.ndarray]) -> Any:
    """The tuple whose arrays have names that begin so; what has none is None."""
    values = []
    for name, hint in get_type_hints(kind).items():
        place, inner = f"{prefix}.{name}", [one for one in (hint, *get_args(hint)) if hasattr(one, "_fields")]
        if inner:
            there = any(found.startswith(place + ".") for found in arrays)
            values.append(_nested(place, inner[0], arrays) if there else None)
        else:
            array = arrays.get(place)
            values.append(int(array[()]) if array is not None and array.ndim == 0 else array)
    return kind(*values)
