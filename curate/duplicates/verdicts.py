"""From clusters of images to what becomes of each pair."""

from collections.abc import Iterable

import pyarrow as pa

from curate.duplicates.nodes import Source, living
from curate.ledger import DROPPED, GONE, KEPT
from curate.parts import annotate
from curate.store import Dataset, Part, Plan


def decide_part(part: str, verdicts: pa.Table, *, source: Source, target: Dataset, plan: Plan) -> Part:
    """Commits one part of `duplicates`, given the verdicts (columns image_uid, reason, representative) on its images."""
    known = dict(_rows(verdicts))

    def work(images: pa.Table, scores: pa.Table | None = None) -> pa.Table:
        return decide(images, living(images, scores), known)

    return annotate(part, inputs=source.inputs(("image_uid", "state"), ("state",)), target=target, plan=plan, work=work)


def decide(images: pa.Table, alive: pa.ChunkedArray, verdicts: dict[str, tuple[str, str | None]]) -> pa.Table:
    """The rows of `duplicates` for rows of `images`: a living row shares its image's fate, whatever its text."""
    states, reasons, representatives = [], [], []
    for image, lives in zip(images["image_uid"].to_pylist(), alive.to_pylist(), strict=True):
        reason, representative = verdicts.get(image, (None, image)) if lives else (None, None)
        states.append((DROPPED if reason else KEPT) if lives else GONE)
        reasons.append(reason)
        representatives.append(representative)
    return pa.table(
        {
            "uid": images["uid"],
            "state": pa.array(states, pa.string()),
            "reason": pa.array(reasons, pa.string()),
            "representative": pa.array(representatives, pa.string()),
        }
    )


def _rows(verdicts: pa.Table) -> Iterable[tuple[str, tuple[str, str | None]]]:
    columns = (verdicts[name].to_pylist() for name in ("image_uid", "reason", "representative"))
    return ((image, (reason, representative)) for image, reason, representative in zip(*columns, strict=True))
