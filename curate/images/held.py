"""Images at hand, among those that are fetched: the same checks, facts and statuses, and no request."""

from collections.abc import Collection, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple, Protocol

import pyarrow as pa

from curate.images.decoding import ImageError
from curate.images.fetched import Batch, Fetched, Session, Spool, Trail, Wanted
from curate.images.inspecting import inspect
from curate.images.status import Ending
from curate.recipe import Download

NOT_AT_HAND = "not_at_hand"


class Place(NamedTuple):
    """Where the bytes of an image are, by the columns of `pairs`."""

    crawl_file: str
    member: str
    record_offset: int


class Shelf(Protocol):
    """Gives members of files of the pool; see `curate.pools.members`."""

    def read(
        self, file: str, places: Sequence[tuple[str, int]], limit: int
    ) -> Iterator[tuple[tuple[str, int], bytes | ValueError]]:
        """Each place with its bytes, or what is wrong with it."""


def places(rows: pa.Table, refused: Sequence[object | None]) -> dict[str, Place]:
    """Where images are at hand, by image_uid: of several rows the first that has a member and is not `refused`."""
    found: dict[str, Place] = {}
    columns = (rows[name].to_pylist() for name in ("image_uid", "crawl_file", "member", "record_offset"))
    for image, file, member, offset, refusal in zip(*columns, refused, strict=True):
        if member is not None and refusal is None:
            found.setdefault(image, Place(file, member, offset))
    return found


def start(
    work: Session, wanted: Sequence[Wanted], at_hand: dict[str, Place], shelf: Shelf, settings: Download
) -> Batch:
    """Begins to fetch what is not at hand; what is, is read when the answers are asked for."""
    fetched = work.start([item for item in wanted if item.image not in at_hand])
    if not at_hand:
        return fetched
    order = [item.image for item in wanted]
    return _Mixed(order, fetched, {image: at_hand[image] for image in order if image in at_hand}, shelf, settings)


class _Mixed:
    """A batch of both; its images come in the order in which they were wanted."""

    def __init__(self, order: list[str], fetched: Batch, held: dict[str, Place], shelf: Shelf, settings: Download):
        self._order, self._fetched, self._held, self._shelf, self._settings = order, fetched, held, shelf, settings
        self._spool = Spool()

    def result(self) -> dict[str, Fetched]:
        found: dict[str, Fetched] = {}
        for file, group in groupby(sorted(self._held.items(), key=lambda item: item[1]), key=lambda item: item[1][0]):
            images: dict[tuple[str, int], list[str]] = {}
            for image, place in group:
                images.setdefault((place.member, place.record_offset), []).append(image)
            for where, data in self._shelf.read(file, list(images), self._settings.max_bytes):
                for image in images[where]:
                    found[image] = self._judged(image, data)
        fetched = self._fetched.result()
        return {image: (found if image in found else fetched)[image] for image in self._order}

    def _judged(self, image: str, data: bytes | ValueError) -> Fetched:
        if isinstance(data, ValueError):
            return Fetched(Ending(getattr(data, "status", NOT_AT_HAND), None, _words(data)))
        trail = Trail(nbytes=len(data))
        try:
            facts = inspect(data, self._settings.max_pixels)
        except ImageError as error:
            return Fetched(Ending(error.status, None, _words(error)), trail=trail)
        # Its source's sha256 is no reason to refuse it: shards hold images that were made smaller after they were hashed.
        self._spool.put(image, data)
        return Fetched(Ending(None), facts, trail)

    def bodies(self, images: Collection[str]) -> Iterator[tuple[str, bytes]]:
        others = self._fetched.bodies([image for image in images if image not in self._held])
        following = next(others, None)
        for image in self._order:
            if image in self._held and image in images and image in self._spool:
                yield image, self._spool.get(image)
            elif following is not None and following[0] == image:
                yield following
                following = next(others, None)

    def close(self) -> None:
        self._fetched.close()
        self._spool.close()


def _words(error: Exception) -> str:
    return str(error).encode("utf-8", "replace").decode()[:200]
