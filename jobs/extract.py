"""extract: files of a crawl to `pairs`, one row per image URL and text.

Two steps, each of which goes on where it was killed: every file, or some small ones together, become one part of candidates
(`pairs-read`, removed at the end), and one shuffle by the hash of the image URL cuts them into the parts that all later stages
follow. Where sources have quotas or weights, that makes `pairs-whole`, of which each part of `pairs` takes what is let in.
"""

import jobs  # noqa: F401 - before all others, see there

# isort: split
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import msgspec
import pyarrow as pa

from curate import schema
from curate.pools import collapsing, grouping, inputs, mixing, readers, staging
from curate.store import Dataset, Manifest, Part, Plan, part_name
from jobs import engine
from jobs import mixing as mixes

SPARK_TYPES = {pa.string(): "string", pa.int32(): "int", pa.int64(): "bigint"}


def run(run: engine.Run) -> Manifest:
    """Makes `pairs` of the files that extract.inputs and extract.sources name."""
    settings = run.recipe.extract
    files = inputs.expand(settings, run.recipe.seed)
    marks = {"pool": inputs.identity(files), **readers.check(files)}
    run.engines.warm |= readers.warming(files)
    names = [part_name(i) for i in range(settings.parts)]
    mixed = mixing.mixed(settings.sources)
    plan = run.plan(
        "pairs", settings.identity() | ({"seed": run.recipe.seed} if mixed else {}), [], names, **marks
    )  # fmt: skip
    staged, whole, pairs = (run.dataset(name) for name in ("pairs-read", "pairs-whole", "pairs"))

    def read() -> Manifest:
        limits = {name: value for name, value in settings.identity().items() if name != "parts"}
        groups = grouping.grouped(files)
        reading = run.plan(staged.name, limits, [], [part_name(i) for i in range(len(groups))], **marks)
        function = partial(staging.read_files, settings=settings, target=staged, plan=reading)

        def launch(missing: list[str]) -> list[Part]:
            # Anew each time: a pool that has moved is the same pool elsewhere.
            grouping.put(staged, groups)
            return engine.spark_parts(run.engines, function, missing)

        return run.make(reading, launch)

    def shuffle(target: Dataset, plan: Plan, missing: list[str]) -> Sequence[Part]:
        read()
        return _shuffle(run.engines.spark(), staged, target, plan, missing)

    def mix(missing: list[str]) -> Sequence[Part]:
        everything = run.plan(whole.name, settings.identity(), [], names, **marks)
        run.make(everything, lambda missing: shuffle(whole, everything, missing))
        return mixes.parts(run, whole, pairs, plan, missing)

    def finish() -> dict[str, Any]:
        said = {"quarantine": staging.quarantine(staged, staged.manifest() or read())}
        return said | ({"mix": mixes.account(pairs)} if mixed else {})

    manifest = run.make(
        plan,
        mix if mixed else lambda missing: shuffle(pairs, plan, missing),
        finish=finish,
        before=lambda: staging.left_before(staged.require()),
    )
    for done in (whole, staged):
        done.remove()
    return manifest


def _shuffle(spark: Any, staged: Dataset, target: Dataset, plan: Plan, missing: list[str]) -> list[Part]:
    """Makes the missing parts of `pairs`: one shuffle by part, one sort within it, one streamed write."""
    names, count = staged.part_names(), len(plan.parts)
    wanted = frozenset(index for index, name in enumerate(plan.parts) if name in set(missing))

    def load(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for index in batch.column("id").to_pylist():
                with staged.open_part(names[index]) as file:
                    for group in range(file.num_row_groups):
                        yield from collapsing.keyed(file.read_row_group(group), count, wanted).to_batches()

    def write(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        tables = (pa.Table.from_batches([batch]) for batch in batches)
        for part in collapsing.collapse(tables, target, plan):
            yield pa.RecordBatch.from_pydict({"record": [msgspec.json.encode(part).decode()]})

    columns = {**{field.name: field.type for field in schema.load("pairs").arrow()}, **collapsing.KEYS}
    rows = spark.range(0, len(names), 1, len(names)).mapInArrow(
        load, ", ".join(f"{name} {SPARK_TYPES[kind]}" for name, kind in columns.items())
    )
    # How many tasks the shuffle has is the session's choice (spark.sql.shuffle.partitions); the parts do not depend on it.
    sorted_rows = rows.repartition("part").sortWithinPartitions(*collapsing.ORDER)
    answers = sorted_rows.mapInArrow(write, "record string").collect()
    done = [msgspec.json.decode(answer.record, type=Part) for answer in answers]
    empty = sorted({*missing} - {part.name for part in done})
    return [*done, *(collapsing.write(part, [], target, plan) for part in empty)]


if __name__ == "__main__":
    engine.main(run)
