"""From clusters of images to what becomes of each pair."""

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from curate.duplicates.nodes import Source, living
from curate.ledger import DROPPED, GONE, KEPT
from curate.parts import annotate
from curate.store import Dataset, Part, Plan

VERDICT = ("reason", "representative", "found_by")
"""What is said of an image that is dropped, or of a pair (then with its uid)."""
Verdicts = Mapping[str, tuple[str | None, ...]]


def decide_part(part: str, verdicts: pa.Table, *, source: Source, target: Dataset, plan: Plan) -> Part:
    """Commits one part of `duplicates`, given the verdicts (columns image_uid, VERDICT, uid) on its images and pairs."""
    of_pair = pc.is_valid(verdicts["uid"])
    of_pairs = _known(verdicts.filter(of_pair), "uid")
    of_images, again = _known(verdicts.filter(pc.invert(of_pair)), "image_uid"), Again()

    def work(images: pa.Table, scores: pa.Table | None = None) -> pa.Table:
        return decide(images, living(images, scores), of_images, of_pairs, again)

    inputs = source.inputs(("image_uid", "state", "text"), ("state",))
    return annotate(part, inputs=inputs, target=target, plan=plan, work=work)


class Again:
    """Texts of the image that rows are at, to know one that comes again: rows of an image are adjacent, across row groups."""

    def __init__(self) -> None:
        self._image, self._texts = "", set[str]()

    def seen(self, image: str, text: str) -> bool:
        """Whether a living row of this image had the text already: a table that brings uids may give a pair two of them."""
        if image != self._image:
            self._image, self._texts = image, set()
        before = text in self._texts
        self._texts.add(text)
        return before


def decide(images: pa.Table, alive: pa.ChunkedArray, verdicts: Verdicts, pairs: Verdicts, again: Again) -> pa.Table:
    """The rows of `duplicates` for rows of `images`: a living row shares its image's fate, or has one for its text's sake."""
    states, said = [], []
    rows = zip(*(images[name].to_pylist() for name in ("uid", "image_uid", "text")), alive.to_pylist(), strict=True)
    for uid, image, text, lives in rows:
        verdict: tuple[str | None, ...] = (None, None, None)
        if lives:
            kept = ("exact", image, None) if again.seen(image, text) else (None, image, None)
            verdict = verdicts.get(image) or (kept if kept[0] else pairs.get(uid, kept))
        states.append((DROPPED if verdict[0] else KEPT) if lives else GONE)
        said.append(verdict)
    columns = dict(zip(VERDICT, zip(*said, strict=True), strict=True)) if said else dict.fromkeys(VERDICT, ())
    found = {name: pa.array(list(column), pa.string()) for name, column in columns.items()}
    return pa.table({"uid": images["uid"], "state": pa.array(states, pa.string()), **found})


def _known(verdicts: pa.Table, key: str) -> Verdicts:
    said = zip(*(verdicts[name].to_pylist() for name in VERDICT), strict=True)
    return dict(zip(verdicts[key].to_pylist(), said, strict=True))
