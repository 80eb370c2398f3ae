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

_SCORE, _SIZE = "coalesce(-similarity, double('infinity'))", "-side"
ORDER = {
    "largest": f"{_SIZE}, {_SCORE}",
    "best_score": f"{_SCORE}, {_SIZE}",
    "oldest": f"seen, {_SCORE}, {_SIZE}",
}
"""What `dedup.keep` puts first, in SQL. Before all of it comes what the curated set has (else it would lose the cluster), and at
its end stands the uid."""

STANDING = """
with clustered as (
    select /*+ merge(s) */ f.*, struct(not curated, {order}, image_uid) rank, coalesce(s.b, f.image_uid) same
    from {{free}} f left join {{same}} s on f.image_uid = s.a)
select part, image_uid, sha256, curated, rank, min(struct(rank, image_uid, sha256)) over (partition by same) best from clustered
"""
"""Who stands for the images that are the same by bytes or hash; `order` is one of ORDER.

Spark takes what a Python function makes of eight parts for eight rows, and would send all of it to the driver for a broadcast join: hence
the hints, here and below."""

BEST = """
select a, b from (
    select /*+ merge(l) */ image_uid a, min(struct(rank, image_uid)) over (partition by coalesce(l.b, image_uid)).image_uid b
    from {standing} left join {like} l on image_uid = l.a where image_uid = best.image_uid)
where a <> b
"""
"""Components by embedding, each tied to the one that stands for it."""

VERDICTS = """
select /*+ merge(l) */ part, image_uid,
    case when l.b is not null then 'semantic' when sha256 = best.sha256 then 'exact' else 'perceptual' end reason,
    coalesce(l.b, best.image_uid) representative, null found_by, null uid
from {standing} left join {like} l on best.image_uid = l.a where image_uid <> coalesce(l.b, best.image_uid)
union all
select part, image_uid, 'in_evaluation_set', null, held, null from {every} where held is not null
"""
"""Everyone for whom another one stands is dropped, with the closest tie; copies of a dropped one go with it."""


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
