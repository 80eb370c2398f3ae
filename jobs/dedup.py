"""dedup: one image stands for all that are the same, by bytes, perceptual hash or embedding; evaluation images go (Spark).

python jobs/dedup.py -c recipe.yaml -w workdirs/mine
"""

import jobs  # noqa: F401 - before all others, see there

# isort: split
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache, partial
from typing import Any

import msgspec
import pyarrow as pa

from curate.duplicates import nodes, overlap, verdicts
from curate.images import generations
from curate.recipe import Dedup
from curate.store import Part
from jobs import clusters, components, engine, held_out, texts

RECORD = "record string"


def run(run: engine.Run) -> None:
    settings, images = run.recipe.dedup, generations.newest(run.workdir)
    source = nodes.Source(
        images,
        scores=run.dataset(f"scores/{held_out.model(run)}") if settings.semantic_model else None,
        pairs=run.dataset("pairs") if settings.keep == "oldest" else None,
        date=settings.keep_date,
    )
    marks = {f"evaluation/{one.name}": overlap.fingerprint(one) for one in run.recipe.evaluate.sets}
    inputs = [data.name for data in (images, source.scores, source.pairs) if data]
    identity = settings.identity() | {"seed": run.recipe.seed, "max_pixels": run.recipe.download.max_pixels}
    plan = run.plan("duplicates", identity, inputs, images.part_names(), **marks)
    target = run.dataset("duplicates")

    calibration = cache(partial(held_out.calibration, run))

    def launch(missing: list[str]) -> list[Part]:
        look = partial(
            nodes.nodes, source=source, held=held_out.held(run, calibration(), target), distance=settings.phash_distance
        )
        decide = partial(verdicts.decide_part, source=source, target=target, plan=plan)
        with ExitStack() as cached:
            every = persisted(engine.spark_rows(run.engines, look, images.part_names(), nodes.NODE), cached)
            return written(run.engines, judged(run, settings, source, every, cached), decide, missing)

    def finish() -> dict[str, Any]:
        found = calibration()
        return {"evaluation": msgspec.to_builtins(found)} if found else {}

    run.make(plan, launch, finish)


def judged(run: engine.Run, settings: Dedup, source: nodes.Source, every: Any, cached: ExitStack) -> Any:
    """A DataFrame of verdicts for the nodes `every`: each image or pair that is dropped, and why."""
    spark, free = run.engines.spark(), every.where("held is null").drop("held")
    same = components.of(spark, clusters.hash_edges(spark, free, settings, source.images.require().ledger.kept))
    order = components.STANDING.format(order=components.ORDER[settings.keep])
    standing, like = persisted(spark.sql(order, free=free, same=same), cached), components.none(spark)
    if settings.semantic_epsilon:
        like = clusters.semantic_ties(run, settings, source, standing)
    found = spark.sql(components.VERDICTS, every=every, standing=standing, like=like)
    if settings.text_similarity:
        found = found.union(texts.near(run, source, found, settings.text_similarity, cached))
    return found


def persisted(frame: Any, cached: ExitStack) -> Any:
    """The frame, kept until `cached` closes: the session may be a caller's."""
    cached.callback(frame.unpersist)
    return frame.persist()


def written(engines: engine.Engines, found: Any, decide: Callable[..., Part], missing: list[str]) -> list[Part]:
    """Hands each missing part its verdicts and commits it."""

    def task(part: pa.Table, known: pa.Table) -> pa.Table:
        return pa.table({"record": [msgspec.json.encode(decide(part["part"][0].as_py(), known)).decode()]})

    parts = engines.spark().createDataFrame([(name,) for name in missing], "part string")
    of_parts = found.join(parts, "part", "left_semi").groupBy("part")
    rows = parts.groupBy("part").cogroup(of_parts).applyInArrow(task, RECORD).collect()
    return [msgspec.json.decode(row.record, type=Part) for row in rows]


if __name__ == "__main__":
    engine.main(run)
