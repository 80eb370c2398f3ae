"""Quotas and weights: exact on distinct pairs, nested, and the same however the pairs are cut into parts."""

import itertools
import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.draw import draw
from curate.pools import mixing
from curate.pools.mixing import MixError
from curate.recipe import RecipeError, Source, build

NAMES = ("crawl", "table", "captions")


def source(name: str, **how) -> Source:
    return Source(name=name, inputs=("x",), **how)


def pool(sizes: dict[str, int], seed: int = 0) -> pa.Table:
    chance = random.Random(seed)
    rows = [
        (f"{chance.getrandbits(128):032x}", f"{chance.getrandbits(128):032x}", name)
        for name, n in sizes.items()
        for _ in range(n)
    ]
    chance.shuffle(rows)
    return pa.table({name: pa.array([row[at] for row in rows], pa.string()) for at, name in enumerate(mixing.COLUMNS)})


def mix(table: pa.Table, sources: list[Source], parts: int = 3, seed: int = 7) -> tuple[set[str], dict]:
    """What is taken, by way of parts, and the cuts."""
    edges = np.linspace(0, len(table), parts + 1).astype(int)
    cut = [table.slice(a, b - a) for a, b in itertools.pairwise(edges)]

    def rows(function, searches):
        found = mixing.summed([function(part, searches, seed) for part in cut])
        return list(zip(*(found[name].to_pylist() for name in found.schema.names), strict=True))

    cuts = mixing.cuts(sources, lambda s: rows(mixing.counts, s), lambda s: rows(mixing.looked_at, s))
    taken = [part.filter(pa.array(mixing.taken(part, cuts, seed)))["uid"].to_pylist() for part in cut]
    return {uid for part in taken for uid in part}, cuts


def of(table: pa.Table, name: str) -> set[str]:
    return {
        uid for uid, source in zip(table["uid"].to_pylist(), table["source"].to_pylist(), strict=True) if source == name
    }


@given(st.lists(st.integers(0, 300), min_size=3, max_size=3), st.integers(0, 400), st.integers(0, 5))
def test_a_quota_is_exact_and_takes_the_smallest_draws(sizes, quota, seed):
    table = pool(dict(zip(NAMES, sizes, strict=True)))
    taken, cuts = mix(table, [source("crawl", quota=quota), source("table"), source("captions", quota=10)], seed=seed)
    own = sorted(of(table, "crawl"), key=lambda uid: draw(seed, "mix", [uid])[0])
    assert taken & of(table, "crawl") == set(own[:quota])
    assert of(table, "table") <= taken and len(taken & of(table, "captions")) == min(10, sizes[2])
    assert (cuts["crawl"].found, cuts["crawl"].kept) == (sizes[0], min(quota, sizes[0])) and "table" not in cuts


@pytest.mark.parametrize("few", [1, 10, 2**16])
def test_cuts_do_not_depend_on_parts_nor_on_how_far_bins_are_searched(monkeypatch, few):
    table = pool({"crawl": 20_000, "table": 3000, "captions": 50})
    sources = [source("crawl", weight=3), source("table", weight=1), source("captions", quota=20)]
    whole = mix(table, sources, parts=1)
    monkeypatch.setattr(mixing, "FEW", few)
    for parts in (1, 3, 7):
        assert mix(table, sources, parts) == whole
    shuffled = table.take(pa.array(np.random.default_rng(1).permutation(len(table))))
    assert mix(shuffled, sources, 5) == whole
    assert mix(table, sources, 1, seed=8)[0] != whole[0]


def test_a_smaller_quotas_set_lies_inside_a_larger_ones():
    table = pool({"crawl": 2000})
    sets = [mix(table, [source("crawl", quota=n)])[0] for n in (0, 1, 10, 999, 1999, 2000, 3000)]
    assert [len(found) for found in sets] == [0, 1, 10, 999, 1999, 2000, 2000]
    assert all(small <= large for small, large in itertools.pairwise(sets))


@pytest.mark.parametrize("bits", [2, 12])
def test_pairs_with_one_draw_are_told_apart_by_name(monkeypatch, bits):
    monkeypatch.setattr(
        mixing, "draw", lambda seed, purpose, uids: np.array([int(uid[0], 16) % 2 / 2**5 for uid in uids])
    )
    monkeypatch.setattr(mixing, "FEW", 1)
    monkeypatch.setattr(mixing, "BITS", bits)
    table = pool({"crawl": 500})
    for quota in (1, 100, 499):
        assert len(mix(table, [source("crawl", quota=quota)], 4)[0]) == quota
    # A table may give one uid to two images.
    twins = table.set_column(0, "uid", pa.array(["a" * 32] * 500))
    taken = mixing.taken(twins, mixing_cuts(twins, 123), 0)
    assert taken.sum() == 123


def mixing_cuts(table, quota):
    def rows(found):
        return list(zip(*(found[name].to_pylist() for name in found.schema.names), strict=True))

    return mixing.cuts(
        [source("crawl", quota=quota)],
        lambda s: rows(mixing.counts(table, s, 0)),
        lambda s: rows(mixing.looked_at(table, s, 0)),
    )


@given(st.lists(st.integers(1, 10**6), min_size=3, max_size=3), st.lists(st.integers(1, 99), min_size=3, max_size=3))
def test_weights_give_the_largest_mix_in_proportion(found, tenths):
    weights = [n / 10 for n in tenths]
    sources = [source(name, weight=weight) for name, weight in zip(NAMES, weights, strict=True)]
    shares = mixing.shares(sources, dict(zip(NAMES, found, strict=True)))
    scale = min(n / t for n, t in zip(found, tenths, strict=True))
    for name, n, t in zip(NAMES, found, tenths, strict=True):
        assert shares[name] <= n and abs(shares[name] - scale * t) <= 1
    # One source is taken whole: no larger mix has these shares.
    assert any(shares[name] == n for name, n in zip(NAMES, found, strict=True))


def test_weights_are_decimals_and_stay_within_quotas():
    found = {"crawl": 1000, "table": 1000, "captions": 1000}
    assert mixing.shares([source("crawl", weight=0.1), source("table", weight=0.3)], found) == {
        "crawl": 333,
        "table": 1000,
    }
    assert mixing.shares([source("crawl", weight=0.1, quota=100), source("table", weight=0.3)], found) == {
        "crawl": 100,
        "table": 300,
    }
    assert mixing.shares([source("crawl", quota=0), source("table")], found) == {"crawl": 0}
    with pytest.raises(MixError, match="captions has a weight and no pair to take"):
        mixing.shares([source("crawl", weight=1), source("captions", weight=1)], {"crawl": 5})


def test_settings_out_of_range_are_refused():
    for bad in ({"weight": 0}, {"weight": -1}, {"quota": -1}, {"quota": 1.5}):
        with pytest.raises(RecipeError, match=next(iter(bad))):
            build(
                {"name": "t", "score": {"models": []}, "extract": {"sources": [{"name": "a", "inputs": ["x"], **bad}]}}
            )
    assert not mixing.mixed([source("a")]) and mixing.mixed([source("a", quota=0)])
