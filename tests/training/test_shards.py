import io
from collections import Counter
from functools import partial
from itertools import chain, islice

import numpy as np
import pytest
import torch
from PIL import Image

from curate import weights
from curate.images.archive import ArchiveWriter
from curate.models import tokenizer
from curate.store import Dataset
from curate.training.loading import Batches, Pictures, crop_box, loader
from curate.training.shards import InMemory, Sample, Streaming, TrainingError, read_shard, sizes_of


def keys(batches, n):
    return [[sample.key for sample in samples] for _, samples in islice(batches, n)]


def flat(batches):
    return list(chain.from_iterable(batches))


@pytest.fixture(scope="module")
def shards(tmp_path_factory, make_shards):
    return make_shards(tmp_path_factory.mktemp("shards"), shards=5)


@pytest.fixture(scope="module")
def samples(shards):
    return [sample for name in sizes_of(shards) for sample in read_shard(shards, name)]


def test_a_sample_has_its_image_and_all_its_texts(samples, make_pairs):
    expected = {tuple(texts): data for _, texts, data in make_pairs()}
    assert {sample.texts: sample.image for sample in samples} == expected


def test_an_epoch_sees_everything_once_and_the_next_in_another_order(samples):
    found = keys(InMemory(samples, 8, seed=0).batches(0), 8)
    first, second = flat(found[:4]), flat(found[4:])
    assert sorted(first) == sorted(second) == sorted(sample.key for sample in samples)
    assert first != second
    assert flat(keys(InMemory(samples, 8, seed=1).batches(0), 4)) != first


def test_a_batch_never_holds_a_picture_twice(samples):
    # 32 samples make 2 batches of 12 an epoch; the rest waits for another epoch's order.
    batches = keys(InMemory(samples, 12, seed=0).batches(0), 40)
    assert all(len(set(batch)) == 12 for batch in batches)
    assert len(Counter(flat(batches))) == 32


def test_processes_share_the_batches_of_one(samples):
    whole = keys(InMemory(samples, 8, seed=0).batches(0), 6)
    halves = [keys(InMemory(samples, 8, 0, rank, 2).batches(0), 6) for rank in range(2)]
    assert [a + b for a, b in zip(*halves, strict=True)] == whole
    turns = [keys(InMemory(samples, 8, 0).batches(2, worker, 2), 2) for worker in range(2)]
    assert [turns[0][0], turns[1][0], turns[0][1], turns[1][1]] == whole[2:]


def stream(shards, rank=0, world=1, share=4, window=3):
    return Streaming(partial(read_shard, shards), sizes_of(shards), share, 0, window, rank, world)


def test_lanes_of_a_stream_see_everything_once_an_epoch(shards, samples):
    seen = Counter()
    for rank in range(2):
        for epoch, batch in islice(stream(shards, rank, 2, share=1).batches(0), 40):
            seen.update(sample.key for sample in batch if epoch == 0)
    assert seen == Counter(sample.key for sample in samples)


def test_a_stream_goes_on_anywhere(shards):
    whole = keys(stream(shards).batches(0), 30)
    assert whole[:8] != whole[8:16] and sorted(flat(whole[:8])) == sorted(flat(whole[8:16]))  # epochs differ in order
    for start in (1, 7, 8, 19):
        assert keys(stream(shards).batches(start), 30 - start) == whole[start:]


def test_loader_processes_take_turns_and_go_on_anywhere(shards):
    def turns(start, n):
        workers = [stream(shards).batches(start, worker, 2) for worker in range(2)]
        return [keys(workers[i % 2], 1)[0] for i in range(n)]

    whole = turns(0, 12)
    assert turns(3, 9) == whole[3:]
    assert turns(4, 8) == whole[4:]


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_the_same_with_and_without_loader_processes(samples, small_config, workers):
    vocabulary = tokenizer(weights.register(small_config), weights.merges_of(small_config))

    def first(n, workers, start=0):
        source = InMemory(samples, 8, seed=0)
        batches = Batches(source, start, 0, (16, 16), 0.5, vocabulary, Pictures(2**20))
        return list(islice(iter(loader(batches, workers)), n))

    alone = first(3, 0)
    for (pixels, tokens, bad), (others, texts, _) in zip(alone, first(3, workers), strict=True):
        assert torch.equal(pixels, others) and torch.equal(tokens, texts) and bad == 0
        assert pixels.dtype == torch.uint8 and pixels.shape == (8, 3, 16, 16) and tokens.shape == (8, 8)
    assert torch.equal(first(1, workers, start=2)[0][0], alone[2][0])


def test_an_image_that_cannot_be_decoded_gives_its_place_to_its_neighbour(samples, small_config):
    vocabulary = tokenizer(weights.register(small_config), weights.merges_of(small_config))
    broken = [Sample(samples[0].key, b"not an image", ("nothing",)), *samples[1:]]
    batches = Batches(InMemory(broken, 32, 0), 0, 0, (16, 16), 0.5, vocabulary, Pictures(0))
    pixels, tokens, bad = next(iter(batches))
    assert bad == 1 and pixels.shape[0] == tokens.shape[0] == 32
    with pytest.raises(TrainingError, match="none of 4 images"):
        next(iter(Batches(InMemory(broken[:1] * 4, 4, 0), 0, 0, (16, 16), 0.5, vocabulary, Pictures(0))))


def test_crops_keep_their_share_and_stay_inside():
    chance = np.random.default_rng(0).random((500, 4))
    for draws in chance:
        left, top, right, bottom = crop_box((88, 20), 0.5, *draws)
        assert 0 <= left < right <= 88 and 0 <= top < bottom <= 20
        left, top, right, bottom = crop_box((40, 40), 0.5, *draws)
        assert (right - left) * (bottom - top) >= 0.5 * 40 * 40 - 1e-6
    assert crop_box((48, 48), 1.0, 0.3, 0.5, 0.1, 0.9) == pytest.approx((0, 0, 48, 48))


def test_a_tar_that_is_not_what_its_index_says_is_said(shards):
    sizes = {name: size + 1 for name, size in sizes_of(shards).items()}
    lying = Streaming(partial(read_shard, shards), sizes, 4, 0, 3)
    with pytest.raises(TrainingError, match=r"has 6 samples, its index says 7|has 7 samples, its index says 8"):
        list(islice(lying.batches(0), 20))


def test_a_sample_without_image_or_text_is_named(tmp_path):
    data = Dataset(str(tmp_path), "shards")
    out = io.BytesIO()
    Image.new("RGB", (4, 4)).save(out, "PNG")
    for name, members in (("00000", {"tga": b"x", "txt": b"t"}), ("00001", {"png": out.getvalue()})):
        with data.sidecar(f"{name}.tar") as file:
            tar = ArchiveWriter(file)
            for suffix, body in members.items():
                tar.add(f"abc.{suffix}", body)
            tar.close()
    with pytest.raises(TrainingError, match=r"sample abc has no image among \['tga', 'txt'\]"):
        list(read_shard(data, "00000"))
    with pytest.raises(TrainingError, match="sample abc has neither"):
        list(read_shard(data, "00001"))
