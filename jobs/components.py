"""Connected components on Spark, and what they mean for images; the part of dedup that is written in SQL.

Alternating large-star and small-star (Kiveris et al., SoCC 2014): every round is a shuffle, rounds grow with the
logarithm of the longest chain, and no long edge list ever sits in one process.
"""

from typing import Any

from curate.duplicates.edges import components as in_memory

EDGE = "a string, b string"
FEW = 1 << 20
"""Edges that one task may hold (about 200 MB)."""

LARGE_STAR = """
select distinct v a, m b from (
    select u, v, least(u, min(v) over (partition by u)) m
    from (select a u, b v from {edges} union all select b u, a v from {edges}))
where v > u
"""
"""Ties every neighbour that is larger than u to the smallest of u and its neighbours."""

SMALL_STAR = """
select distinct tied.a, tied.b from (
    select explode(array(struct(b a, m b), struct(a, m b))) tied
    from (select a, b, min(b) over (partition by a) m from {edges}))
where tied.a <> tied.b
"""
"""Ties every smaller neighbour of u, and u, to the smallest of them. Edges run from the larger (a) to the smaller (b)."""

REPRESENT = """
with clustered as (
    select f.*, coalesce(s.b, f.image_uid) same, coalesce(l.b, s.b, f.image_uid) cluster
    from {free} f left join {same} s on f.image_uid = s.a left join {like} l on coalesce(s.b, f.image_uid) = l.a),
ranked as (
    select *, min(struct(not curated, -side, coalesce(-similarity, double('infinity')), image_uid, sha256, same))
        over (partition by cluster) best
    from clustered)
select part, image_uid,
    case when sha256 = best.sha256 then 'exact' when same = best.same then 'perceptual' else 'semantic' end reason,
    best.image_uid representative
from ranked where image_uid <> best.image_uid
union all
select part, image_uid, 'in_evaluation_set', null from {every} where held
"""
"""Who stands for each cluster: an image that the curated set has (else it would lose the cluster), then the largest,
then the most similar to a text of its own, then the smallest uid. Everyone else is dropped, with the closest tie."""


def none(spark: Any) -> Any:
    return spark.createDataFrame([], EDGE)


def of(spark: Any, edges: Any) -> Any:
    """Components of the edges (a, b), b < a: a DataFrame (a, b) that ties each node to its component's smallest.

    A few edges are one task's work. More go round by round, each cut off from its past, or the plan would double with
    every round; what has not changed is done.
    """
    edges = edges.localCheckpoint(eager=False)
    seen = _mark(edges)
    if seen[0] <= FEW:
        return edges.coalesce(1).mapInArrow(in_memory, EDGE)
    while True:
        edges = spark.sql(SMALL_STAR, edges=spark.sql(LARGE_STAR, edges=edges)).localCheckpoint(eager=False)
        before, seen = seen, _mark(edges)
        if seen == before:
            return edges


def _mark(edges: Any) -> tuple[int, int]:
    """Number of edges and a checksum that does not depend on their order."""
    row = edges.selectExpr("count(*) n", "coalesce(bit_xor(xxhash64(a, b)), 0L) mark").collect()[0]
    return row.n, row.mark
