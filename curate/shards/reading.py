"""Reading a shard: the members of each sample, in order."""

import tarfile
from collections.abc import Iterator, Mapping

from curate.store import Dataset, StoreError

IMAGES = ("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "avif")
"""Suffixes of members that are images."""


def members_of(shards: Dataset, shard: str) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Yields each sample's key and its members by suffix, of `<shard>.tar`, in order. StoreError for a damaged tar."""
    from webdataset.tariterators import group_by_keys, tar_file_iterator

    url = shards.path(f"{shard}.tar")
    with shards.fs.open(url, "rb") as file:
        members = ({**member, "__url__": url} for member in tar_file_iterator(file))
        try:
            for found in group_by_keys(members):
                yield found["__key__"], {name: data for name, data in found.items() if not name.startswith("__")}
        except tarfile.TarError as error:
            raise StoreError(f"{url} is damaged ({error}); make it again with `--redo shard`") from error


def image_of(members: Mapping[str, bytes]) -> bytes | None:
    """A sample's image, encoded."""
    return next((members[suffix] for suffix in IMAGES if suffix in members), None)
