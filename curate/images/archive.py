"""The bytes of fetched images: one tar beside each part of `images`, each image once, in the order of the rows."""

import heapq
import io
import tarfile
from collections.abc import Iterator
from typing import BinaryIO

from curate.images import generations
from curate.store import Dataset


def tar_name(part: str) -> str:
    return f"{part}.tar"


class ArchiveWriter:
    """Appends images to a tar whose bytes depend on nothing but them: no time, owner or mode of this machine."""

    def __init__(self, file: BinaryIO):
        self._tar = tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115 - closed by close()

    def add(self, name: str, data: bytes) -> None:
        self._tar.addfile(member(name, len(data)), io.BytesIO(data))

    def close(self) -> None:
        self._tar.close()


def member(name: str, size: int) -> tarfile.TarInfo:
    """The header of a file in a reproducible tar."""
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = size, 0, 0o644
    return info


def images_of(dataset: Dataset, part: str) -> Iterator[tuple[str, bytes]]:
    """Yields (image_uid, bytes as fetched) of a part of a generation of `images`, in row order.

    Rows and so tars are in the order of image_uid, and an image lies in the tar of one generation only. Memory: one image of each.
    """
    tars = [_of_one(generation, part) for generation in generations.of(dataset)]
    yield from heapq.merge(*tars, key=lambda image: image[0])


def _of_one(dataset: Dataset, part: str) -> Iterator[tuple[str, bytes]]:
    with dataset.fs.open(dataset.path(tar_name(part)), "rb") as file, tarfile.open(fileobj=file, mode="r|") as tar:
        for entry in tar:
            body = tar.extractfile(entry)
            if body is not None:
                yield entry.name.split(".")[0], body.read()
