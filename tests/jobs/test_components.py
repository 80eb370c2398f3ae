"""Connected components on Spark: round by round they are what one task finds."""

from itertools import pairwise

import numpy as np

from jobs import components


def test_rounds_find_what_memory_finds(engines, monkeypatch):
    spark = engines.spark()
    draw = np.random.default_rng(0)
    names = [f"{n:04d}" for n in draw.permutation(80)]
    chain = list(pairwise(names[:16]))
    others = [(names[i], names[j]) for i, j in draw.integers(20, 80, (40, 2)) if i != j]
    edges = [(max(pair), min(pair)) for pair in chain + others]
    table = spark.createDataFrame(edges + edges[:5], components.EDGE)
    few = {(row.a, row.b) for row in components.of(spark, table).collect()}
    monkeypatch.setattr(components, "FEW", -1)
    many = {(row.a, row.b) for row in components.of(spark, table).collect()}
    assert few == many and {(name, min(names[:16])) for name in names[:16] if name != min(names[:16])} <= few
    assert len({a for a, _ in few}) == len(few) and not {a for a, _ in few} & {b for _, b in few}
    assert components.of(spark, components.none(spark)).collect() == []
