"""Perceptual hashes: multi-index hashing finds exactly what comparing all with all finds."""

import numpy as np
import pyarrow as pa
import pytest

from curate.duplicates import edges, hashes


def planted(n: int, seed: int = 0) -> np.ndarray:
    """Distinct random hashes, half of them a few bits away from another."""
    draw = np.random.default_rng(seed)
    base = draw.integers(0, 2**64, n // 2, dtype=np.uint64)
    flips = np.zeros(len(base), dtype=np.uint64)
    for _ in range(8):
        flip = np.uint64(1) << draw.integers(0, 64, len(base), dtype=np.uint64)
        flips ^= np.where(draw.random(len(base)) < 0.6, flip, np.uint64(0))
    return np.unique(np.concatenate([base, base ^ flips]))


def brute(left: np.ndarray, right: np.ndarray, distance: int) -> np.ndarray:
    return np.array([[bin(int(a) ^ int(b)).count("1") <= distance for b in right] for a in left])


def components(n: int, pairs: set[tuple[int, int]]) -> list[int]:
    label = list(range(n))
    while (after := [min([label[i], *(label[a + b - i] for a, b in pairs if i in (a, b))]) for i in range(n)]) != label:
        label = after
    return label


@pytest.mark.parametrize(("distance", "blocks"), [(1, 2), (2, 3), (4, 5), (4, 6), (4, 7), (8, 9), (15, 16)])
def test_buckets_find_what_brute_force_finds(distance, blocks):
    bits = planted(120)
    pairs = {(i, j) for i, j in np.argwhere(brute(bits, bits, distance)).tolist() if i < j}
    assert pairs or distance < 3
    found = set()
    for key in hashes.keys(bits, blocks, distance):
        for value in np.unique(key):
            members = np.flatnonzero(key == value)
            rows, columns = hashes.close_pairs(bits[members], distance)
            found |= set(zip(members[rows].tolist(), members[columns].tolist(), strict=True))
    assert found == pairs


@pytest.mark.parametrize("distance", [0, 1, 4, 10])
def test_any_close_is_brute_force(distance):
    bits, references = planted(300, 1), planted(300, 1)[::3] ^ np.uint64(2)
    want = brute(bits, references, distance).any(axis=1)
    assert 0 < want.sum() < len(want) or distance == 0
    assert (hashes.any_close(bits, references, distance) == want).all()
    assert not hashes.any_close(bits, references[:0], distance).any()


@pytest.mark.parametrize(
    ("n", "distance"), [(10, 4), (2**20, 4), (2**29, 4), (2**33, 4), (10, 15), (2**33, 15), (5, 1)]
)
def test_keys_cover_all_bits_and_grow_with_the_pool(n, distance):
    blocks = hashes.blocks_for(n, distance)
    masks = hashes.masks(blocks, distance)
    assert np.bitwise_or.reduce(masks) == np.uint64(2**64 - 1) and len(set(masks.tolist())) == len(masks) <= 136
    assert blocks == distance + 1 or n > hashes.BUCKET
    assert hashes.blocks_for(10, 4) <= hashes.blocks_for(2**29, 4) <= hashes.blocks_for(2**33, 4)


def test_a_pair_is_found_in_large_buckets_too():
    bits = np.sort(np.random.default_rng(3).integers(0, 2**64, 3000, dtype=np.uint64))
    bits[2500] = bits[7] ^ np.uint64(9)
    rows, columns = hashes.close_pairs(bits, 2)
    assert (7, 2500) in set(zip(rows.tolist(), columns.tolist(), strict=True))


@pytest.mark.parametrize("most", [1, 2, 63, 64, 65, 300])
def test_pairs_are_those_within_runs(most):
    draw = np.random.default_rng(most)
    bits = draw.integers(0, 2, (700, 3)).astype(np.uint64) @ np.array([1, 2, 4], np.uint64)
    cuts = np.cumsum([0, *draw.integers(1, most + 1, 700)])
    cuts = np.array([*cuts[cuts < 700], 700])
    rows, columns = hashes.close_pairs(bits, 1, cuts)
    run = np.searchsorted(cuts, np.arange(700), "right")
    wanted = {(i, j) for i, j in np.argwhere(brute(bits, bits, 1)).tolist() if i < j and run[i] == run[j]}
    assert len(rows) == len(wanted) and set(zip(rows.tolist(), columns.tolist(), strict=True)) == wanted


def test_texts_are_parsed_bit_by_bit():
    assert hashes.parse(["8000000000000001", "0000000000000000"]).tolist() == [2**63 + 1, 0]


@pytest.mark.parametrize("cut", [1, 2, 3, 5, 100])
def test_runs_do_not_depend_on_how_batches_are_cut(cut):
    bits = planted(80, 4)
    uids = np.array([f"{i:032x}" for i in np.random.default_rng(4).permutation(len(bits))], dtype=object)
    rows = [(band, int(k), int(b), u) for band, key in enumerate(hashes.keys(bits, 5, 4).view(np.int64))
            for k, b, u in zip(key, bits.view(np.int64), uids, strict=True)]  # fmt: skip
    rows.sort()
    table = pa.table(dict(zip(("band", "key", "phash", "image_uid"), map(list, zip(*rows, strict=True)), strict=True)))
    batches = [batch for start in range(0, len(table), cut) for batch in table.slice(start, cut).to_batches()]
    found = edges.perceptual(batches, ["band", "key"], 4)
    tied = {(row["a"], row["b"]) for batch in found for row in batch.to_pylist()}
    at = {uid: i for i, uid in enumerate(uids)}
    pairs = {(i, j) for i, j in np.argwhere(brute(bits, bits, 4)).tolist() if i < j}
    assert pairs and components(len(bits), {(at[a], at[b]) for a, b in tied}) == components(len(bits), pairs)
    assert all(b < a for a, b in tied)


def test_a_star_ties_everyone_to_the_smallest_uid():
    uids = np.array(["d", "b", "c", "a", "z"], dtype=object)
    found = edges.star(uids, np.array([0, 1, 2]), np.array([1, 2, 3])).to_pylist()
    assert {(row["a"], row["b"]) for row in found} == {("d", "a"), ("b", "a"), ("c", "a")}
    assert len(edges.star(uids, np.array([], int), np.array([], int))) == 0
