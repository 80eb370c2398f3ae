"""Balance in the loader: each epoch is drawn anew from all matched pairs by their keep probabilities.

Balancing before the download draws once, and every epoch repeats that draw. Here epoch e has the texts with
draw(seed, "balance:e", uid) < keep_probability, so over many epochs the texts of crowded entries are all seen, and in
each epoch no oftener than the balance allows (Xu et al., "Demystifying CLIP Data", arXiv:2309.16671).

An image with several texts takes part with those that are drawn, and sits an epoch out when none is: just what it
would be in a set that was balanced before, with the epoch's draw for its draw. Which of the texts stands in `.txt`
(`shard.text`) plays no part, here as there: a sample's text is one of those that take part, by chance.
"""

from collections.abc import Iterable, Sequence
from itertools import accumulate, chain

import msgspec
import numpy as np
import pyarrow.compute as pc

from curate.draw import draw
from curate.shards.balance import Balance
from curate.store import Dataset
from curate.training.shards import Sample, TrainingError


def drawn(seed: int, epoch: int, uids: Iterable[str], keep_probabilities: np.ndarray) -> np.ndarray:
    """Which texts take part in an epoch; bool, shape (texts,). float64 probabilities: 1 is always in, 0 never."""
    return draw(seed, f"balance:{epoch}", uids) < keep_probabilities


class Redrawn:
    """Epochs of a set of all matched pairs: a hash of (seed, epoch, uid), whoever asks, wherever it starts."""

    def __init__(self, shards: Dataset, seed: int):
        self._shards, self._seed = shards, seed

    def taken(self, epoch: int, samples: Sequence[Sample]) -> list[Sample]:
        """The samples of which a text is drawn, with the drawn texts. TrainingError for one without probabilities."""
        for sample in samples:
            _check(sample)
        uids = chain.from_iterable(sample.uids for sample in samples)
        keep = np.fromiter(chain.from_iterable(sample.keep_probabilities for sample in samples), np.float64)
        hits = drawn(self._seed, epoch, uids, keep).tolist()
        begins = accumulate((len(sample.uids) for sample in samples), initial=0)
        found = []
        for sample, begin in zip(samples, begins, strict=False):
            places = [place for place in range(len(sample.texts)) if hits[begin + place]]
            if places:
                found.append(sample.only(places))
        return found

    def count(self, epoch: int, shard: str, size: int) -> int:
        """How many samples of a shard take part, from its index: the tar is not opened."""
        # Without threads: loader processes are forked, and have cores of their own to share as it is.
        with self._shards.open_part(shard) as file:
            index = file.read(columns=["uids", "keep_probabilities"], use_threads=False).combine_chunks()
        if not len(index):
            return 0
        keep = pc.list_flatten(index["keep_probabilities"]).to_numpy()
        hits = drawn(self._seed, epoch, pc.list_flatten(index["uids"]).to_pylist(), keep)
        ends = np.cumsum(pc.list_value_length(index["uids"]).to_numpy())
        return int(np.logical_or.reduceat(hits, np.concatenate([[0], ends[:-1]])).sum())


def _check(sample: Sample) -> None:
    if not len(sample.texts) == len(sample.uids) == len(sample.keep_probabilities) or None in sample.keep_probabilities:
        raise TrainingError(
            f"sample {sample.key} does not have a keep probability for each of its {len(sample.texts)} texts; make the "
            "shards again with `--redo shard`, or set train.online_balance to false"
        )


def check_balance(shards: Dataset, batch_size: int) -> None:
    """TrainingError for a set that cannot be balanced in the loader, by the record in its manifest."""
    said = shards.require().extra.get("balance")
    record = msgspec.convert(said, Balance) if said else None
    if record is None or record.expected_samples is None:
        raise TrainingError(
            f"{shards.root} has samples without keep probabilities, and train.online_balance draws by them. Make it "
            "again with `--redo shard`, or set train.online_balance to false"
        )
    if not record.online:
        raise TrainingError(
            f"{shards.root} was balanced before its images were fetched: train.online_balance would balance it twice. Set "
            "balance.online to true and begin again with `--redo balance`, or set train.online_balance to false"
        )
    if record.expected_samples < batch_size:
        raise TrainingError(
            f"{shards.root} has {record.expected_samples:.1f} samples in a mean balanced epoch and a batch takes "
            f"{batch_size}. Set train.batch_size to at most {int(record.expected_samples)}, or balance.t higher"
        )
