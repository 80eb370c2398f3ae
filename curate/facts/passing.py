"""One pass over the pictures of some rows for all scorers that want them: each image is read and decoded once."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from curate.facts.contract import Columns, Picture, Scorer
from curate.facts.laying import laid
from curate.images.decoding import MAX_PIXELS, ImageError, decode
from curate.ledger import alive
from curate.schema import Schema
from curate.store import StoreError

AHEAD = 4
"""Pictures in flight for each thread."""
REFUSED = object()
"""What a scorer has seen of an image that cannot be decoded for it."""


@dataclass
class Desk:
    """A scorer at work on a part."""

    scorer: Scorer
    pixels: bool
    """Whether it is shown images."""
    known: Schema
    """Of its table."""


class Pictures:
    """The archive of a part, read once and forwards: an image's bytes for each image uid, in the rows' order."""

    def __init__(self, archive: Iterator[tuple[str, bytes]], max_pixels: int = MAX_PIXELS):
        self._archive, self._last = archive, ("", b"")
        self.max_pixels = max_pixels
        """Images with more are not decoded, whatever `download` has let in."""

    def take(self, image_uid: str) -> bytes:
        """The bytes of an image; the last one again when its texts go on in the next row group."""
        while self._last[0] != image_uid:
            following = next(self._archive, None)
            if following is None:
                raise StoreError(
                    f"image {image_uid} is not in its part's tar, or not in order; redo the stage download"
                )
            self._last = following
        return self._last[1]


def score(
    rows: pa.Table, desks: Sequence[Desk], pictures: Pictures | None, pool: ThreadPoolExecutor
) -> Iterator[pa.Table]:
    """Scores a row group of `images`: for each desk a table as its schema says, row for row.

    An image that a scorer cannot take fails every pair of it; rows that are not alive are gone. `pictures`: None where no desk is
    for pixels.
    """
    live = np.flatnonzero(alive(rows["state"]).to_numpy(zero_copy_only=False))
    entered = rows.take(pa.array(live))
    uids = entered["image_uid"].to_pylist()
    # Rows are sorted by image, so an image's first row is where its uid changes.
    firsts = [row for row, uid in enumerate(uids) if row == 0 or uid != uids[row - 1]]
    image_of = np.repeat(np.arange(len(firsts)), [end - start for start, end in pairwise([*firsts, len(uids)])])
    seers = [desk for desk in desks if desk.pixels]
    seen = Answers([desk.scorer for desk in seers])
    if pictures:
        for found in _seen([uids[row] for row in firsts], seen.scorers, pictures, pool):
            seen.add(found)
    found_by = dict(zip(map(id, seers), seen.finish(), strict=True))
    for desk in desks:
        good, answered = found_by[id(desk)] if desk.pixels else (np.ones(len(firsts), bool), {})
        fit, place = good[image_of], np.cumsum(good) - 1
        answers = desk.scorer.score(entered.filter(pa.array(fit, pa.bool_())), answered, place[image_of[fit]])
        yield laid(rows["uid"], live, fit, answers, desk.known)


def _seen(
    image_uids: Sequence[str], scorers: Sequence[Scorer], pictures: Pictures, pool: ThreadPoolExecutor
) -> Iterator[list[Any]]:
    """For each image, in order, what each scorer saw of it. Few pictures are held at a time."""
    flying: deque[Future[list[Any]]] = deque()
    for uid in image_uids:
        flying.append(pool.submit(_look, pictures.take(uid), scorers, pictures.max_pixels))
        if len(flying) >= AHEAD * pool._max_workers:
            yield flying.popleft().result()
    while flying:
        yield flying.popleft().result()


def _look(data: bytes, scorers: Sequence[Scorer], max_pixels: int) -> list[Any]:
    try:
        picture = Picture(data, decode(data, max_pixels))
    except ImageError:
        return [REFUSED] * len(scorers)
    return [_see(scorer, picture) for scorer in scorers]


def _see(scorer: Scorer, picture: Picture) -> Any:
    try:
        return scorer.see(picture)
    except (ValueError, OSError):  # resizing a hostile shape may fail after decoding went well
        return REFUSED


class Answers:
    """What scorers of pixels say of the images of a row group, asked a batch at a time."""

    def __init__(self, scorers: Sequence[Scorer]):
        self.scorers = scorers
        self._held: list[list[Any]] = [[] for _ in scorers]
        self._good: list[list[bool]] = [[] for _ in scorers]
        self._said: list[list[Columns]] = [[] for _ in scorers]

    def add(self, seen: Sequence[Any]) -> None:
        for index, one in enumerate(seen):
            self._good[index].append(one is not REFUSED)
            if one is not REFUSED:
                self._held[index].append(one)
            if len(self._held[index]) == self.scorers[index].batch_size:
                self._ask(index)

    def _ask(self, index: int) -> None:
        self._said[index].append(self.scorers[index].answer(self._held[index]))
        self._held[index] = []

    def finish(self) -> list[tuple[np.ndarray, Columns]]:
        """For each scorer: which images it could see (bool, one per image), and its columns for those."""
        for index in range(len(self.scorers)):
            if self._held[index] or not self._said[index]:
                self._ask(index)
        return [
            (np.array(good, bool), {name: np.concatenate([columns[name] for columns in said]) for name in said[0]})
            for good, said in zip(self._good, self._said, strict=True)
        ]
