"""Bodies as they arrive: unpacked, counted, and kept in memory only while they are small."""

import tempfile
import zlib
from collections.abc import Iterable, Iterator
from typing import IO, Any

from curate.images.status import FetchError

IN_MEMORY = 1 << 20
"""Bytes of one body that are held in memory while it arrives; what many requests in flight may take is bounded so."""
_PIECE = 1 << 16


class DiskError(OSError):
    """This machine cannot hold what came: no fault of any image."""


class Body:
    """A body within `max_bytes`, both as it is sent and unpacked."""

    def __init__(self, max_bytes: int, codings: str | None = None, cut: bool = False):
        """`codings`: the value of Content-Encoding. `cut`: the first bytes are enough, and what follows them is no error.

        Raises FetchError (bad_encoding) for a coding that is not known.
        """
        self._max, self._unpack, self._cut = max_bytes, _unpacker(codings), cut
        self._sent = self.size = 0
        self._held = bytearray()
        self._file: IO[bytes] | None = None

    def add(self, data: bytes) -> None:
        """Raises FetchError: too_many_bytes, bad_encoding; DiskError."""
        self._sent += len(data)
        if self._unpack is None:
            self._keep(data)
            return
        if not self._cut:
            self._count(self._sent)
        try:
            for piece in self._unpack.feed(data):
                self._keep(piece)
                if self.full:
                    return
        except FetchError:
            if not self._cut or self._sent > len(data) or self.size:
                raise
            # A file of rules that is not packed at all, whatever its headers say.
            self._unpack = None
            self._keep(data)

    @property
    def full(self) -> bool:
        """Whether there is enough of a body that may be cut."""
        return self._cut and self.size >= self._max

    def end(self) -> None:
        """Nothing more comes. FetchError (bad_encoding) when the packed body is not whole."""
        if self._unpack is not None and self._sent and not self._unpack.whole and not self.full:
            raise FetchError("bad_encoding", "the packed body ends before its time", 200)

    def read(self) -> bytes:
        """All bytes; once, since that frees them."""
        if self._file is None:
            data, self._held = bytes(self._held), bytearray()
            return data
        with self._file as file:
            file.seek(0)
            return file.read()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _keep(self, piece: bytes) -> None:
        if self._cut:
            piece = piece[: self._max - self.size]
        self.size += len(piece)
        self._count(self.size)
        if self._file is None and len(self._held) + len(piece) <= IN_MEMORY:
            self._held += piece
            return
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="curate-body-")  # noqa: SIM115 - closed by read or close
                self._file.write(self._held)
                self._held = bytearray()
            self._file.write(piece)
        except OSError as error:
            raise DiskError(
                error.errno, f"a body cannot be kept in {tempfile.gettempdir()}: {error.strerror}"
            ) from error

    def _count(self, size: int) -> None:
        if size > self._max:
            raise FetchError("too_many_bytes", f"the body has more than {self._max} bytes", 200)


class _Inflate:
    """gzip and deflate, a piece at a time: a bomb is noticed when its first pieces are over the limit."""

    def __init__(self, window: int):
        self._window = window
        self._object: Any = None
        self.whole = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self._object is None:
            self._object = zlib.decompressobj(self._bits(data))
        while data and not self.whole:
            try:
                piece = self._object.decompress(data, _PIECE)
            except zlib.error as error:
                raise FetchError("bad_encoding", "the body is not packed as its headers say", 200) from error
            data, self.whole = self._object.unconsumed_tail, self._object.eof
            if piece:
                yield piece

    def _bits(self, data: bytes) -> int:
        # "deflate" is zlib's format by the standard, and the bare stream from some servers.
        bare = self._window == zlib.MAX_WBITS and (data[0] & 0x0F) != 8
        return -zlib.MAX_WBITS if bare else self._window


def _unpacker(codings: str | None) -> _Inflate | None:
    names = [name for name in _words(codings or "") if name != "identity"]
    if not names:
        return None
    windows = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
    if len(names) > 1 or names[0] not in windows:
        raise FetchError("bad_encoding", f"the body is packed as {', '.join(names)[:80]}, which was not asked for", 200)
    return _Inflate(windows[names[0]])


def _words(text: str) -> Iterable[str]:
    return filter(None, (word.strip().lower() for word in text.split(",")))
