"""Pairs whose texts are nearly the same, on Spark: bands of MinHash signatures. The comparing is `curate.duplicates.texts`."""

import jobs  # noqa: F401 - before all others, see there

# isort: split
from contextlib import ExitStack
from functools import partial
from typing import Any

from curate.duplicates import edges, nodes, texts
from jobs import clusters, components, engine

VERDICTS = """
select part, image_uid, 'text_near' reason, best.image_uid representative, null found_by, uid from (
    select /*+ merge(l) */ r.*,
        min(struct(not curated, coalesce(-similarity, double('infinity')), uid, image_uid))
            over (partition by coalesce(l.b, uid)) best
    from {rows} r left join {near} l on uid = l.a)
where uid <> best.uid
"""
"""A pair that the curated set has goes before others, then the most similar to its image, then the smallest uid."""


def near(run: engine.Run, source: nodes.Source, images: Any, similarity: float, cached: ExitStack) -> Any:
    """A DataFrame of verdicts on pairs, but those of `images`, whose images are dropped: their texts stand for nobody."""
    spark = run.engines.spark()
    look = partial(texts.rows, source=source, similarity=similarity)
    every = engine.spark_rows(run.engines, look, source.images.part_names(), texts.ROW)
    rows = every.hint("merge").join(images.select("image_uid"), "image_uid", "left_anti").persist()
    cached.callback(rows.unpersist)
    keyed = rows.selectExpr("uid", "grams", "posexplode(keys) as (band, key)")
    by, bucket = ["band", "key"], partial(texts.near, similarity=similarity)
    compare = partial(edges.runs, by=by, bucket=bucket, most=texts.LARGEST)
    ties = clusters.bucketed(keyed, by, ["uid"], compare)
    return spark.sql(VERDICTS, rows=rows, near=components.of(spark, ties))
