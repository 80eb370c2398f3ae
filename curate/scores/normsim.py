"""NormSim: how near an image is to a target set, whatever its text (Wang et al., 2024, as s-CLIPLoss).

    NormSim_p(f) = || f G^T ||_p     f: the image's embedding, G: those of the target set, one a row

p = 2 asks for the directions in which the target set is spread out; p = inf for the nearest target image. The paper's norm of
infinite order is a maximum of cosines in what it says and in what it shows; its released code takes absolute values first, which
would count an image that is the opposite of a target as near to it. Here it is the maximum, sign and all.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from curate.facts.contract import Columns
from curate.models import Clip
from curate.scores.contract import Kind
from curate.scores.derived import Arrays, Derived, Rows, Targets, embedded_images
from curate.scores.settings import NormSim

BLOCK = 1 << 14


class NormSimScorer(Derived):
    """`schemas/scores/normsim.yaml`."""

    def start(self, clip: Clip, targets: Targets, pool: int) -> Arrays:
        vectors = embedded_images(clip, targets).astype(np.float32)
        # || f G^T ||_2^2 = f (G^T G) f^T: a matrix of the width, however large the target set.
        return {"target": vectors, "gram": vectors.T.astype(np.float64) @ vectors}

    def score(self, rows: Rows, ready: Arrays) -> Columns:
        squares = np.einsum("ij,jk,ik->i", rows.image.astype(np.float64), ready["gram"], rows.image, optimize=True)
        nearest = np.full(len(rows.uid), -np.inf, np.float32)
        for start in range(0, len(ready["target"]), BLOCK) if len(rows.uid) else ():
            np.maximum(nearest, (rows.image @ ready["target"][start : start + BLOCK].T).max(axis=1), out=nearest)
        return {"normsim_2_score": np.sqrt(np.maximum(squares, 0)).astype(np.float32), "normsim_inf_score": nearest}


def load(settings: NormSim, device: str, identity: Mapping[str, Any]) -> NormSimScorer:
    return NormSimScorer()


KIND = Kind(
    needs="pool",
    load=load,
    learned_from="No model of its own: it reads the model's stored embeddings and those of the target set.",
)
