"""dedup: one image stands for all that are the same, by bytes, perceptual hash or embedding; evaluation images go (Spark).

python jobs/dedup.py -c recipe.yaml -w workdirs/mine
"""

import jobs  # noqa: F401 - before all others, see there

# isort: split
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from curate.duplicates import edges, embeddings, hashes, nodes, overlap, verdicts
from curate.images import generations
from curate.recipe import Dedup, RecipeError
from curate.store import Part, nearest
from jobs import components, engine

RECORD = "record string"


def run(run: engine.Run) -> None:
    settings, images = run.recipe.dedup, generations.newest(run.workdir)
    source = nodes.Source(images, run.dataset(f"scores/{model(run)}") if settings.semantic_model else None)
    marks = {f"evaluation/{one.name}": overlap.fingerprint(one) for one in run.recipe.evaluate.sets}
    inputs = [images.name, *([source.scores.name] if source.scores else [])]
    identity = settings.identity() | {"seed": run.recipe.seed, "max_pixels": run.recipe.download.max_pixels}
    plan = run.plan("duplicates", identity, inputs, images.part_names(), **marks)

    def launch(missing: list[str]) -> list[Part]:
        held = overlap.held(run.recipe.evaluate.sets, run.recipe.download.max_pixels)
        look = partial(nodes.nodes, source=source, held=held, distance=settings.phash_distance)
        every = engine.spark_rows(run.engines, look, images.part_names(), nodes.NODE).persist()
        decide = partial(verdicts.decide_part, source=source, target=run.dataset("duplicates"), plan=plan)
        try:
            return written(run.engines, judged(run, settings, source, every), decide, missing)
        finally:
            every.unpersist()

    run.make(plan, launch)


def model(run: engine.Run) -> str:
    """The model whose embeddings are compared; RecipeError when score does not know it."""
    name, known = run.recipe.dedup.semantic_model or "", [model.name for model in run.recipe.score.models]
    if name not in known:
        raise RecipeError(f"dedup.semantic_model: {name!r} is not in score.models: {nearest(name, known)}")
    return name


def judged(run: engine.Run, settings: Dedup, source: nodes.Source, every: Any) -> Any:
    """A DataFrame of verdicts.VERDICT for the nodes `every`: each image that is dropped, its reason and representative."""
    spark, free = run.engines.spark(), every.where("not held").drop("held")
    same = components.of(spark, hash_edges(spark, free, settings, source.images.require().ledger.kept))
    like = components.none(spark)
    if settings.semantic_epsilon:
        like = components.of(spark, semantic_edges(run, settings, source, every.where("held"), same))
    return spark.sql(components.REPRESENT, free=free, every=every, same=same, like=like)


def hash_edges(spark: Any, free: Any, settings: Dedup, images: int) -> Any:
    """Edges by sha256, or by perceptual hash: equal bytes have equal hashes, so the one shuffle serves both.

    Equal hashes are tied to the smallest uid, so that each hash is compared once, however many images have it.
    """
    distance = settings.phash_distance
    if distance < 0 and not settings.exact:
        return components.none(spark)
    star = "select phash, image_uid a, min(image_uid) over (partition by {column}) b from {{free}}"
    tied = spark.sql(star.format(column="sha256" if distance < 0 else "phash"), free=free)
    equal = tied.where("a <> b").select("a", "b")
    if distance <= 0:
        return equal
    blocks = hashes.blocks_for(images, distance)
    masks = ", ".join(f"{mask}L" for mask in hashes.masks(blocks, distance).view(np.int64).tolist())
    banded = tied.where("a = b").selectExpr("phash", "a image_uid", f"posexplode(array({masks})) as (band, mask)")
    keyed = banded.selectExpr("phash", "image_uid", "band", "phash & mask key")
    return equal.union(bucketed(keyed, ["band", "key"], "phash", partial(edges.perceptual, distance=distance)))


def semantic_edges(run: engine.Run, settings: Dedup, source: nodes.Source, held: Any, same: Any) -> Any:
    """Edges by embedding between images that stand for their bytes and hash: one of each, however often it was copied."""
    names, images = source.images.part_names(), source.images.require().ledger.kept
    clusters, centres = embeddings.clusters_for(images, settings.semantic_clusters), None
    if clusters > 1:
        share = embeddings.sample_share(images, clusters)
        draw = partial(nodes.sampled, source=source, seed=run.recipe.seed, share=share)
        sample = engine.spark_rows(run.engines, draw, names, nodes.VECTOR).toArrow().sort_by("image_uid")
        centres = embeddings.centroids(embeddings.unpack(sample["embedding"]), clusters, run.recipe.seed)
    rows = engine.spark_rows(run.engines, partial(nodes.vectors, source=source, centres=centres), names, nodes.VECTOR)
    others = same.selectExpr("a image_uid").union(held.select("image_uid"))
    alone = rows.join(others, "image_uid", "left_anti")
    return bucketed(alone, ["cluster"], "image_uid", partial(edges.semantic, epsilon=settings.semantic_epsilon))


def bucketed(rows: Any, by: list[str], order: str, bucket: edges.Bucket) -> Any:
    """Edges that `bucket` finds among rows that agree in `by`: the shuffle is Spark's."""
    sorted_rows = rows.repartition(*by).sortWithinPartitions(*by, order)
    return sorted_rows.mapInArrow(partial(edges.runs, by=by, bucket=bucket), "a string, b string")


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
