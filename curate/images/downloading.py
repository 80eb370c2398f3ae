"""The download stage for one part: which rows are fetched, and what becomes of each."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curate import schema
from curate.images.archive import ArchiveWriter, tar_name
from curate.images.consent import Policy, Refusal
from curate.images.fetching import Fetched, fetch
from curate.images.status import Ending
from curate.ledger import DROPPED, FAILED, KEPT, alive
from curate.parts import committed, zipped
from curate.recipe import Download
from curate.store import Dataset, Part, Plan

BATCH = 8192
"""Rows whose images are fetched together, and rows in a row group: their images wait on the local disk for the tar."""
PAIR_COLUMNS = ("uid", "image_uid", "url", "text", "kind", "page_url", "page_robots")


def download_part(
    part: str, *, pairs: Dataset, matches: Dataset, balanced: Dataset, target: Dataset, plan: Plan, settings: Download
) -> Part:
    """Fetches the images of one part of `pairs` and commits the part of `images` and the tar beside it.

    Rows are those that balance kept or the baseline drew, in their order; a batch is one shard of img2dataset.
    """
    inputs = {
        "pairs": (pairs, PAIR_COLUMNS),
        "matches": (matches, ("lang",)),
        "balanced": (balanced, ("state", "baseline")),
    }
    policy = Policy.of(settings)
    before: dict[str, Fetched] = {}
    with target.write_part(part, plan.hash) as out:
        with target.sidecar(tar_name(part)) as file:
            archive = ArchiveWriter(file)
            for rows in regrouped(map(chosen, (tables for tables in zipped(part, inputs)))):
                refusals = [policy.on_page(robots) for robots in rows["page_robots"].to_pylist()]
                wanted = _wanted(rows, refusals)
                fetched = before | fetch([item for item in wanted if item[0] not in before], settings, archive.add)
                out.write(_answered(rows, refusals, fetched))
                # The texts of an image may go on in the next row group; it is fetched once.
                last = rows["image_uid"][-1].as_py()
                before = {last: fetched[last]} if last in fetched else {}
            archive.close()
    return committed(target, part, plan)


def chosen(tables: dict[str, pa.Table]) -> pa.Table:
    """The rows to fetch out of aligned row groups of pairs, matches and balanced, with what is said of them there."""
    balanced = tables["balanced"]
    curated, baseline = alive(balanced["state"]), balanced["baseline"]
    rows = tables["pairs"].append_column("lang", tables["matches"]["lang"])
    rows = rows.append_column("curated", curated).append_column("baseline", baseline)
    return rows.filter(pc.or_(curated, baseline))


def regrouped(tables: Iterator[pa.Table], size: int = BATCH) -> Iterator[pa.Table]:
    """The same rows in tables of exactly `size`, the last one smaller; none when there are no rows."""
    held: pa.Table | None = None
    for table in tables:
        held = table if held is None else pa.concat_tables([held, table])
        while len(held) >= size:
            yield held.slice(0, size).combine_chunks()
            held = held.slice(size)
    if held is not None and len(held):
        yield held.combine_chunks()


def _wanted(rows: pa.Table, refusals: list[Refusal | None]) -> list[tuple[str, str]]:
    """(image_uid, url) of each image that some page of these rows allows, once, in order."""
    pairs = zip(rows["image_uid"].to_pylist(), rows["url"].to_pylist(), refusals, strict=True)
    return list(dict.fromkeys((image, url) for image, url, refusal in pairs if refusal is None))


def _answered(rows: pa.Table, refusals: list[Refusal | None], fetched: dict[str, Fetched]) -> pa.Table:
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
    for name in ("nbytes", "sha256", "width", "height", "format", "phash"):
        columns[name] = [None if fact is None else getattr(fact, name) for fact in facts]
    table = rows.drop_columns(["page_robots"])
    types = known.arrow()
    for name, values in columns.items():
        table = table.append_column(name, pa.array(values, types.field(name).type))
    return table.select(list(known.columns))


def _state(status: str | None, known: schema.Schema) -> str:
    if status is None:
        return KEPT
    return DROPPED if status in known.dropped else FAILED
