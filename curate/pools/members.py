"""The bytes of images at hand: which reader's files hold them, and how those are read."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import fsspec
import msgspec

from curate.pools import readers, slides, tar_members
from curate.pools.beside import MemberError, read_beside
from curate.pools.inputs import Input
from curate.pools.pmc.members import read_members

Place = tuple[str, int]
"""(member, record_offset) of a row."""
Answer = tuple[Place, bytes | MemberError]
Read = Callable[[str, Sequence[Place], int], Iterator[Answer]]


def _of_tar(path: str, places: Sequence[Place], limit: int) -> Iterator[Answer]:
    with fsspec.open(path, "rb") as opened:
        for place in sorted(places, key=lambda place: place[1]):
            yield place, _or_error(tar_members.read_at, opened, path, *place, limit)


def _of_package(path: str, places: Sequence[Place], limit: int) -> Iterator[Answer]:
    by_name: dict[str, list[Place]] = {}
    for place in places:
        by_name.setdefault(place[0], []).append(place)
    for name, data in read_members(path, by_name, limit):
        yield from ((place, data) for place in by_name[name])


def _of_folder(path: str, places: Sequence[Place], limit: int) -> Iterator[Answer]:
    for place in places:
        yield place, _or_error(read_beside, path, place[0], limit)


def _of_slide(path: str, places: Sequence[Place], limit: int) -> Iterator[Answer]:
    try:
        with slides.opened(path) as slide:
            for place in places:
                yield place, _or_error(slides.read_member, slide, place[0], limit)
    except FileNotFoundError:
        raise
    except OSError as error:
        yield from ((place, MemberError(str(error))) for place in places)


READ: dict[str, Read] = {"tar": _of_tar, "pmc": _of_package, "labels": _of_folder, "slides": _of_slide}
"""By the reader of a file: gives each place once, in any order, with its bytes or what is wrong with it."""


class Shelf(msgspec.Struct, frozen=True):
    """Where the files of a pool are now, by the names that rows call them; a pool may have moved."""

    files: dict[str, tuple[str, str]]
    """{crawl_file: (path, reader)}"""

    @classmethod
    def of(cls, files: Iterable[Input]) -> "Shelf":
        return cls({file.name: (file.path, readers.kind(file)) for file in files})

    def read(self, file: str, places: Sequence[Place], limit: int) -> Iterator[Answer]:
        """The bytes of members of a file, of at most `limit` bytes each, one at a time. Raises what the storage raises."""
        path, kind = self.files.get(file, ("", ""))
        if kind not in READ:
            why = f"{file} is a file of the reader {kind!r}, which holds no images" if kind else _gone(file)
            yield from ((place, MemberError(why)) for place in places)
            return
        try:
            yield from READ[kind](path, places, limit)
        except FileNotFoundError as error:
            yield from ((place, MemberError(f"{path}: {error}")) for place in places)


def _gone(file: str) -> str:
    return f"{file} is none of the files that extract.inputs and extract.sources name; say there where the pool is now"


def _or_error(read: Callable[..., bytes], *where: object) -> bytes | MemberError:
    try:
        return read(*where)
    except MemberError as error:
        return error
