"""Balance in the loader: what it draws is what balancing before would have drawn, again and again, and the same for everyone."""

from collections import Counter
from functools import partial
from itertools import chain, islice

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from curate.concepts import balancing as offline
from curate.recipe import Balance, RecipeError, build
from curate.training.balancing import Redrawn, drawn
from curate.training.job import Job, check
from curate.training.shards import InMemory, Streaming, TrainingError, read_shard, sizes_of
from curate.uid import image_uid, pair_uid

COUNTS = np.array([1, 40, 100, 1000, 0])
T = 20
"""Entries 0..4 keep 1, .5, .2, .02 and nothing of their texts."""


def entries_of(uid: str) -> list[int]:
    """One or two of the four entries that have a count, by the pair's uid."""
    return sorted({int(uid[0], 16) % 4, int(uid[1], 16) % 4})


def keep(uid: str) -> float:
    """The keep probability by the formula of the paper, one factor after another."""
    missed = 1.0
    for entry in entries_of(uid):
        missed *= 1 - T / max(T, COUNTS[entry])
    return float(1 - missed)


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return tmp_path_factory.mktemp("online")


@pytest.fixture(scope="module")
def shards(workdir, make_shards):
    """32 pictures with two texts each, in 5 shards, with keep probabilities from .02 to 1."""
    return make_shards(workdir, shards=5, keep=keep)


@pytest.fixture(scope="module")
def samples(shards):
    return [sample for name in sizes_of(shards) for sample in read_shard(shards, name)]


@pytest.fixture(scope="module")
def offline_sets(samples):
    """For each of 400 seeds {key: its texts} of the set that the stage balance keeps."""
    texts = {u: (s.key, t) for s in samples for u, t in zip(s.uids, s.texts, strict=True)}
    matches = pa.table({"uid": list(texts), "state": ["kept"] * len(texts), "lang": ["en"] * len(texts),
                        "entries": pa.array(map(entries_of, texts), pa.list_(pa.int32()))})  # fmt: skip
    odds = offline.odds(COUNTS, T)
    sets = []
    for seed in range(400):
        table = offline.balance(matches, lambda lang: odds, Balance(t=T), seed)
        assert table["keep_probability"].to_pylist() == pytest.approx([keep(uid) for uid in texts])
        kept: dict[str, tuple[str, ...]] = {}
        for row in table.to_pylist():
            if row["state"] == "kept":
                key, text = texts[row["uid"]]
                kept[key] = (*kept.get(key, ()), text)
        sets.append(kept)
    return sets


@pytest.fixture(scope="module")
def online_sets(shards, samples):
    """{key: its texts} of 400 epochs: 100 of each of four seeds."""
    return [
        {sample.key: sample.texts for sample in Redrawn(shards, seed).taken(epoch, samples)}
        for seed in range(4) for epoch in range(100)
    ]  # fmt: skip


def chance_of(sample) -> float:
    return 1 - np.prod([1 - p for p in sample.keep_probabilities])


def sigmas(seen, expected, variance) -> float:
    """How many standard deviations off a sum of draws is; without a deviation, 0 when it is exact and else infinite."""
    if variance == 0:
        return 0.0 if seen == expected else float("inf")
    return abs(seen - expected) / variance**0.5


@pytest.mark.parametrize("which", ["offline_sets", "online_sets"])
def test_epochs_are_as_large_as_the_probabilities_add_up_to(request, samples, which):
    sets = request.getfixturevalue(which)
    chances = np.array([chance_of(sample) for sample in samples])
    total = sum(map(len, sets))
    assert sigmas(total, len(sets) * chances.sum(), len(sets) * (chances * (1 - chances)).sum()) < 4
    assert len({len(kept) for kept in sets}) > 5  # and no two need be alike


@pytest.mark.parametrize("which", ["offline_sets", "online_sets"])
def test_each_image_and_each_text_is_in_as_often_as_its_probability_says(request, samples, which):
    sets = request.getfixturevalue(which)
    images = Counter(chain.from_iterable(sets))
    texts = Counter((key, text) for kept in sets for key, inside in kept.items() for text in inside)
    for sample in samples:
        p = chance_of(sample)
        assert sigmas(images[sample.key], len(sets) * p, len(sets) * p * (1 - p)) < 4, sample.key
        for text, p in zip(sample.texts, sample.keep_probabilities, strict=True):
            assert sigmas(texts[sample.key, text], len(sets) * p, len(sets) * p * (1 - p)) < 4, text


