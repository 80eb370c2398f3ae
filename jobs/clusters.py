"""Edges between images on Spark: by bytes, by perceptual hash, by embedding. The comparing is `curate.duplicates`'."""

import jobs  # noqa: F401 - before all others, see there

# isort: split
from functools import partial
from typing import Any

import numpy as np

from curate.duplicates import edges, embeddings, hashes, nodes
from curate.recipe import Dedup
from jobs import components, engine


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
    by = ["band", "key"]
    return equal.union(bucketed(keyed, by, ["phash"], partial(edges.perceptual, by=by, distance=distance)))


def semantic_ties(run: engine.Run, settings: Dedup, source: nodes.Source, standing: Any) -> Any:
    """Ties (a, b) by embedding between images that stand for their bytes and hash: a is dropped, and b stays."""
    spark, names, rule = run.engines.spark(), source.images.part_names(), settings.semantic_rule
    look = partial(nodes.vectors, source=source, centres=centres(run, settings, source))
    rows = engine.spark_rows(run.engines, look, names, nodes.VECTOR)
    heads = standing.where("image_uid = best.image_uid").select("image_uid", "curated", "rank")
    alone = rows.hint("merge").join(heads.hint("merge"), "image_uid")  # see components.STANDING
    bucket = partial(edges.semantic, epsilon=settings.semantic_epsilon, rule=rule, device=settings.device)
    look = partial(edges.runs, by=["cluster"], bucket=bucket, most=embeddings.LARGEST)
    # Components are joined across cuts by their smallest uid, and semdedup visits by a measure of its own, ties by uid.
    order = "rank" if rule == "greedy" else "image_uid"
    columns = ["cluster", "image_uid", "curated", "embedding"]
    ties = bucketed(alone, ["cluster"], [order], look, columns)
    if rule != "components":
        return ties
    return spark.sql(components.BEST, standing=standing, like=components.of(spark, ties))


def centres(run: engine.Run, settings: Dedup, source: nodes.Source) -> np.ndarray | None:
    """Centroids by k-means on a sample of the embeddings, here in the driver; None where one cluster is enough."""
    images, seed = source.images.require().ledger.kept, run.recipe.seed
    clusters = embeddings.clusters_for(images, settings.semantic_clusters)
    if clusters == 1:
        return None
    draw = partial(nodes.sampled, source=source, seed=seed, share=embeddings.sample_share(images, clusters))
    rows = engine.spark_rows(run.engines, draw, source.images.part_names(), nodes.VECTOR)
    sample = embeddings.unpack(rows.toArrow().sort_by("image_uid")["embedding"])
    return embeddings.split(sample, embeddings.centroids(sample, clusters, seed), images, seed)


def bucketed(rows: Any, by: list[str], order: list[str], look: Any, columns: list[str] | None = None) -> Any:
    """Edges that `look` (sorted batches to edges) finds among rows that agree in `by`: the shuffle is Spark's."""
    sorted_rows = rows.repartition(*by).sortWithinPartitions(*by, *order)
    wanted = sorted_rows.select(*columns) if columns else sorted_rows
    return wanted.mapInArrow(look, components.EDGE)
