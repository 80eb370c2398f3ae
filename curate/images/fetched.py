"""What goes into a fetcher and what comes out: plain values, the same for every engine."""

import tempfile
import threading
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from curate.images.bodies import DiskError
from curate.images.inspecting import Facts
from curate.images.status import Ending

SHA256_DIFFERS = "sha256_differs"
_IN_MEMORY = 64 * 2**20
"""Bytes of the images of one batch that are held in memory; more of them wait on the local disk."""


class Wanted(NamedTuple):
    """An image to fetch, once, whatever the number of its texts."""

    image: str
    """Its image_uid."""
    url: str
    known: tuple[str, ...] = ()
    """sha256 that sources give it, hex."""


@dataclass(frozen=True)
class Trail:
    """How its answer was come by, whether it was an image or not."""

    final_url: str | None = None
    """Where it was, when that is not where it was asked for."""
    redirects: int | None = None
    """None: no server answered."""
    content_type: str | None = None
    """As the server says, at most 100 characters."""
    nbytes: int | None = None
    """Of a whole body, unpacked."""


@dataclass(frozen=True)
class Times:
    """What differs from one run to the next."""

    elapsed: float = 0.0
    """Seconds at servers, over all requests."""
    waited: float = 0.0
    """Seconds in line: for the host's turn, and before it was asked again."""
    requests: int = 0


@dataclass(frozen=True)
class Fetched:
    """An image's ending, and its facts when it ended well."""

    ending: Ending
    facts: Facts | None = None
    trail: Trail = Trail()
    times: Times | None = None
    """None: nobody asked, or nobody took the time."""


class Batch(Protocol):
    """Images that were asked for together."""

    def result(self) -> dict[str, Fetched]:
        """Waits for all of them; each by its image_uid. OSError when this machine fails."""

    def bodies(self, images: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """(image_uid, bytes) of those that ended well and are in `images`, in the order in which they were wanted."""

    def close(self) -> None:
        """Frees what the batch holds."""


class Session(Protocol):
    """A fetcher at work. What it was told by hosts the next one of its process remembers, where the engine can do that."""

    def start(self, images: Sequence[Wanted]) -> Batch:
        """Begins to fetch images and returns at once, where the engine can do that."""

    def close(self) -> None:
        """Ends whatever is under way."""


def differs(facts: Facts, known: Sequence[str]) -> bool:
    """Whether the bytes are none of those that sources have seen."""
    return bool(known) and facts.sha256 not in {text.lower() for text in known}


class Spool:
    """Bytes of the images of one batch, as they come; read back in another order. Safe among threads."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY, prefix="curate-download-")  # noqa: SIM115
        self._places: dict[str, tuple[int, int]] = {}
        self._lock = threading.Lock()
        self._end = 0

    def put(self, image: str, data: bytes) -> None:
        """Raises DiskError."""
        try:
            with self._lock:
                self._file.seek(self._end)
                self._file.write(data)
                self._places[image] = (self._end, len(data))
                self._end += len(data)
        except OSError as error:
            raise DiskError(
                error.errno, f"images cannot be kept in {tempfile.gettempdir()}: {error.strerror}"
            ) from error

    def __contains__(self, image: str) -> bool:
        return image in self._places

    def get(self, image: str) -> bytes:
        start, size = self._places[image]
        with self._lock:
            self._file.seek(start)
            return self._file.read(size)

    def close(self) -> None:
        self._file.close()
