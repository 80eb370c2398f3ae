"""Whether what a caption names is there: objects that a CLIP-like model or a detector denies are marked as hallucinated.

CLIP denies an object when too large a share of other things, drawn from ImageNet-21k's nouns, is more like the image than it is. So no
cosine is compared with a number that means something else for each model. A detector denies an object that it was asked for and
has no box of. Objects are the phrases of `curate.texts.phrases`.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import pyarrow as pa

from curate import models
from curate.captions.contract import REASON, Columns, Computing, Kind
from curate.captions.settings import Captioner
from curate.draw import draw
from curate.facts.contract import vectors
from curate.settings import Name, Share
from curate.texts import synsets
from curate.texts.phrases import phrases
from curate.weights import Model

PROMPT = "a photo of {}"


class Grounding(Captioner, frozen=True, kw_only=True, tag="grounding"):
    """Objects that are named and not there; see `curate.captions.grounding`."""

    of: Name
    """The captioner whose captions are looked at."""
    model: Name
    """One of score.models."""
    detector: Name | None = None
    """A captioner `regions` that looked for the phrases of the same captions."""
    others: Annotated[int, msgspec.Meta(ge=16, le=4096)] = 512
    """Things that an object is compared with."""
    most_above: Share = 0.5
    """CLIP denies an object when a greater share of them is more like the image."""
    denied_by: Literal["clip", "detector", "both", "either"] = "clip"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.denied_by != "clip" and self.detector is None:
            raise ValueError(
                f"{self.name}: denied_by {self.denied_by!r} wants a `detector`: name a captioner `regions`"
            )

    def captions_of(self) -> tuple[str, ...]:
        return (self.of,) if self.detector is None else (self.of, self.detector)

    def may_lack(self) -> tuple[str, ...]:
        # A pair of which nothing has a box was dropped there, and that is just what is asked for.
        return () if self.detector is None else (self.detector,)

    def models(self) -> tuple[str, ...]:
        return (self.model,)


class Checker(Computing):
    """`schemas/captions/grounding.yaml`."""

    reads = ()

    def __init__(self, settings: Grounding, clip: models.Clip):
        self._settings, self._clip = settings, clip
        self._captions, self._score = f"captions/{settings.of}", f"scores/{settings.model}"
        self.tables = {self._captions: ("captions",), self._score: ("image_embedding",)}
        if settings.detector is not None:
            self.tables[f"captions/{settings.detector}"] = ("phrases", "regions")
        self._others = clip.text_embeddings([PROMPT.format(word) for word in vocabulary(settings.others)])

    def score(self, rows: pa.Table, images: Columns, image_of: np.ndarray) -> Columns:
        captions = rows[f"{self._captions}.captions"].to_pylist()
        objects = [list(dict.fromkeys(name for text in texts for name in phrases(text))) for texts in captions]
        distinct = sorted({name for some in objects for name in some})
        place = {name: index for index, name in enumerate(distinct)}
        embedded = self._clip.text_embeddings([PROMPT.format(name) for name in distinct])
        image = vectors(rows[f"{self._score}.image_embedding"])
        background = np.sort(image @ self._others.T, axis=1)
        above, denied = [], []
        boxes = self._boxes(rows)
        for row, some in enumerate(objects):
            cosines = embedded[[place[name] for name in some]] @ image[row] if some else np.zeros(0, np.float32)
            shares = 1 - np.searchsorted(background[row], cosines, side="right") / background.shape[1]
            above.append(shares.tolist())
            denied.append(
                [name for name, share in zip(some, shares, strict=True) if self._denied(name, share, boxes[row])]
            )
        counts = np.array([len(some) for some in denied], np.int32)
        return {
            "objects": pa.array(objects, pa.list_(pa.string())),
            "above": pa.array(above, pa.list_(pa.float64())),
            "denied": pa.array(denied, pa.list_(pa.string())),
            "hallucinations": counts,
            "hallucinated": counts > 0,
            REASON: np.full(len(rows), None, object),
        }

    def _boxes(self, rows: pa.Table) -> list[tuple[set[str], set[str]]]:
        """Of each row the phrases that the detector was asked for, and those that it has a box of."""
        if self._settings.detector is None:
            return [(set(), set())] * len(rows)
        table = f"captions/{self._settings.detector}"
        asked, found = (rows[f"{table}.{name}"].to_pylist() for name in ("phrases", "regions"))
        return [(set(one or ()), set(other or ())) for one, other in zip(asked, found, strict=True)]

    def _denied(self, name: str, share: float, boxes: tuple[set[str], set[str]]) -> bool:
        asked, found = boxes
        by_clip, by_detector = share > self._settings.most_above, name in asked and name not in found
        return {
            "clip": by_clip,
            "detector": by_detector,
            "both": by_clip and by_detector,
            "either": by_clip or by_detector,
        }[self._settings.denied_by]


def vocabulary(count: int) -> Sequence[str]:
    """Things to compare with: nouns of ImageNet-21k with the smallest draws, always the same."""
    words = [word for word, synset in synsets.nouns().synsets.items() if synset is not None]
    return [words[place].replace("_", " ") for place in np.argsort(draw(0, "things", words), kind="stable")[:count]]


def load(settings: Grounding, device: str, identity: Mapping[str, Any], model: Model) -> Checker:
    """Raises ModelError when the model is not here or not the one that was planned with."""
    return Checker(settings, models.load(model, device, identity["models"][model.name]["revision"]))


KIND = Kind(needs="rows", load=load, identity=lambda settings: settings.identity() | {"prompt": PROMPT}, on_device=True)
