"""Follows single rows through the side tables: what each stage said of them, and where they ended."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from curate import schema
from curate.images import generations
from curate.ledger import KEPT
from curate.store import Dataset

ROAD = ("images", "duplicates", "matches", "balanced", "scores", "selection")
"""In which order a row's ends are asked: what was found out about the image says more than a choice about the text.
An image may be fetched and looked at for the raw baseline although its text matched nothing."""


@dataclass
class Traced:
    """One pair: what is known of it, and (state, reason) by dataset. `scores` stands for the first scored model."""

    uid: str
    url: str = ""
    text: str = ""
    image_uid: str = ""
    sha256: str | None = None
    similarity: float | None = None
    states: dict[str, tuple[str, str | None]] = field(default_factory=dict)

    def end(self) -> tuple[str, str]:
        """(stage, reason, status or `kept`): the stage that took the row out, or the last one that kept it."""
        for dataset in ROAD:
            _, reason = self.states.get(dataset, ("gone", None))
            if reason is not None:
                return schema.stage_of(dataset), str(reason)
        last = next((name for name in reversed(ROAD) if self.states.get(name, ("gone",))[0] == KEPT), "pairs")
        return schema.stage_of(last), KEPT

    def state(self, dataset: str) -> str:
        return self.states.get(dataset, ("absent", None))[0]

    def reason(self, dataset: str) -> str | None:
        return self.states.get(dataset, ("absent", None))[1]


def trace(workdir: str, uids: Collection[str], model: str | None) -> dict[str, Traced]:
    """Follows pairs by uid. Memory: one record for each uid asked for; the datasets are streamed."""
    wanted = pa.array(sorted(uids), pa.string())
    found = {uid: Traced(uid) for uid in uids}
    for dataset in ROAD:
        name = f"scores/{model}" if dataset == "scores" and model else dataset
        for row in _rows(generations.current(workdir, name), _columns(dataset), wanted):
            traced = found[row["uid"]]
            traced.states[dataset] = (row["state"], row["reason"])
            traced.url = row.get("url") or traced.url
            traced.text = row.get("text") or traced.text
            traced.image_uid = row.get("image_uid") or traced.image_uid
            traced.sha256 = row.get("sha256") or traced.sha256
            traced.similarity = row.get("similarity_score", traced.similarity)
    return found


def _columns(dataset: str) -> list[str]:
    more = {"images": ["image_uid", "url", "text", "sha256"], "scores": ["similarity_score"]}
    return ["uid", "state", "reason", *more.get(dataset, [])]


def _rows(data: Dataset, columns: list[str], wanted: pa.Array) -> Iterator[dict]:
    if len(wanted) and data.manifest() is not None:
        for table in data.batches(columns):
            yield from table.filter(pc.is_in(table["uid"], wanted)).to_pylist()
