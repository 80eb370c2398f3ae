"""Runs a function of the library over the parts of a dataset, as tasks of Spark or in actors of Ray."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from curate.store import Part
from jobs import errors
from jobs.attaching import Engines

PartFunction = Callable[[str], Part]


def spark_parts(
    engines: Engines, function: PartFunction, parts: Sequence[str], *, workers: int | None = None
) -> list[Part]:
    """Runs a part function over parts, one Spark task each, or `workers` tasks in all; retries and placement are Spark's."""
    names, function = list(parts), errors.marked(function)
    if not names:
        return []

    def task(batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow as pa

        for batch in batches:
            records = [msgspec.json.encode(function(names[i])).decode() for i in batch.column("id").to_pylist()]
            yield pa.RecordBatch.from_pydict({"record": records})

    tasks = engines.spark().range(0, len(names), 1, min(workers or len(names), len(names)))
    rows = tasks.mapInArrow(task, "record string").collect()
    return [msgspec.json.decode(row.record, type=Part) for row in rows]


def spark_rows(engines: Engines, function: Callable[[str], Any], parts: Sequence[str], columns: str) -> Any:
    """A Spark DataFrame of what `function` makes of each part, an Arrow table or several; `columns` in Spark's DDL."""
    names, tables = list(parts), errors.marked_tables(function)

    def task(batches: Iterator[Any]) -> Iterator[Any]:
        for i in (i for batch in batches for i in batch.column("id").to_pylist()):
            yield from (found for table in tables(names[i]) for found in table.to_batches())

    return engines.spark().range(0, len(names), 1, max(len(names), 1)).mapInArrow(task, columns)


def ray_map(
    engines: Engines, function: Callable[[str], Any], names: Sequence[str], *, workers: int = 1, gpus: float = 0
) -> list[Any]:
    """The function's answers (anything JSON can hold) for names, in their order, from a pool of Ray actors.

    What the function caches stays warm in an actor. One that dies is started again and its item retried; an error of
    the function itself ends the run.
    """
    items = list(names)
    if not items:
        return []
    ray = engines.ray()
    from ray.util import ActorPool

    crew = engines.actors().take(ray, min(workers, len(items)), gpus)
    work = ray.put(function)
    # The reference inside a list is not resolved at each call: an actor unpickles a function once.
    answers = ActorPool(crew).map(lambda actor, item: actor.run.remote([work], item), items)
    return [msgspec.json.decode(answer) for answer in answers]


def ray_parts(
    engines: Engines, function: PartFunction, parts: Sequence[str], *, workers: int = 1, gpus: float = 0
) -> list[Part]:
    """Runs a part function over parts in a pool of Ray actors, each part once. Returns their records."""
    answers = ray_map(engines, function, parts, workers=workers, gpus=gpus)
    return [msgspec.convert(answer, Part) for answer in answers]
