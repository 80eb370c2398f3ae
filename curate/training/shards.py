"""Reading shards for training: what a sample is, and the order in which a set is seen.

Every order is a hash of (seed, epoch, key), so the batch of a step is known without the steps before it: a training
that was killed goes on in the middle of an epoch. Sets that fit into memory are shuffled whole, and their order does
not depend on the number of processes; larger ones stream shard by shard, each lane (a loader of a process) having
shards of its own.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count, islice
from typing import Protocol

import msgspec
import numpy as np

from curate import CurateError
from curate.draw import draw
from curate.shards.reading import image_of, members_of
from curate.store import Dataset, StoreError

AT_ONCE = 64
"""Samples of a stream that are looked at together: enough that a draw costs little, few beside a window."""


class TrainingError(CurateError, RuntimeError):
    """A training that cannot start or go on; the message says what to change."""


class Sample(msgspec.Struct, frozen=True):
    """One image, encoded, with all its texts."""

    key: str
    image: bytes
    texts: tuple[str, ...]
    uids: tuple[str, ...] = ()
    """The pairs of these texts; empty where the shard's json does not name them."""
    keep_probabilities: tuple[float | None, ...] = ()
    """Of these texts; empty where the shard's json does not say."""
    choices: tuple[tuple[str, ...], ...] = ()
    """Of each of these texts what may stand for it, itself among that or not; empty where no captions travel."""
    odds: tuple[tuple[float, ...], ...] = ()
    """Of each choice; those of a text sum to 1."""

    def only(self, places: Sequence[int]) -> "Sample":
        """The sample with some of its texts."""
        lists = ("texts", "uids", "keep_probabilities", "choices", "odds")
        kept = {name: tuple(values[i] for i in places) for name in lists if (values := getattr(self, name))}
        return msgspec.structs.replace(self, **kept)

    def text(self, which: float, choice: float) -> str:
        """One of the texts, or what stands for it by the set's text policy; by two draws in [0, 1)."""
        place = int(which * len(self.texts))
        if not self.choices:
            return self.texts[place]
        at = int(np.searchsorted(np.cumsum(self.odds[place]), choice, side="right"))
        return self.choices[place][min(at, len(self.choices[place]) - 1)]


class Epochs(Protocol):
    """Who takes part in an epoch, and with which texts."""

    def taken(self, epoch: int, samples: Sequence[Sample]) -> Sequence[Sample]:
        """Those of the samples that take part, in their order, with the texts that do."""
        ...

    def count(self, epoch: int, shard: str, size: int) -> int:
        """How many of the `size` samples of a shard take part."""
        ...


class Whole:
    """Every sample takes part in every epoch, with all its texts."""

    def taken(self, epoch: int, samples: Sequence[Sample]) -> Sequence[Sample]:
        return samples

    def count(self, epoch: int, shard: str, size: int) -> int:
        return size


Batch = tuple[int, list[Sample]]
"""The epoch that a batch belongs to, and its samples."""


def read_shard(shards: Dataset, shard: str) -> Iterator[Sample]:
    """The samples of `<shard>.tar` in order. TrainingError for a damaged tar and a sample without an image or a text."""
    url = shards.path(f"{shard}.tar")
    try:
        for key, members in members_of(shards, shard):
            yield _sample(key, members, url)
    except StoreError as error:
        raise TrainingError(str(error)) from error


def _sample(key: str, members: Mapping[str, bytes], url: str) -> Sample:
    image = image_of(members)
    if image is None:
        # A wrong suffix that is passed over in silence filters out everything, and the loader waits for ever.
        raise TrainingError(f"{url}: sample {key} has no image among {sorted(members)}")
    facts = msgspec.json.decode(members["json"]) if "json" in members else {}
    texts = facts.get("texts")
    if not texts and "txt" not in members:
        raise TrainingError(f"{url}: sample {key} has neither `texts` in its json nor a .txt")
    if not texts:
        return Sample(key, image, (members["txt"].decode("utf-8", "replace"),))
    return Sample(
        key,
        image,
        tuple(texts),
        tuple(facts.get("uids", ())),
        tuple(facts.get("keep_probabilities", ())),
        tuple(map(tuple, facts.get("choices", ()))),
        tuple(map(tuple, facts.get("odds", ()))),
    )


