"""The download stage for one part: which rows are fetched, and what becomes of each."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import NamedTuple

import pyarrow as pa

from curate.images import held
from curate.images.archive import ArchiveWriter, tar_name
from curate.images.consent import Policy, Refusal
from curate.images.fetched import Batch, Fetched, Session
from curate.images.fetching import session
from curate.images.inspecting import suffix
from curate.images.rows import answered, regrouped, to_fetch, wanted_of
from curate.images.times import Times
from curate.parts import committed
from curate.recipe import Download
from curate.store import Dataset, Part, PartWriter, Plan

AHEAD = 2
"""Batches that are under way together, so that the slowest images of one do not leave the line idle."""


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
        times = stack.enter_context(Times.beside(part, target))
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
        wanted = wanted_of(rows, refusals)
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
    begun: Begun, before: dict[str, Fetched], out: PartWriter, archive: ArchiveWriter, times: "Times"
) -> dict[str, Fetched]:
    """Writes what became of a batch. Returns the image whose texts may go on in the next one."""
    mine = begun.batch.result()
    fetched = before | mine
    rows = begun.group.rows
    table, notes = begun.group.written(answered(rows, begun.refusals, fetched))
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
