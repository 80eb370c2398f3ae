"""From clusters of images to what becomes of each pair."""

from collections.abc import Mapping

import pyarrow as pa

from curate.duplicates.nodes import Source, living
from curate.ledger import DROPPED, GONE, KEPT
from curate.parts import annotate
from curate.store import Dataset, Part, Plan

VERDICT = ("reason", "representative", "found_by")
"""What is said of an image that is dropped."""


def decide_part(part: str, verdicts: pa.Table, *, source: Source, target: Dataset, plan: Plan) -> Part:
    """Commits one part of `duplicates`, given the verdicts (columns image_uid and VERDICT) on its images."""
    said = zip(*(verdicts[name].to_pylist() for name in VERDICT), strict=True)
    known = dict(zip(verdicts["image_uid"].to_pylist(), said, strict=True))

    def work(images: pa.Table, scores: pa.Table | None = None) -> pa.Table:
        return decide(images, living(images, scores), known)

    return annotate(part, inputs=source.inputs(("image_uid", "state"), ("state",)), target=target, plan=plan, work=work)


def decide(images: pa.Table, alive: pa.ChunkedArray, verdicts: Mapping[str, tuple[str | None, ...]]) -> pa.Table:
    """The rows of `duplicates` for rows of `images`: a living row shares its image's fate, whatever its text."""
    states, said = [], []
    for image, lives in zip(images["image_uid"].to_pylist(), alive.to_pylist(), strict=True):
        verdict = verdicts.get(image, (None, image, None)) if lives else (None, None, None)
        states.append((DROPPED if verdict[0] else KEPT) if lives else GONE)
        said.append(verdict)
    columns = dict(zip(VERDICT, zip(*said, strict=True), strict=True)) if said else dict.fromkeys(VERDICT, ())
    found = {name: pa.array(list(column), pa.string()) for name, column in columns.items()}
    return pa.table({"uid": images["uid"], "state": pa.array(states, pa.string()), **found})
