"""Members of a tar as they stand, headers only: nothing is unpacked, and nothing that a header says is believed."""

import tarfile
from collections.abc import Iterator
from typing import BinaryIO

from curate.pools.beside import MemberError
from curate.pools.candidates import Account, repaired

MAX_HEADER = 2**20
"""Bytes of a long name or a pax header; tarfile would read them whole, whatever size they claim."""
_BLOCK, _STEP = tarfile.BLOCKSIZE, 2**20
_BROKEN = (tarfile.TarError, RecursionError, UnicodeError, OverflowError, ValueError)


def members(opened: BinaryIO, name: str, size: int, account: Account) -> Iterator[tarfile.TarInfo]:
    """The headers of a tar of `size` bytes, in order; what stands between and behind them must be nothing.

    Where the file is broken the place goes into the account, and reading goes on at the next header that can be read: a damaged
    header costs its member. A member that ends behind the file is not given.
    """
    file, expected = _Bounded(opened), 0
    while expected < size:
        file.seek(at := expected)
        try:
            # Zeros are no end here, nor is a block that is no header: tarfile would stop at either without a word.
            tar = tarfile.open(fileobj=file, mode="r:", ignore_zeros=True)  # type: ignore[call-overload]  # noqa: SIM115
            while (info := tar.next()) is not None:
                tar.members.clear()  # It would keep each header that it has seen.
                _check_gap(opened, name, expected, info.offset, account)
                at, expected = info.offset, max(tar.offset, info.offset_data)
                if info.size < 0 or (info.isreg() and not info.issparse() and info.offset_data + info.size > size):
                    raise tarfile.ReadError(f"{info.name!r} is to have {info.size} bytes, and the file ends at {size}")
                yield info
            _check_gap(opened, name, expected, size, account)
            return
        except _BROKEN as error:
            account.failed["bad_record"] += 1
            account.broken(name, at, f"{type(error).__name__}: {error}")
            expected = max(expected, at + _BLOCK, min(file.tell(), size) // _BLOCK * _BLOCK)


def read_at(opened: BinaryIO, path: str, member: str, offset: int, limit: int) -> bytes:
    """The bytes of a member of a tar, which begin at `offset`. Raises MemberError when what stands there is another one."""
    opened.seek(max(offset - _BLOCK, 0))
    header = opened.read(min(offset, _BLOCK))
    try:
        info = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
    except tarfile.TarError as error:
        raise MemberError(f"{path}: no header of {member!r} before byte {offset}: {error}") from error
    # A long name stands in a header of its own; the one before the bytes has its beginning, as far as it is ASCII.
    short = header[:100].rstrip(b"\0")
    if repaired(info.name) != member and not (
        (len(short) >= 99 and member.encode("utf-8").startswith(short))
        or short == member.encode("ascii", "replace")[:100]
    ):
        raise MemberError(f"{path}: {repaired(info.name)!r} stands before byte {offset}, and not {member!r}")
    if info.size > limit:
        raise MemberError(f"{path}: {member}: {info.size} bytes are more than the limit of {limit}", "too_many_bytes")
    data = opened.read(max(info.size, 0))
    if len(data) < info.size:
        raise MemberError(f"{path}: {member}: the file ends after {len(data)} of {info.size} bytes")
    return data


class _Bounded:
    """A file under tarfile that gives no more at once than a header may have."""

    def __init__(self, file: BinaryIO):
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= MAX_HEADER:
            raise tarfile.ReadError(f"a header of {size} bytes is more than {MAX_HEADER}")
        return self._file.read(size)

    def seek(self, at: int, whence: int = 0) -> int:
        return self._file.seek(at, whence)

    def tell(self) -> int:
        return self._file.tell()


def _check_gap(opened: BinaryIO, name: str, start: int, end: int, account: Account) -> None:
    """Notes a place between two members that holds anything but zeros."""
    if end > start and _holds(opened, start, end):
        account.failed["bad_record"] += 1
        account.broken(name, start, f"{end - start} bytes that are no member")


def _holds(opened: BinaryIO, start: int, end: int) -> bool:
    before = opened.tell()
    opened.seek(start)
    found = False
    while start < end and not found and (step := opened.read(min(_STEP, end - start))):
        found, start = bool(step.strip(b"\0")), start + len(step)
    opened.seek(before)
    return found
