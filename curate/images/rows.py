"""Rows of a part on their way through the download: which are fetched, and the table of what became of them."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curate import schema
from curate.images.consent import Refusal
from curate.images.fetched import Fetched, Wanted
from curate.images.status import Ending
from curate.ledger import DROPPED, FAILED, KEPT, alive
from curate.parts import zipped
from curate.store import Dataset

BATCH = 8192
"""Rows whose images are fetched together, and rows in a row group: their images wait on the local disk for the tar."""
PAIR_COLUMNS = (
    "uid",
    "image_uid",
    "url",
    "text",
    "kind",
    "page_url",
    "page_robots",
    "source",
    "known_sha256",
    "crawl_file",
    "member",
    "record_offset",
)


def to_fetch(part: str, pairs: Dataset, matches: Dataset, balanced: Dataset) -> Iterator[pa.Table]:
    """The rows of one part that balance kept or the baseline drew, in order: those of `images`, in other groups."""
    inputs = {
        "pairs": (pairs, PAIR_COLUMNS),
        "matches": (matches, ("lang",)),
        "balanced": (balanced, ("state", "baseline")),
    }
    return map(chosen, zipped(part, inputs))


def chosen(tables: dict[str, pa.Table]) -> pa.Table:
    """The rows to fetch out of aligned row groups of pairs, matches and balanced, with what is said of them there."""
    balanced = tables["balanced"]
    curated, baseline = alive(balanced["state"]), balanced["baseline"]
    rows = tables["pairs"].append_column("lang", tables["matches"]["lang"])
    rows = rows.append_column("curated", curated).append_column("baseline", baseline)
    return rows.filter(pc.or_(curated, baseline))


def regrouped(tables: Iterator[pa.Table], size: int = BATCH) -> Iterator[pa.Table]:
    """The same rows in tables of exactly `size`, the last one smaller; none when there are no rows."""
    waiting: pa.Table | None = None
    for table in tables:
        waiting = table if waiting is None else pa.concat_tables([waiting, table])
        while len(waiting) >= size:
            yield waiting.slice(0, size).combine_chunks()
            waiting = waiting.slice(size)
    if waiting is not None and len(waiting):
        yield waiting.combine_chunks()


def wanted_of(rows: pa.Table, refusals: list[Refusal | None]) -> list[Wanted]:
    """Each image that some page of these rows allows, once, in order, with the hashes that its sources give it."""
    urls: dict[str, str] = {}
    known: dict[str, dict[str, None]] = {}
    columns = (rows[name].to_pylist() for name in ("image_uid", "url", "known_sha256"))
    for image, url, sha256, refusal in zip(*columns, refusals, strict=True):
        if refusal is None:
            urls.setdefault(image, url)
            known.setdefault(image, {}).update({sha256: None} if sha256 else {})
    return [Wanted(image, url, tuple(known[image])) for image, url in urls.items()]


def answered(rows: pa.Table, refusals: list[Refusal | None], fetched: dict[str, Fetched]) -> pa.Table:
    """The table of `images` for these rows: what is known of the pair, and how its image ended."""
    known = schema.load("images")
    endings = [
        fetched[image] if refusal is None else Fetched(Ending(refusal.reason, None, str(refusal), refusal.rule))
        for image, refusal in zip(rows["image_uid"].to_pylist(), refusals, strict=True)
    ]
    facts = [end.facts for end in endings]
    columns: dict[str, Any] = {
        "state": [_state(end.ending.status, known) for end in endings],
        "reason": [end.ending.status for end in endings],
        "http_status": [end.ending.http_status for end in endings],
        "error": [end.ending.words for end in endings],
        "opt_out": [end.ending.rule for end in endings],
    }
    for name in ("final_url", "redirects", "content_type", "nbytes"):
        columns[name] = [getattr(end.trail, name) for end in endings]
    for name in ("sha256", "width", "height", "format", "phash"):
        columns[name] = [None if fact is None else getattr(fact, name) for fact in facts]
    sources = zip(columns["sha256"], rows["known_sha256"].to_pylist(), strict=True)
    columns["sha256_matches"] = [ours == theirs.lower() if ours and theirs else None for ours, theirs in sources]
    table = rows.drop_columns(["page_robots", "known_sha256", "crawl_file", "member", "record_offset"])
    types = known.arrow()
    for name, values in columns.items():
        table = table.append_column(name, pa.array(values, types.field(name).type))
    return table.select(list(known.columns))


def _state(status: str | None, known: schema.Schema) -> str:
    if status is None:
        return KEPT
    return DROPPED if status in known.dropped else FAILED
