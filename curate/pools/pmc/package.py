"""Packages (`PMC1234567.tar.gz`, or any tar of articles) read as a stream: nothing is unpacked, and nothing is believed.

A package may promise sizes that it does not have, unfold to a thousand times its size, or hold links and names that lead
elsewhere. Reading goes forwards only; what unfolds beyond MAX_RATIO, and each piece over the limit, ends it with what was read.
"""

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from typing import IO, Any, BinaryIO, NamedTuple

from curate.pools import files

MAX_RATIO, ALLOWANCE = 100, 64 * 2**20
"""A package may unfold to ALLOWANCE bytes and MAX_RATIO times its size; images hardly unfold, XML to about eight times."""
_CHUNK = 1 << 20
_BROKEN = (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, RecursionError, UnicodeError)


class PackageError(ValueError):
    """A package is broken at `offset` of its unfolded bytes."""

    def __init__(self, message: str, offset: int):
        super().__init__(message)
        self.offset = offset


class Member(NamedTuple):
    """A regular file of a package; `read` must be called before the next one is asked for."""

    name: str
    offset: int
    size: int
    read: Any
    """() -> bytes. Raises PackageError."""


def members(file: BinaryIO, size: int, limit: int, skipped: dict[str, int]) -> Iterator[Member]:
    """Yields the regular files of a tar, compressed by gzip or not, in order; `size` is that of the compressed file.

    Links, devices and unsafe names are counted in `skipped` (`other_members`, `unsafe_members`). Raises PackageError where the
    package breaks off, also when only its end is missing; and what the storage raises.
    """
    source = _Forward(file, MAX_RATIO * size + ALLOWANCE, limit)
    try:
        tar = tarfile.open(fileobj=source, mode="r:", errorlevel=2)  # type: ignore[call-overload]  # noqa: SIM115
        while (info := tar.next()) is not None:
            tar.members.clear()  # It would keep each header that it has seen.
            name = files.safe(info.name) if info.isreg() and not info.issparse() else None
            if name is not None:
                yield Member(name, info.offset, info.size, lambda info=info: _read(source, info, limit))
            elif not info.isdir():
                key = "unsafe_members" if info.isreg() else "other_members"
                skipped[key] = skipped.get(key, 0) + 1
        source.check_end()
    except _BROKEN as error:
        raise PackageError(f"{type(error).__name__}: {error}", source.tell()) from error


def too_large(size: int, limit: int) -> str:
    return f"{size} bytes are more than the limit of {limit}"


def _read(source: "_Forward", info: tarfile.TarInfo, limit: int) -> bytes:
    if info.size > limit:
        raise PackageError(f"{info.name}: {too_large(info.size, limit)}", info.offset)
    try:
        source.seek(info.offset_data)
        data = source.read(info.size)
    except _BROKEN as error:
        raise PackageError(f"{info.name}: {error}", info.offset) from error
    if len(data) < info.size:
        raise PackageError(f"{info.name}: the package ends after {len(data)} of {info.size} bytes", info.offset)
    return data


class _Forward:
    """The unfolded bytes under tarfile, which seeks one byte back at most: it looks for the last byte of each member."""

    def __init__(self, file: BinaryIO, total: int, limit: int):
        head = file.read(2)
        file.seek(0)
        self._file: IO[bytes] = gzip.GzipFile(fileobj=file) if head == b"\x1f\x8b" else file  # type: ignore[assignment]
        self._total, self._limit = total, limit
        self._at, self._last, self._again, self._block = 0, b"", False, b""

    def tell(self) -> int:
        return self._at - self._again

    def seek(self, at: int, whence: int = 0) -> int:
        if at == self._at - 1 and self._last:
            self._again = True
            return at
        if at < self.tell():
            raise tarfile.ReadError(f"a member begins at {at}, before the last one ends")
        self._again = False
        while self._at < at and self._take(min(at - self._at, _CHUNK)):
            pass
        return self._at

    def read(self, size: int = -1) -> bytes:
        if size < 0 or size > max(self._limit, _CHUNK):
            # tarfile reads long headers whole, whatever size they claim.
            raise tarfile.ReadError(f"a piece of {size} bytes is more than the limit of {self._limit}")
        first = self._last if self._again and size else b""
        self._again = self._again and not size
        pieces = [first]
        missing = size - len(first)
        while missing > 0 and (piece := self._take(min(missing, _CHUNK))):
            pieces.append(piece)
            missing -= len(piece)
        self._block = b"".join(pieces)
        return self._block

    def check_end(self) -> None:
        """Raises ReadError for a package that does not end as one: tarfile takes a broken header for the end."""
        if self._block.strip(b"\0") or len(self._block) < tarfile.BLOCKSIZE:
            raise tarfile.ReadError("the package ends without the mark of its end, or a header is broken")
        while self._take(_CHUNK):
            pass

    def _take(self, size: int) -> bytes:
        data = self._file.read(size)
        self._at += len(data)
        if self._at > self._total:
            raise tarfile.ReadError(f"the package unfolds to more than {self._total} bytes, {MAX_RATIO} times its size")
        self._last = data[-1:] or self._last
        return data
