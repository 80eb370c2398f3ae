"""What can be trained on: the shards of this project, and trusted sets (`curate.training.trusted`)."""

from collections.abc import Iterator, Mapping
from typing import Protocol

from curate.store import Dataset
from curate.training.shards import Sample, read_shard, sizes_of


class Set(Protocol):
    """A set that can be trained on, shard by shard."""

    @property
    def sizes(self) -> Mapping[str, int]:
        """Samples in each shard that has any."""
        ...

    def nbytes(self, shard: str) -> int:
        """Of its tar."""
        ...

    def read(self, shard: str) -> Iterator[Sample]:
        """Its samples, in order. TrainingError where they are not as they should be."""
        ...


class Own:
    """A set that the stage `shard` has made."""

    def __init__(self, shards: Dataset):
        self._shards, self.sizes = shards, sizes_of(shards)

    def nbytes(self, shard: str) -> int:
        return int(self._shards.fs.size(self._shards.path(f"{shard}.tar")))

    def read(self, shard: str) -> Iterator[Sample]:
        return read_shard(self._shards, shard)