class InMemory:
    """A set held in memory. Each epoch is a permutation of those that take part, less the last incomplete batch."""

    def __init__(
        self,
        samples: Sequence[Sample],
        batch_size: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
        epochs: Epochs | None = None,
    ):
        self._samples, self._batch, self._seed = samples, batch_size, seed
        self._rank, self._world, self._epochs = rank, world, epochs or Whole()

    def batches(self, start: int, worker: int = 0, workers: int = 1) -> Iterator[Batch]:
        """This process's share of the batches `start + worker`, `+ workers`, ... without end."""
        share, step, begins = self._batch // self._world, start + worker, 0
        for epoch in count():
            # Epochs differ in length, so the place of a step is known from the lengths of all before it.
            taken = self._epochs.taken(epoch, self._samples)
            ends = begins + len(taken) // self._batch
            if step < ends:
                order = np.argsort(draw(self._seed, f"order:{epoch}", [s.key for s in taken]), kind="stable")
            while step < ends:
                low = (step - begins) * self._batch + self._rank * share
                yield epoch, [taken[i] for i in order[low : low + share]]
                step += workers
            begins = ends


class Streaming:
    """A set read shard by shard. A lane sees shards of its own, drawn anew each epoch, and shuffles within windows."""

    def __init__(
        self,
        read: Callable[[str], Iterator[Sample]],
        sizes: Mapping[str, int],
        share: int,
        seed: int,
        window: int,
        rank: int = 0,
        world: int = 1,
        epochs: Epochs | None = None,
    ):
        self._read, self._sizes, self._share = read, sizes, share
        self._seed, self._window, self._rank, self._world = seed, window, rank, world
        self._epochs = epochs or Whole()

    def batches(self, start: int, worker: int = 0, workers: int = 1) -> Iterator[Batch]:
        """This process's share of the batches `start + worker`, `+ workers`, ... without end.

        Loaders take turns, so step s of a process belongs to its lane s modulo workers, whenever it was started.
        """
        step = start + worker
        lane, seen = self._rank * workers + step % workers, step // workers
        samples = self._lane(lane, self._world * workers, seen * self._share)
        while batch := list(islice(samples, self._share)):
            yield batch[0][0], [sample for _, sample in batch]

    def _lane(self, lane: int, lanes: int, seen: int) -> Iterator[tuple[int, Sample]]:
        """Yields (epoch, sample) of one lane from its sample number `seen` on."""
        for epoch in count():
            order = np.argsort(draw(self._seed, f"shards:{epoch}", self._sizes), kind="stable")
            names = [list(self._sizes)[i] for i in order][lane::lanes]
            # Only a stream that begins in the middle has to know how long the epochs before it were.
            length = sum(self._epochs.count(epoch, name, self._sizes[name]) for name in names) if seen else 0
            if seen and seen >= length:
                seen -= length
                continue
            windows, rest = divmod(seen, self._window)
            stream = self._from(epoch, names, windows * self._window)
            while window := list(islice(stream, self._window)):
                order = np.argsort(draw(self._seed, f"order:{epoch}", [s.key for s in window]), kind="stable")
                yield from ((epoch, window[i]) for i in order[rest:])
                rest = 0
            seen = 0

    def _from(self, epoch: int, names: Sequence[str], skip: int) -> Iterator[Sample]:
        for name in names:
            size = self._epochs.count(epoch, name, self._sizes[name])
            if skip >= size:
                skip -= size
                continue
            found = 0
            for found, sample in enumerate(self._taken(epoch, name), start=1):
                if found > skip:
                    yield sample
            if found != size:
                raise TrainingError(f"{name}.tar has {found} samples, its index says {size}; redo shard")
            skip = 0

    def _taken(self, epoch: int, shard: str) -> Iterator[Sample]:
        """The samples of a shard that take part in an epoch."""
        samples = self._read(shard)
        while some := list(islice(samples, AT_ONCE)):
            yield from self._epochs.taken(epoch, some)


def sizes_of(shards: Dataset) -> dict[str, int]:
    """Samples in each shard that has any. StoreError when the set is not there."""
    return {part.name: part.rows for part in shards.require().parts if part.rows}


def check_fits(name: str, sizes: Mapping[str, int], batch_size: int, lanes: int | None) -> None:
    """TrainingError for a set that would starve or hang a training; `lanes` is None for a set held in memory."""
    total = sum(sizes.values())
    if not total:
        raise TrainingError(
            f"{name} has no samples: no image of this set was fetched and selected. `curate run --stages report` makes the "
            "account of what left at which stage and why"
        )
    if total < batch_size:
        raise TrainingError(
            f"{name} has {total} samples and a batch takes {batch_size}: the same picture would be its own negative. "
            f"Set train.batch_size to at most {total}, or select less strictly"
        )
    if lanes is not None and len(sizes) < lanes:
        raise TrainingError(
            f"{name} has {len(sizes)} shards and streams into {lanes} lanes (processes x workers): some would wait "
            f"for ever. Lower train.processes or train.workers to {len(sizes)} lanes, or shard.samples for more shards"
        )
