"""The download stage for one part: which rows are fetched, and what becomes of each."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curate import schema
from curate.images import held
from curate.images.archive import ArchiveWriter, tar_name
from curate.images.consent import Policy, Refusal
from curate.images.fetched import Batch, Fetched, Session, Wanted
from curate.images.fetching import session
from curate.images.inspecting import suffix
from curate.images.status import Ending
from curate.ledger import DROPPED, FAILED, KEPT, alive
from curate.parts import committed, zipped
from curate.recipe import Download
from curate.store import Dataset, Part, PartWriter, Plan

BATCH = 8192
"""Rows whose images are fetched together, and rows in a row group: their images wait on the local disk for the tar."""
AHEAD = 2
"""Batches that are under way together, so that the slowest images of one do not leave the line idle."""
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


def times_name(part: str) -> str:
    """Beside a part: how long each of its images took. No two runs agree on that, so it stands in no part and no manifest."""
    return f"{part}.times.parquet"


class Group(NamedTuple):
    """Rows to fetch together, with all that `chosen` says of them; and what is written once their answers are known."""

    rows: pa.Table
    written: Callable[[pa.Table], tuple[pa.Table, dict[str, int]]] = lambda answered: (answered, {})
    """Makes a row group of the answers, and notes for the ledger."""


class Begun(NamedTuple):
    """Rows whose images are on their way."""

    group: Group
    refusals: list[Refusal | None]
    batch: Batch


def download_part(
    part: str,
    *,
    pairs: Dataset,
    matches: Dataset,
    balanced: Dataset,
    target: Dataset,
    plan: Plan,
    settings: Download,
    shelf: held.Shelf | None = None,
) -> Part:
    """Fetches the images of one part of `pairs` and commits the part of `images`, with the tar and the times beside it.

    Rows are those that balance kept or the baseline drew, in their order. What rows name as `member` is not fetched but taken from
    the `shelf`. A part that is there already is left as it is:
    engines start a task again whose answer they have lost.
    """
    done = target.committed(part, plan.hash)
    if done is not None:
        return done
    rows = regrouped(to_fetch(part, pairs, matches, balanced))
    return fetch_groups(part, map(Group, rows), target=target, plan=plan, settings=settings, shelf=shelf)


def to_fetch(part: str, pairs: Dataset, matches: Dataset, balanced: Dataset) -> Iterator[pa.Table]:
    """The rows of one part that balance kept or the baseline drew, in order: those of `images`, in other groups."""
    inputs = {
        "pairs": (pairs, PAIR_COLUMNS),
        "matches": (matches, ("lang",)),
        "balanced": (balanced, ("state", "baseline")),
    }
    return map(chosen, zipped(part, inputs))


def fetch_groups(
    part: str,
    groups: Iterator[Group],
    *,
    target: Dataset,
    plan: Plan,
    settings: Download,
    shelf: held.Shelf | None,
) -> Part:
    """Fetches groups of rows and commits a part of `images` with one row group for each, the tar and the times beside it."""
    with ExitStack() as stack:
        out = stack.enter_context(target.write_part(part, plan.hash))
        times = stack.enter_context(_Times.beside(part, target))
        archive = ArchiveWriter(stack.enter_context(target.sidecar(tar_name(part))))
        work = session(settings)
        stack.callback(work.close)
        before: dict[str, Fetched] = {}
        for begun in _begun(groups, work, Policy.of(settings), shelf, settings):
            before = _ended(begun, before, out, archive, times)
        archive.close()
    return committed(target, part, plan)


def _begun(
    groups: Iterator[Group], work: Session, policy: Policy, shelf: held.Shelf | None, settings: Download
) -> Iterator[Begun]:
    """Begins batches, some ahead of the one that is yielded. An image whose texts go on in the next one is asked for once."""
    under_way: deque[Begun] = deque()
    asked: str | None = None
    for group in groups:
        rows = group.rows
        refusals = [policy.on_page(robots) for robots in rows["page_robots"].to_pylist()]
        wanted = _wanted(rows, refusals)
        missing = [item for item in wanted if item.image != asked]
        batch = (
            work.start(missing)
            if shelf is None
            else held.start(work, missing, held.places(rows, refusals), shelf, settings)
        )
        under_way.append(Begun(group, refusals, batch))
        if len(rows):
            last = rows["image_uid"][-1].as_py()
            asked = last if last == asked or any(item.image == last for item in wanted) else None
        if len(under_way) >= AHEAD:
            yield under_way.popleft()
    yield from under_way


def _ended(
    begun: Begun, before: dict[str, Fetched], out: PartWriter, archive: ArchiveWriter, times: "_Times"
) -> dict[str, Fetched]:
    """Writes what became of a batch. Returns the image whose texts may go on in the next one."""
    mine = begun.batch.result()
    fetched = before | mine
    rows = begun.group.rows
    table, notes = begun.group.written(_answered(rows, begun.refusals, fetched))
    out.write(table)
    out.note(**notes)
    for image, data in begun.batch.bodies(mine.keys()):
        facts = mine[image].facts
        if facts is not None:
            archive.add(f"{image}.{suffix(facts.format)}", data)
    begun.batch.close()
    times.write(mine)
    if not len(rows):
        return before
    last = rows["image_uid"][-1].as_py()
    return {last: fetched[last]} if last in fetched else {}


class _Times:
    """Writes `part-00000.times.parquet`."""

    def __init__(self, file: Any):
        self._schema = schema.load("times").arrow()
        self._writer = pq.ParquetWriter(file, self._schema, compression="zstd")

    @classmethod
    @contextmanager
    def beside(cls, part: str, target: Dataset) -> Iterator["_Times"]:
        with target.sidecar(times_name(part)) as file:
            times = cls(file)
            yield times
            times._writer.close()

    def write(self, fetched: dict[str, Fetched]) -> None:
        rows = [(image, end.times) for image, end in fetched.items() if end.times is not None]
        columns = {
            "image_uid": [image for image, _ in rows],
            "elapsed": [times.elapsed for _, times in rows],
            "waited": [times.waited for _, times in rows],
            "requests": [times.requests for _, times in rows],
        }
        self._writer.write_table(pa.table(columns, schema=self._schema))


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


def _wanted(rows: pa.Table, refusals: list[Refusal | None]) -> list[Wanted]:
    """Each image that some page of these rows allows, once, in order, with the hashes that its sources give it."""
    urls: dict[str, str] = {}
    known: dict[str, dict[str, None]] = {}
    columns = (rows[name].to_pylist() for name in ("image_uid", "url", "known_sha256"))
    for image, url, sha256, refusal in zip(*columns, refusals, strict=True):
        if refusal is None:
            urls.setdefault(image, url)
            known.setdefault(image, {}).update({sha256: None} if sha256 else {})
    return [Wanted(image, url, tuple(known[image])) for image, url in urls.items()]


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
