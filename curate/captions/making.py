"""Makes one part of a table of captions; this is what an engine's worker runs."""

from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate import parts, schema
from curate.backends import registry as backends
from curate.backends.cache import Cache
from curate.backends.contract import Photo, mark_of
from curate.backends.desk import Counts
from curate.backends.kept import Kept
from curate.backends.settings import Backend as BackendSettings
from curate.captions import registry
from curate.captions.contract import COUNTED, Asking, Computing, Reads, Row
from curate.captions.conversing import conversed
from curate.captions.entering import IMAGES, Entered, entering, laid
from curate.captions.settings import Captioner
from curate.facts import passing
from curate.images.archive import images_of
from curate.ledger import GONE, KEPT
from curate.parts import Inputs
from curate.recipe import Model
from curate.schema import Schema
from curate.store import Dataset, Part, Plan
from curate.weights import ModelError


@dataclass(frozen=True)
class Task:
    """A table of captions to be made."""

    settings: Captioner
    backend: BackendSettings | None
    models: tuple[Model, ...]
    """Those of the recipe that the captioner names, in its order."""
    images: Dataset
    target: Dataset
    plan: Plan
    seed: int
    device: str
    threads: int
    max_pixels: int
    answers: str
    """Folder with what backends have answered."""


class Made(msgspec.Struct, frozen=True):
    """A part and what it took to make it now; `counts` is for people, and in no table."""

    part: Part
    counts: dict[str, int] = {}


def caption_part(part: str, *, task: Task) -> Made:
    """Makes a part of the task's table."""
    kind = registry.kind(task.settings)
    captioner = kind.load(task.settings, task.device, task.plan.settings, *task.models)
    reads: Reads = captioner.reads if kind.needs == "requests" else captioner.tables | {"images": captioner.reads}
    inputs = inputs_of(task, reads)
    counts = Counts()
    with task.target.write_part(part, task.plan.hash) as out:
        if kind.needs == "requests":
            tables = asked(part, inputs, captioner, task, counts)
        else:
            tables = computed(part, inputs, captioner, task, kind.needs == "pixels")
        for table in tables:
            out.write(table)
            # The account of a table is a sum over its rows, whoever asked for them and when.
            out.note(**{name: pc.sum(table[name]).as_py() or 0 for name in COUNTED if name in table.column_names})
    return Made(parts.committed(task.target, part, task.plan), vars(counts))


def inputs_of(task: Task, reads: Reads) -> Inputs:
    """What a captioner reads; of every table also the state."""
    workdir = task.images.workdir
    others = {
        name: (Dataset(workdir, name), ["state", *columns]) for name, columns in reads.items() if name != "images"
    }
    mine = list(dict.fromkeys([*IMAGES, *reads.get("images", ())]))
    return {"images": (task.images, mine), "duplicates": (Dataset(workdir, "duplicates"), ["state"])} | others


# -- captioners that ask


@dataclass
class _Group:
    """A row group on its way: its answers come in order."""

    uid: pa.ChunkedArray
    entered: Entered
    wanted: int
    answers: list[dict[str, Any]] = field(default_factory=list)


def rows_of(part: str, inputs: Inputs, task: Task, groups: deque[_Group] | None = None) -> Iterator[Row]:
    """The rows that enter, in order; each row group is added to `groups` before its rows."""
    pictures = passing.Pictures(images_of(task.images, part)) if task.settings.shows else None
    last: Photo | None = None
    for tables in parts.zipped(part, inputs):
        entered = entering(tables, task.settings, task.seed)
        if groups is not None:
            groups.append(_Group(tables["images"]["uid"], entered, int(entered.mask.sum())))
        chosen = {name: table.filter(pa.array(entered.mask)).to_pylist() for name, table in tables.items()}
        for index, row in enumerate(chosen["images"]):
            if pictures and (last is None or last.sha256 != row["sha256"]):
                last = Photo(pictures.take(row["image_uid"]), row["sha256"], task.max_pixels)
            yield Row(
                uid=row["uid"],
                image_uid=row["image_uid"],
                text=row["text"],
                tables={name: values[index] for name, values in chosen.items()},
                photo=last if pictures else None,
            )


def asked(part: str, inputs: Inputs, captioner: Asking, task: Task, counts: Counts) -> Iterator[pa.Table]:
    """Yields the table of each row group. Conversations go on over the edges of row groups, so that a backend never waits for one."""
    assert task.backend is not None
    backend = backends.kind(task.backend).load(task.backend, task.device)
    if backend.mark != mark_of(task.plan.settings["asks"]):
        raise ModelError(f"backend {task.backend.name!r} is not the model that this run was planned with")
    groups: deque[_Group] = deque()

    def written(group: _Group) -> pa.Table:
        return laid(group.uid, group.entered, group.answers, task.target.schema)

    cache = Cache(task.answers, backend.mark, part, failures=isinstance(backend, Kept))
    try:
        for columns in conversed(rows_of(part, inputs, task, groups), captioner, backend, cache, counts):
            while len(groups[0].answers) == groups[0].wanted:
                yield written(groups.popleft())
            groups[0].answers.append(columns)
    finally:
        cache.close()
    while groups:
        yield written(groups.popleft())


# -- captioners that compute


def computed(part: str, inputs: Inputs, captioner: Computing, task: Task, pixels: bool) -> Iterator[pa.Table]:
    """Yields the table of each row group."""
    known = task.target.schema
    desk = passing.Desk(captioner, pixels, known)
    pictures = passing.Pictures(images_of(task.images, part), task.max_pixels) if pixels else None
    with ThreadPoolExecutor(task.threads, "see") as pool:
        for tables in parts.zipped(part, inputs):
            entered = entering(tables, task.settings, task.seed)
            for table in passing.score(beside(tables, entered), [desk], pictures, pool):
                yield with_left(table, entered, known)


def beside(tables: Mapping[str, pa.Table], entered: Entered) -> pa.Table:
    """One table of a row group: `images` with the columns of the others as `<dataset>.<column>`; who did not enter is gone."""
    table = tables["images"]
    states = pa.array(np.where(entered.mask, KEPT, GONE).tolist(), pa.string())
    table = table.set_column(table.column_names.index("state"), "state", pa.chunked_array([states]))
    for name, other in tables.items():
        for column in other.column_names if name != "images" else ():
            table = table.append_column(f"{name}.{column}", other[column])
    return table


def with_left(table: pa.Table, entered: Entered, known: Schema) -> pa.Table:
    """The table with the states and reasons of those who did not enter."""
    for name, left in (("state", entered.state), ("reason", entered.reason)):
        values = np.where(entered.mask, table[name].to_numpy(zero_copy_only=False), left)
        place = table.column_names.index(name)
        table = table.set_column(place, name, pa.array(values.tolist(), schema.TYPES[known.columns[name].type]))
    return table