def test_texts_come_together_as_often_online_as_offline(samples, offline_sets, online_sets):
    found = [Counter(chain.from_iterable(kept.items() for kept in sets)) for sets in (offline_sets, online_sets)]
    for outcome in found[0] | found[1]:
        one, other = (counts[outcome] for counts in found)
        p = (one + other) / 800
        assert sigmas(one - other, 0, 800 * p * (1 - p)) < 4, outcome


def test_a_probability_of_one_is_always_in_and_of_zero_never():
    uids = [image_uid(str(i)) for i in range(3000)]
    for epoch in range(10):
        assert drawn(0, epoch, uids, np.ones(3000)).all()
        assert not drawn(0, epoch, uids, np.zeros(3000)).any()


def test_the_share_that_is_drawn_is_the_probability():
    n = 100_000
    uids = [image_uid(str(i)) for i in range(n)]
    for p in (0.02, 0.2, 0.5, 0.9):
        assert sigmas(drawn(0, 3, uids, np.full(n, p)).sum(), n * p, n * p * (1 - p)) < 4, p


def test_epochs_and_seeds_draw_independently():
    uids, half = [image_uid(str(i)) for i in range(20_000)], np.full(20_000, 0.5)
    one, later, other = drawn(0, 0, uids, half), drawn(0, 1, uids, half), drawn(1, 0, uids, half)
    for both in (one & later, one & other):
        assert sigmas(both.sum(), 5000, 20_000 * 0.25 * 0.75) < 4


def test_a_larger_probability_keeps_what_a_smaller_one_kept():
    uids = [image_uid(str(i)) for i in range(1000)]
    small, large = (set(np.flatnonzero(drawn(5, 7, uids, np.full(1000, p)))) for p in (0.2, 0.5))
    assert small < large


# -- the order of an epoch


def told(batches, n):
    """What is seen: (epoch, [(key, texts)]) of n batches."""
    return [(epoch, [(s.key, s.texts) for s in inside]) for epoch, inside in islice(batches, n)]


def in_memory(shards, samples, rank=0, world=1, batch=4):
    return InMemory(samples, batch, 0, rank, world, Redrawn(shards, 0))


def stream(shards, rank=0, world=1, share=4, window=3):
    return Streaming(partial(read_shard, shards), sizes_of(shards), share, 0, window, rank, world, Redrawn(shards, 0))


def turns(source, start, n, workers):
    """The batches of n steps by loaders that take turns."""
    loaders = [source.batches(start, worker, workers) for worker in range(workers)]
    return [told(loaders[i % workers], 1)[0] for i in range(n)]


def test_an_epoch_in_memory_is_a_permutation_of_those_that_are_drawn(shards, samples):
    seen = told(in_memory(shards, samples).batches(0), 60)
    for epoch in range(seen[-1][0]):
        taken = {s.key: s.texts for s in Redrawn(shards, 0).taken(epoch, samples)}
        inside = [pair for e, batch in seen if e == epoch for pair in batch]
        assert len(inside) == len(taken) // 4 * 4 == len(dict(inside))
        assert dict(inside).items() <= taken.items()


def test_in_memory_the_sequence_is_the_same_for_any_loaders_and_processes_and_from_any_step(shards, samples):
    whole = told(in_memory(shards, samples).batches(0), 60)
    assert whole[-1][0] > 5
    for workers in (1, 2, 3):
        for start in (0, 1, 17, 41):
            assert turns(in_memory(shards, samples), start, 60 - start, workers) == whole[start:]
    halves = [told(in_memory(shards, samples, rank, 2).batches(0), 60) for rank in range(2)]
    assert [(e, a + b) for (e, a), (_, b) in zip(*halves, strict=True)] == whole


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stream_goes_on_at_any_step_in_the_middle_of_any_epoch(shards, workers):
    whole = turns(stream(shards), 0, 60, workers)
    assert whole[-1][0] > 5
    for start in (1, 4, 9, 25, 52):
        assert turns(stream(shards), start, 60 - start, workers) == whole[start:]


