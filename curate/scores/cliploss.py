"""s-CLIPLoss: the cosine of a pair less what it owes to texts and images that resemble everything (Wang et al., 2024).

    score_i = cos_ii - T/2 (log sum_j exp(cos_ij / T) + log sum_j exp(cos_ji / T))

j runs over a random batch of the pool that holds i, and the score is the mean over several batches ("CLIPLoss and Norm-Based Data
Selection Methods for Multimodal Contrastive Learning"). The released code cuts each file into batches; a row would then be measured
against its neighbours. Here a row's batch is the row and a sample of the pool that is drawn by hash, which all rows share: each
single row meets others with the same chances as in a batch of a shuffled pool, and the pool needs no shuffle. Where the
pool is no larger than a batch, the batch is the pool.

Since j = i is in both sums, the score is at most 0, and near 0 for a pair that nothing else in the batch comes close to.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from curate.draw import draw
from curate.facts.contract import Columns
from curate.models import Clip, device_of
from curate.scores.contract import Kind
from curate.scores.derived import Arrays, Derived, Rows, Targets
from curate.scores.settings import ClipLoss

KEPT = ("draw", "uid", "image", "text")
BLOCK = 1024
"""Rows that are held against a sample at a time."""


class ClipLossScorer(Derived):
    """`schemas/scores/s_cliploss.yaml`."""

    def __init__(self, settings: ClipLoss, device: str):
        self._settings, self._device = settings, device

    def start(self, clip: Clip, targets: Targets, pool: int) -> Arrays:
        """The draw below which a sample's rows lie all but certainly: six standard deviations above the share that is wanted."""
        batch = self._settings.batch
        return {"most": np.array(min(1.0, (batch + 6 * np.sqrt(batch) + 10) / max(pool, 1)))}

    def gather(self, rows: Iterator[Rows], started: Arrays) -> Arrays:
        """The part's share of each repeat's sample, and a little more."""
        found: list[list[Arrays]] = [[] for _ in range(self._settings.repeats)]
        for some in rows:
            uids = np.array(some.uid, "S32")
            for repeat, held in enumerate(found):
                draws = draw(self._settings.seed, f"s_cliploss/{repeat}", some.uid)
                few = draws < started["most"]
                held.append({
                    "draw": draws[few], "uid": uids[few],
                    "image": some.image[few].astype(np.float16), "text": some.text[few].astype(np.float16),
                })  # fmt: skip
        return {
            f"{name}{repeat}": np.concatenate([piece[name] for piece in held])
            for repeat, held in enumerate(found)
            for name in KEPT
            if held
        }

    def merge(self, gathered: Sequence[Arrays], started: Arrays) -> Arrays:
        """Of each repeat the rows with the least draws, in the order of their uids; of a pool that is no larger than a batch one is enough."""
        ready: Arrays = {}
        for repeat in range(self._settings.repeats):
            pieces = [part for part in gathered if f"draw{repeat}" in part]
            if pieces:
                whole = {name: np.concatenate([part[f"{name}{repeat}"] for part in pieces]) for name in KEPT}
                least = np.lexsort((whole["uid"], whole["draw"]))[: self._settings.batch]
                least = least[np.argsort(whole["uid"][least])]
                ready |= {f"{name}{repeat}": whole[name][least] for name in KEPT[1:]}
                if len(least) == len(whole["uid"]) and started["most"] == 1:
                    break
        return ready

    def score(self, rows: Rows, ready: Arrays) -> Columns:
        cosine = np.einsum("ij,ij->i", rows.image, rows.text)
        excess = np.zeros(len(rows.uid), np.float64)
        uids = np.array(rows.uid, "S32")
        repeats = sum(name.startswith("uid") for name in ready)
        for repeat in range(repeats if len(rows.uid) else 0):
            sample = {name: ready[f"{name}{repeat}"] for name in ("uid", "image", "text")}
            for start in range(0, len(uids), BLOCK):
                block = slice(start, start + BLOCK)
                excess[block] += self._excess(rows.image[block], rows.text[block], cosine[block], uids[block], sample)
        score = cosine - self._settings.temperature * excess / (2 * max(repeats, 1))
        return {"s_cliploss_score": np.minimum(score, 0).astype(np.float32)}

    def _excess(
        self, image: np.ndarray, text: np.ndarray, cosine: np.ndarray, uids: np.ndarray, sample: Arrays
    ) -> np.ndarray:
        """The two logarithms of sums, added, for each row: over itself and the sample's other rows."""
        import torch

        device, scale = device_of(self._device), 1 / self._settings.temperature
        own = torch.from_numpy(np.ascontiguousarray(cosine)).to(device) * scale
        # A row that the sample holds is not counted twice.
        places = np.searchsorted(sample["uid"], uids)
        held = np.flatnonzero(sample["uid"][np.minimum(places, len(sample["uid"]) - 1)] == uids)
        total = np.zeros(len(uids))
        for mine, theirs in ((image, sample["text"]), (text, sample["image"])):
            # Lengths are those of float16, a thousandth off 1.
            others = torch.from_numpy(theirs.astype(np.float32)).to(device)
            others = torch.nn.functional.normalize(others, dim=1)
            logits = (torch.from_numpy(np.ascontiguousarray(mine)).to(device) @ others.T) * scale
            logits[held, places[held]] = -torch.inf
            total += torch.logaddexp(torch.logsumexp(logits, dim=1), own).double().cpu().numpy()
        return total


def load(settings: ClipLoss, device: str, identity: Mapping[str, Any]) -> ClipLossScorer:
    return ClipLossScorer(settings, device)


KIND = Kind(
    needs="pool",
    load=load,
    on_device=True,
    learned_from="No model of its own: it reads the model's stored embeddings and a sample of the pool.",
)
