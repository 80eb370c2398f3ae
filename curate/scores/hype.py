"""HYPE: how specific an image and a text are, and how near, in the space of a hyperbolic model (Kim et al., "HYPE: Hyperbolic Entailment
Filtering for Underspecified Images and Texts", 2024; the space is MERU's, see `curate.lorentz`).

    specificity(x) = mean over references y of (exterior angle at x towards y - half aperture at x)
    hype = specificity(image) + specificity(text) - distance(image, text) [+ cosine by a CLIP]

What is vague lies near the origin and has a wide cone: much of the reference set is inside of it or nearly, and the mean is small. A
reference at the very place of x, and the pair's own other half, say nothing and are left out. The published sum also has 1 for images in
clusters near ImageNet's: that is `clusters.near_target`, which a selection can ask for beside this.

Read with the reference set of the other kind (`against: other`): an image's cone against texts, a text's against images.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from curate import lorentz
from curate.draw import draw
from curate.facts.contract import REASON, Columns
from curate.hugging import folder_of
from curate.models import Clip, device_of
from curate.scores.contract import Kind
from curate.scores.derived import Arrays, Derived, Rows, Targets
from curate.scores.references import raw, read, thinned
from curate.scores.settings import Hype
from curate.weights import Model, ModelError, locate

BLOCK = 256
"""Rows that are held against the reference set at a time: with 4,096 references about 8 MB an array."""
COINCIDENT = 1e-9
"""-c <x, y> - 1 up to which two points are one."""
SPACE = ("curvature", "image_scale", "text_scale")


class HypeScorer(Derived):
    """`schemas/scores/hype.yaml`."""

    reads: ClassVar[tuple[str, ...]] = ("image_length", "text_length")
    needs_model = True

    def __init__(self, settings: Hype, device: str, revision: str):
        self._settings, self._device, self._revision = settings, device, revision

    def start(self, clip: Clip, targets: Targets, pool: int) -> Arrays:
        """The space, and the reference set where it lies elsewhere; of the pool the draw below which its sample lies all but certainly."""
        if clip.geometry is None:
            raise ModelError(f"scorer {self._settings.name!r}: the model {self._settings.model!r} is not hyperbolic")
        space = {name: np.array(getattr(clip.geometry, name)) for name in SPACE}
        most = self._settings.references
        if targets.reference is not None:
            return space | read(targets.reference, most, self._settings.seed, clip.width, self._revision)
        return space | {"most": np.array(min(1.0, (most + 6 * np.sqrt(most) + 10) / max(pool, 1)))}

    def gather(self, rows: Iterator[Rows], started: Arrays) -> Arrays:
        """The part's share of the pool's sample, and a little more; nothing where the reference set lies elsewhere."""
        held: list[Arrays] = []
        for some in rows if "most" in started else ():
            draws = draw(self._settings.seed, "hype", some.uid)
            few = draws < started["most"]
            pairs = {name: vectors[few] for name, vectors in _raw(some).items()}
            held.append({"draw": draws[few], "uid": np.array(some.uid, "S32")[few]} | pairs)
        return {name: np.concatenate([piece[name] for piece in held]) for name in held[0]} if held else {}

    def merge(self, gathered: Sequence[Arrays], started: Arrays) -> Arrays:
        """The pairs with the least draws, in the order of their uids."""
        pieces = [part for part in gathered if part]
        return started | (thinned(pieces, self._settings.references) if pieces else {})

    def score(self, rows: Rows, ready: Arrays) -> Columns:
        import torch

        device = device_of(self._device)
        c = torch.tensor(float(ready["curvature"]), dtype=torch.float64, device=device)
        own, all_of = (
            {name: self._lifted(vectors[name], ready, name, c) for name in ("image", "text")}
            for vectors in (_raw(rows), ready if "uid" in ready else _none(rows))
        )
        other = (
            {"image": "text", "text": "image"}
            if self._settings.against == "other"
            else {"image": "image", "text": "text"}
        )
        # A row that is one of the references is not measured against its own other half.
        itself = _places(np.array(rows.uid, "S32"), ready.get("uid", np.zeros(0, "S32")))
        said = {name: _specificity(own[name], all_of[other[name]], c, itself) for name in own}
        distance = lorentz.distance(lorentz.beyond_one(own["image"], own["text"], c), c).cpu().numpy()
        total = said["image"] + said["text"] - distance + rows.more.get("beside", 0.0)
        reasons = np.full(len(rows.uid), None, object)
        reasons[~np.isfinite(total)] = "no_reference"
        reasons[~np.isfinite(distance)] = "not_finite"
        found = {
            "image_specificity_score": said["image"], "text_specificity_score": said["text"],
            "negative_distance_score": -distance, "hype_score": total,
        }  # fmt: skip
        return {name: values.astype(np.float32) for name, values in found.items()} | {REASON: reasons}

    def _lifted(self, vectors: np.ndarray, ready: Arrays, kind: str, c: Any) -> Any:
        import torch

        scaled = torch.from_numpy(vectors.astype(np.float64) * float(ready[f"{kind}_scale"])).to(c.device)
        return lorentz.lift(scaled, c)


def _specificity(x: Any, references: Any, c: Any, itself: np.ndarray) -> np.ndarray:
    """Mean exterior angle at each x less its half aperture, float64, shape (n,); NaN where no reference is left."""
    import torch

    found = []
    for start in range(0, len(x), BLOCK):
        block = x[start : start + BLOCK]
        beyond = lorentz.all_beyond_one(block, references, c)
        counts = beyond > COINCIDENT
        mine = itself[start : start + BLOCK]
        counts[np.flatnonzero(mine >= 0), mine[mine >= 0]] = False
        angles = torch.where(counts, lorentz.all_exterior_angles(block, references, c), 0.0)
        found.append((angles.sum(1) / counts.sum(1) - lorentz.half_aperture(block, c)).cpu().numpy())
    return np.concatenate(found) if found else np.zeros(0)


def _places(uids: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Where among the references (sorted by uid) each row is; -1 for those that are not. int64, shape (n,)."""
    if not len(references):
        return np.full(len(uids), -1)
    places = np.minimum(np.searchsorted(references, uids), len(references) - 1)
    return np.where(references[places] == uids, places, -1)


def _raw(rows: Rows) -> Arrays:
    """The model's own vectors, float32, shape (n, width)."""
    return {"image": raw(rows.image, rows.more["image_length"]), "text": raw(rows.text, rows.more["text_length"])}


def _none(rows: Rows) -> Arrays:
    return {"image": rows.image[:0], "text": rows.text[:0]}


def check(settings: Hype, model: Model) -> None:
    """ModelError for a model that is not hyperbolic: said before the pool is embedded with it."""
    if folder_of(model) is None and lorentz.in_checkpoint(locate(model).weights):
        return
    raise ModelError(
        f"scorer {settings.name!r}: the model {model.name!r} is not hyperbolic: its checkpoint (.safetensors) has to hold the logarithms "
        f"{', '.join(lorentz.PARAMETERS)}. `curate filter-network` with `objective: hyperbolic` makes such a model"
    )


def load(settings: Hype, device: str, identity: Mapping[str, Any]) -> HypeScorer:
    return HypeScorer(settings, device, identity["embeddings_of"])


KIND = Kind(
    needs="pool",
    load=load,
    on_device=True,
    check=check,
    learned_from="A hyperbolic model of yours: pairs, and that a text holds its image.",
)
