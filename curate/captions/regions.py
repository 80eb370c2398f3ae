"""Where the things that a caption names are: phrases of it, and boxes from an open-vocabulary detector.

CLOC's VESL (Chen et al. 2024): phrases of a caption, at most 20 drawn, boxes with a score above 0.1, each with the phrase that it is surest of.
GRAIN (Zohra et al. 2024): phrases that a model lists (captioner `features`), boxes from 0.3 on, at most five used.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import msgspec
import numpy as np

from curate.backends import owl
from curate.backends.contract import Request
from curate.captions.contract import REASON, Asking, Conversation, Kind, Row, refused
from curate.captions.settings import Asks
from curate.draw import draw
from curate.settings import Count, Name, Share
from curate.texts.phrases import phrases


class Regions(Asks, frozen=True, kw_only=True, tag="regions"):
    """Boxes and what is in them; see `curate.captions.regions`."""

    shows: ClassVar[bool] = True

    of: Name | None = None
    """The captioner whose captions are looked through for phrases; by default the alt text is."""
    features: Name | None = None
    """The captioner `features` whose phrases are taken instead."""
    most_phrases: Annotated[int, msgspec.Meta(ge=1, le=100)] = 20
    """More are drawn from, by hash."""
    min_score: Share = 0.1
    """Boxes have to be above this."""
    most_boxes: Count = 20
    """Of an image, the surest ones."""
    seed: int = 0

    def captions_of(self) -> tuple[str, ...]:
        return tuple(name for name in (self.of, self.features) if name is not None)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.of is not None and self.features is not None:
            raise ValueError(f"{self.name}: `of` and `features` are both given; phrases are of one of them")


class Finder(Asking):
    """`schemas/captions/regions.yaml`."""

    def __init__(self, settings: Regions):
        self._settings = settings
        self._column = "captions" if settings.features is None else "features"
        self.reads = {f"captions/{name}": (self._column,) for name in settings.captions_of()}

    def converse(self, row: Row) -> Conversation:
        texts = [row.text]
        for table in self.reads:
            texts = row.tables[table][self._column]
        candidates = chosen(texts, row.image_uid, self._settings)
        if not candidates:
            return {REASON: "no_phrase"}
        (answer,) = yield [Request("\n".join(candidates), photo=row.photo)]
        if status := refused([answer]):
            return {REASON: status, "phrases": candidates}
        try:
            boxes = owl.read(answer.text, len(candidates))
        except ValueError:
            return {REASON: "bad_answer", "phrases": candidates}
        found = [box for box in boxes if box.score > self._settings.min_score][: self._settings.most_boxes]
        if not found:
            return {REASON: "no_box", "phrases": candidates}
        return {
            "phrases": candidates,
            "regions": [candidates[box.phrase] for box in found],
            "boxes": [[box.left, box.top, box.right, box.bottom] for box in found],
            "box_scores": [box.score for box in found],
            REASON: None,
        }


def chosen(texts: Sequence[str], image_uid: str, settings: Regions) -> list[str]:
    """The phrases of texts, in order, each once; where there are more than `most_phrases`, those with the smallest draws."""
    split = phrases if settings.features is None else (lambda text: [" ".join(text.split())[:200]])
    found = list(dict.fromkeys(phrase for text in texts for phrase in split(text) if phrase))
    if len(found) <= settings.most_phrases:
        return found
    draws = draw(settings.seed, "phrases", [f"{image_uid}:{phrase}" for phrase in found])
    return [found[place] for place in sorted(np.argsort(draws, kind="stable")[: settings.most_phrases])]


def load(settings: Regions, device: str, identity: Mapping[str, Any]) -> Finder:
    return Finder(settings)


KIND = Kind(needs="requests", load=load)
