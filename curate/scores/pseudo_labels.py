"""Class-balanced pseudo-labels: each image's most likely class by zero-shot, and the K most confident images of each class.

Confidence is the softmax over the classes of the cosine times `scale`. Of each class exactly min(K, images labelled so) are
chosen; equal confidences fall to the lesser image_uid.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from curate.facts.contract import Columns
from curate.models import Clip
from curate.scores.contract import Kind
from curate.scores.derived import Arrays, Derived, Rows, Targets, embedded_classes
from curate.scores.settings import PseudoLabels


class PseudoLabelScorer(Derived):
    """`schemas/scores/pseudo_labels.yaml`."""

    def __init__(self, settings: PseudoLabels):
        self._settings = settings

    def start(self, clip: Clip, targets: Targets, pool: int) -> Arrays:
        return {"classes": np.array(list(targets.prompts)), "vectors": embedded_classes(clip, targets.prompts)}

    def gather(self, rows: Iterator[Rows], started: Arrays) -> Arrays:
        """The part's most confident images of each class, each once: they hold all of them that the pool's best hold."""
        best: Arrays = {
            "label": np.zeros(0, np.int32),
            "confidence": np.zeros(0, np.float32),
            "uid": np.zeros(0, "S32"),
        }
        for some in rows:
            label, confidence = self._labelled(some.image, started)
            mine = {"label": label, "confidence": confidence, "uid": np.array(some.image_uid, "S32")}
            best = self._best([best, mine])
        return best

    def merge(self, gathered: Sequence[Arrays], started: Arrays) -> Arrays:
        """The last that is chosen of each class, and what the classes are."""
        best = self._best(list(gathered))
        return started | {"chosen": np.sort(best["uid"])}

    def score(self, rows: Rows, ready: Arrays) -> Columns:
        label, confidence = self._labelled(rows.image, ready)
        chosen = np.isin(np.array(rows.image_uid, "S32"), ready["chosen"])
        return {"label": ready["classes"][label].astype(object), "confidence": confidence, "chosen": chosen}

    def _labelled(self, image: np.ndarray, started: Arrays) -> tuple[np.ndarray, np.ndarray]:
        """(class, confidence) of each image: int32 and float32, shape (n,)."""
        logits = image.astype(np.float64) @ started["vectors"].T * self._settings.scale
        label = np.argmax(logits, axis=1).astype(np.int32)
        top = logits.max(axis=1, keepdims=True)
        return label, (1 / np.exp(logits - top).sum(axis=1)).astype(np.float32)

    def _best(self, pieces: Sequence[Arrays]) -> Arrays:
        whole = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
        _, once = np.unique(whole["uid"], return_index=True)
        whole = {name: values[once] for name, values in whole.items()}
        order = np.lexsort((whole["uid"], -whole["confidence"], whole["label"]))
        label = whole["label"][order]
        starts = np.flatnonzero(np.r_[True, label[1:] != label[:-1]]) if len(label) else np.zeros(0, int)
        rank = np.arange(len(label)) - np.repeat(starts, np.diff(np.r_[starts, len(label)]))
        taken = order[rank < self._settings.each]
        return {name: values[taken] for name, values in whole.items()}


def load(settings: PseudoLabels, device: str, identity: Mapping[str, Any]) -> PseudoLabelScorer:
    return PseudoLabelScorer(settings)


KIND = Kind(
    needs="pool",
    load=load,
    learned_from="No model of its own: it reads the model's stored embeddings and asks its text tower about the classes' names.",
)
