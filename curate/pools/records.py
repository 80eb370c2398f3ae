"""The records of an archive file, found again after each place where the file is broken."""

import zlib
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any, BinaryIO, NamedTuple

from fastwarc import ArchiveIterator, WarcRecordType
from fastwarc.warc import WarcHeader

from curate.pools.candidates import Account

_GZIP, _ZSTD, _LZ4, _PLAIN = b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18", b"WARC/1."
RESPONSE, METADATA = int(WarcRecordType.response), int(WarcRecordType.metadata)
WANTED = (RESPONSE, METADATA)
# Asked for by name, a header takes five times as long: as much as all that is done with a record here.
_LENGTH, _URL = WarcHeader.CONTENT_LENGTH, WarcHeader.WARC_TARGET_URI
MAX_ATTEMPTS = 1000
"""Places in a row that look like the start of a member and are none, before the rest of a file is given up."""
_CHUNK = 1 << 20


class Record(NamedTuple):
    """A record that may hold a page."""

    response: bool
    """An HTTP response, or else metadata about one."""
    url: str
    offset: int
    """Byte offset in the file, compressed as it is."""
    block: bytes


def records(file: BinaryIO, name: str, limit: int, account: Account) -> Iterator[Record]:
    """Yields the response and metadata records of a seekable archive file.

    Into the account go: `records` and `other_records` (those of other types) as notes; records that are
    longer than `limit` bytes, cut off or unreadable as `bad_record`; and the places where the file is broken.
    Raises what the storage raises: a lost connection is no fault of the data.
    """
    source, marker = _Source(file), _marker(file, name)
    starts: Iterator[int] = iter((0,))
    while (start := next(starts, None)) is not None:
        file.seek(start)
        last, inside = None, False
        seen = passed = 0
        try:
            for raw in _iterate(source):
                last, inside = raw.stream_pos, True
                length, kind, block = _length(raw), raw.record_type, None
                seen += 1
                if kind not in WANTED:
                    raw.consume()
                    passed += 1
                elif length > limit:
                    account.failed["bad_record"] += 1
                else:
                    block = _block(raw, length)
                inside = False
                if block is not None:
                    yield Record(kind == RESPONSE, _url(raw), last, block)
            _check_end(file, name, marker, last, account)
            return
        except (OSError, ValueError) as error:
            if source.error is not None:
                raise source.error from None
            if last is None and start:
                continue  # It only looked like a member; the break before it is in the account already.
            starts = islice(_find(file, marker, 1 if last is None else last + 1), MAX_ATTEMPTS)
            offset = last or 0
            if last is not None and not inside:
                # Between two records: either what follows is broken, or bytes before it that belong to none.
                following = list(islice(starts, 1))
                offset, starts = (following or [last])[0], chain(following, starts)
            account.failed["bad_record"] += 1
            account.broken(name, offset, str(error))
        finally:
            # The notes of each record at once took as long as its headers.
            account.notes.update({note: n for note, n in (("records", seen), ("other_records", passed)) if n})


class _Source:
    """The file under fastwarc, which tells errors of the storage from errors of the data."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self.error: Exception | None = None

    def read(self, size: int = -1) -> bytes:
        try:
            return self._file.read(size)
        except Exception as error:
            self.error = error
            raise

    def tell(self) -> int:
        return self._file.tell()


def _iterate(source: _Source) -> Iterator[Any]:
    return iter(ArchiveIterator(source, parse_http=False))  # type: ignore[arg-type]


def _length(raw: Any) -> int:
    length: int = raw.content_length
    if not length and _LENGTH not in raw.headers:
        raise ValueError("a record without Content-Length")
    return length


def _block(raw: Any, length: int) -> bytes:
    block: bytes = raw.reader.read(length)
    if len(block) < length:
        raise ValueError(f"the file ends after {len(block)} of the record's {length} bytes")
    return block


def _url(raw: Any) -> str:
    # wget writes the address in angle brackets, as the standard's own examples once did.
    return (raw.headers.get(_URL) or "").strip().removeprefix("<").removesuffix(">")


def _check_end(file: BinaryIO, name: str, marker: bytes, last: int | None, account: Account) -> None:
    """Notes a file that ends inside a gzip member: fastwarc takes a cut trailer or header for the end of the file."""
    if last is None:
        account.broken(name, 0, "the file holds no record")
        return
    file.seek(last)
    rest = file.read(_CHUNK)
    if not rest.startswith(_GZIP):
        return  # Not compressed by the record.
    at = last
    while rest:
        try:
            rest = _after_member(file, rest)
        except (EOFError, zlib.error) as error:
            if at != last:  # A record begins here; the last one was read whole.
                account.failed["bad_record"] += 1
            account.broken(name, at, str(error))
            return
        rest = rest or file.read(_CHUNK)
        at = file.tell() - len(rest)


def _after_member(file: BinaryIO, data: bytes) -> bytes:
    """What of the bytes read stands behind the gzip member that `data` begins. Raises EOFError or zlib.error."""
    member = zlib.decompressobj(wbits=31)
    while not member.eof:
        if not data and not (data := file.read(_CHUNK)):
            raise EOFError("the file ends inside a gzip member")
        member.decompress(data, _CHUNK)  # In pieces: a member may be far larger than it looks.
        data = member.unconsumed_tail
    return member.unused_data


def _marker(file: BinaryIO, name: str) -> bytes:
    """The bytes that members or records of this file start with, by its first bytes or else by its name."""
    head = file.read(len(_PLAIN))
    known = [marker for marker in (_GZIP, _ZSTD, _LZ4, _PLAIN) if head.startswith(marker)]
    return known[0] if known else _GZIP if name.endswith(".gz") else _PLAIN


def _find(file: BinaryIO, marker: bytes, at: int) -> Iterator[int]:
    """Offsets from `at` on where the marker stands, ascending. Moves the file's position."""
    overlap = len(marker) - 1
    while True:
        file.seek(at)
        chunk = file.read(_CHUNK)
        found = chunk.find(marker)
        while found >= 0:
            yield at + found
            found = chunk.find(marker, found + 1)
        if len(chunk) < _CHUNK:
            return
        at += _CHUNK - overlap
