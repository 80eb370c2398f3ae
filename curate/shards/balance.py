"""What a set says of its balance: what an epoch that is drawn anew from its keep probabilities would hold."""

from collections.abc import Iterable, Sequence
from math import fsum, prod

import msgspec

from curate.store import Dataset, Part


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """The record in the manifest of a set of shards, under `balance`."""

    online: bool
    """Whether the set holds all matched pairs, for training to draw from; otherwise balance has drawn already."""
    expected_samples: float | None
    """Mean number of samples of a drawn epoch; None when some text has no keep probability."""


def expected(images: Iterable[Sequence[float | None]]) -> float | None:
    """The mean number of images of which a text is drawn: the sum of 1 - product over texts of (1 - p).

    `images` are the keep probabilities of each image's texts; None when one of them is None.
    """
    chances = []
    for texts in images:
        known = [p for p in texts if p is not None]
        if len(known) < len(texts):
            return None
        chances.append(1 - prod(1 - p for p in known))
    return fsum(chances)


def recorded(target: Dataset, parts: Sequence[Part], online: bool) -> Balance:
    """The record of a whole set, from the stats beside its shards."""
    sums = [
        msgspec.json.decode(target.fs.cat_file(target.path(f"{part.name}_stats.json")))["expected_samples"]
        for part in parts
    ]
    known = [number for number in sums if number is not None]
    return Balance(online=online, expected_samples=fsum(known) if len(known) == len(sums) else None)
