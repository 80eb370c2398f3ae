"""Another captioner's captions in the order in which a CLIP model likes them for their image, best first.

Reward of a caption c of an image i: R(c) = WEIGHT x max(cos(i, c), 0), less the same of the pair's baseline: CLIP-reward, whose baseline is
the greedy caption (Cho et al., "Fine-grained Image Captioning with CLIP Reward", arXiv:2205.13115; the weight is CLIPScore's). A baseline
orders nothing, but says what is worth having: above 0 a caption is better than what the pair has. Without one the first caption is the
argmax of the cosine, which is how MacCap chooses (Qiu et al., arXiv:2401.02347). With a grammar head (`curate grammar-head`) how grammatical
a text is, 0 to 1, is added to the reward of each, since texts that are chosen by their cosine alone lose their grammar.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from curate import models
from curate.captions.contract import REASON, Columns, Computing, Kind
from curate.captions.settings import Captioner
from curate.facts import grammar
from curate.facts.contract import unless, vectors
from curate.facts.heads import Head
from curate.settings import Name, Positive
from curate.weights import Model

WEIGHT = 2.5
ALT, NONE = "alt", "none"


class Rank(Captioner, frozen=True, kw_only=True, tag="rank"):
    """Captions by CLIP's reward; see `curate.captions.rank`."""

    of: Name
    """The captioner whose captions are ranked."""
    model: Name
    """One of score.models."""
    baseline: Name = ALT
    """`alt`: the pair's alt text; `none`; or a captioner, whose first caption it is."""
    head: str | None = None
    """Path of a grammar head for the model, where grammar counts."""
    grammar_weight: Positive = 1.0

    def captions_of(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([self.of] if self.baseline in (ALT, NONE) else [self.of, self.baseline]))

    def models(self) -> tuple[str, ...]:
        return (self.model,)


class Embeds(Protocol):
    """What is asked of a `curate.models.Clip`."""

    def text_embeddings(self, texts: list[str]) -> np.ndarray: ...


class Ranker(Computing):
    """`schemas/captions/rank.yaml`. Rewards are float64, from the stored image embeddings (float16) and texts embedded now (float32)."""

    def __init__(self, settings: Rank, clip: Embeds, head: Head | None = None):
        self._settings, self._clip, self._head = settings, clip, head
        self._score = f"scores/{settings.model}"
        alt = ("similarity_score", "text_embedding") if settings.baseline == ALT else ()
        self.tables = {self._score: ("image_embedding", *alt)} | {
            f"captions/{name}": ("captions",) for name in settings.captions_of()
        }

    def score(self, rows: pa.Table, images: Columns, image_of: np.ndarray) -> Columns:
        captions = rows[f"captions/{self._settings.of}.captions"].to_pylist()
        flat = [text for some in captions for text in some]
        owner = np.repeat(np.arange(len(captions)), [len(some) for some in captions])
        image = vectors(rows[f"{self._score}.image_embedding"])
        rewards = self._rewards(image, flat, owner) - self._baseline(rows, image)[owner]
        ordered: list[list[tuple[float, str]]] = [[] for _ in captions]
        for row, value, text in zip(owner.tolist(), rewards.tolist(), flat, strict=True):
            ordered[row].append((value, text))
        for some in ordered:
            # Stable: of captions that are liked as much the one that was made first stays first.
            some.sort(key=lambda one: -one[0])
        finite = np.array([all(np.isfinite(value) for value, _ in some) for some in ordered], bool)
        return {
            "captions": pa.array([[text for _, text in some] for some in ordered], pa.list_(pa.string())),
            "rewards": pa.array([[value for value, _ in some] for some in ordered], pa.list_(pa.float64())),
            "best_reward": np.array([some[0][0] for some in ordered], np.float64),
            REASON: unless(finite, "not_finite"),
        }

    def _rewards(self, image: np.ndarray, texts: list[str], owner: np.ndarray) -> np.ndarray:
        """Rewards of texts without a baseline; `owner`: each text's row of `image`."""
        distinct = list(dict.fromkeys(texts))
        place = {text: index for index, text in enumerate(distinct)}
        embedded = self._clip.text_embeddings(distinct)[[place[text] for text in texts]]
        liked = reward(np.einsum("ij,ij->i", image[owner].astype(np.float64), embedded.astype(np.float64)))
        return liked + self._grammar(embedded)

    def _grammar(self, embedded: np.ndarray) -> np.ndarray | float:
        """What the grammar of texts adds to their rewards."""
        if self._head is None:
            return 0.0
        return self._settings.grammar_weight * grammar.grammaticality(embedded, self._head).astype(np.float64)

    def _baseline(self, rows: pa.Table, image: np.ndarray) -> np.ndarray:
        """The reward of each row's baseline."""
        if self._settings.baseline == NONE:
            return np.zeros(len(rows))
        if self._settings.baseline == ALT:
            alone = reward(rows[f"{self._score}.similarity_score"].to_numpy().astype(np.float64))
            return alone + (self._grammar(vectors(rows[f"{self._score}.text_embedding"])) if self._head else 0.0)
        first = [some[0] for some in rows[f"captions/{self._settings.baseline}.captions"].to_pylist()]
        return self._rewards(image, first, np.arange(len(first)))


def reward(cosines: np.ndarray) -> np.ndarray:
    """WEIGHT x max(cos, 0); float64."""
    return WEIGHT * np.maximum(cosines, 0)


def identity(settings: Rank) -> dict[str, Any]:
    """Raises ModelError where the recipe names a grammar head that is not there."""
    head = {} if settings.head is None else {"head": grammar.identity(settings)["revision"]}
    return settings.identity() | {"weight": WEIGHT} | head


def load(settings: Rank, device: str, identity: Mapping[str, Any], model: Model) -> Ranker:
    """Raises ModelError for a model that is not here or another one, and for a head that is none of its grammar heads."""
    revision = identity["models"][model.name]["revision"]
    clip, head = models.load(model, device, revision), None
    if settings.head is not None:
        head = grammar.head_of(settings.head, model, {"revision": identity["head"], "embeddings_of": revision})
        head.fits(clip.text_embeddings([""]), settings.head, model)
    return Ranker(settings, clip, head)


KIND: Kind = Kind(needs="rows", load=load, identity=identity, on_device=True)