@pytest.mark.parametrize(("world", "workers"), [(1, 1), (2, 1), (1, 2), (2, 2)])
def test_processes_and_loaders_part_each_drawn_epoch_of_a_stream(shards, samples, world, workers):
    lanes = [
        told(stream(shards, rank, world, share=1).batches(0, worker, workers), 200)
        for rank in range(world) for worker in range(workers)
    ]  # fmt: skip
    for epoch in range(4):
        seen = [pair for lane in lanes for e, batch in lane if e == epoch for pair in batch]
        taken = {s.key: s.texts for s in Redrawn(shards, 0).taken(epoch, samples)}
        assert len(seen) == len(dict(seen)) and dict(seen) == taken


def test_no_lane_starves_when_its_share_of_an_epoch_is_empty(shards):
    # Five lanes, one shard of six or seven pictures each, of which some epochs take none.
    for rank in range(5):
        assert [len(batch) for _, batch in told(stream(shards, rank, 5).batches(0), 50)] == [4] * 50


def test_the_index_knows_how_many_of_a_shard_take_part(shards):
    counts = []
    for epoch in range(20):
        for name, size in sizes_of(shards).items():
            counts.append(Redrawn(shards, 3).count(epoch, name, size))
            assert counts[-1] == len(Redrawn(shards, 3).taken(epoch, list(read_shard(shards, name))))
    assert len(set(counts)) > 3


def test_a_tar_that_is_not_what_its_index_says_is_said(tmp_path, make_shards):
    ours, other = (make_shards(tmp_path / str(p), shards=5, keep=lambda uid, p=p: p) for p in (1.0, 0.5))
    ours.put("00000.tar", other.fs.cat_file(other.path("00000.tar")))
    with pytest.raises(TrainingError, match=r"00000.tar has [1-6] samples, its index says 7"):
        list(islice(stream(ours).batches(0), 20))


# -- before anything starts


def test_sets_that_cannot_be_balanced_online_are_refused_with_what_to_do(tmp_path, make_shards, make_pairs, job_on):
    make_shards(tmp_path / "none")
    with pytest.raises(TrainingError, match=r"without keep probabilities.*`--redo shard`"):
        check(job_on(tmp_path / "none", online_balance=True), 1)
    url, texts, _ = make_pairs()[5]
    make_shards(tmp_path / "one", keep=lambda uid: None if uid == pair_uid(url, texts[1]) else 1.0)
    with pytest.raises(TrainingError, match="without keep probabilities"):
        check(job_on(tmp_path / "one", online_balance=True), 1)
    make_shards(tmp_path / "twice", keep=keep, online=False)
    with pytest.raises(TrainingError, match=r"balanced before.*twice.*balance\.online.*`--redo balance`"):
        check(job_on(tmp_path / "twice", online_balance=True), 1)
    make_shards(tmp_path / "few", keep=lambda uid: 0.1)
    # 32 pictures with two texts at .1 make 32 * .19 = 6.08.
    with pytest.raises(TrainingError, match=r"6\.1 samples in a mean balanced epoch and a batch takes 16.*at most 6"):
        check(job_on(tmp_path / "few", online_balance=True), 1)
    assert sum(check(job_on(tmp_path / "few", online_balance=True, batch_size=6), 1).sizes.values()) == 32


def test_a_sample_without_probabilities_is_named(shards, samples):
    for short in ((), (None, 0.5), (0.5,)):
        broken = msgspec.structs.replace(samples[3], keep_probabilities=short)
        with pytest.raises(TrainingError, match=f"sample {samples[3].key} does not have a keep probability"):
            Redrawn(shards, 0).taken(0, [*samples[:3], broken])


def test_the_raw_baseline_is_never_balanced_online(job_on, make_shards, tmp_path):
    make_shards(tmp_path, "shards-raw")
    raw: Job = job_on(tmp_path, shards="shards-raw", kind="raw", online_balance=True)
    assert not raw.online_balance and check(raw, 1)
    assert job_on(tmp_path, online_balance=True).online_balance and not job_on(tmp_path).online_balance


def test_a_recipe_that_would_balance_twice_is_refused_when_it_is_read():
    plain = {"name": "t", "extract": {"inputs": ["x"]}, "score": {"models": []}, "train": {"online_balance": True}}
    with pytest.raises(RecipeError, match=r"balance\.online is false.*drawn twice"):
        build(plain)
    assert build(plain | {"balance": {"online": True}}).train.online_balance
