"""Other people's loaders read our shards: plain webdataset, and open_clip's own training loader."""

import argparse
import io

import pytest
from PIL import Image

from curate.shards import writing
from curate.shards.samples import Sample
from curate.store import Dataset, Plan
from curate.uid import image_uid, pair_uid

FORMATS = {"png": "PNG", "jpeg": "JPEG", "webp": "WEBP", "gif": "GIF"}


def sample(index: int) -> Sample:
    kind = list(FORMATS)[index % len(FORMATS)]
    out = io.BytesIO()
    Image.new("RGB", (20, 10), (index * 20, 90, 30)).save(out, FORMATS[kind])
    url = f"http://a.example/{index}.Some.{kind}"
    row = {"uid": pair_uid(url, f"text {index}"), "image_uid": image_uid(url), "url": url, "text": f"text {index}",
           "lang": "en", "page_url": "http://a.example/", "sha256": "0" * 64, "width": 20, "height": 10, "format": kind,
           "entries": [index, index + 1], "keep_probability": 0.25}  # fmt: skip
    return Sample(image_uid=row["image_uid"], rows=[row], chosen=row, data=out.getvalue())


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Two shards of five and three samples, of every format."""
    root = tmp_path_factory.mktemp("loaders")
    target = Dataset(str(root), "shards")
    plan = Plan(dataset="shards", stage="shard", settings={}, inputs={}, parts=("00000", "00001"))
    parts = [
        writing.write_shard("00000", [sample(i) for i in range(5)], target, plan),
        writing.write_shard("00001", [sample(i) for i in range(5, 8)], target, plan),
    ]
    writing.finish(target, parts, "card")
    return f"{root}/shards/{{00000..00001}}.tar"


def test_plain_webdataset_reads_every_sample(shards):
    import webdataset as wds

    pairs = wds.WebDataset(shards, shardshuffle=False).decode("pil").to_tuple("jpg;png;webp", "txt", "json")
    read = list(pairs)
    assert [text for _, text, _ in read] == [f"text {i}" for i in range(8)]
    assert all(image.size == (20, 10) for image, _, _ in read)
    assert all(facts["texts"] == [text] for _, text, facts in read)
    assert [facts["entries"] for _, _, facts in read] == [[i, i + 1] for i in range(8)]
    assert all((facts["keep_probability"], facts["keep_probabilities"]) == (0.25, [0.25]) for _, _, facts in read)


def test_the_loader_of_open_clip_reads_every_sample(shards):
    data = pytest.importorskip("open_clip_train.data")
    import torch
    from torchvision.transforms import ToTensor

    args = argparse.Namespace(
        train_data=shards, val_data=shards, dataset_resampled=False, train_num_samples=None, val_num_samples=8,
        train_data_upsampling_factors=None, seed=0, batch_size=4, workers=1, world_size=1,
    )  # fmt: skip
    # Eight samples by sizes.json, so two full batches of four.
    assert data.get_dataset_size(shards) == (8, 2)
    for is_train in (True, False):
        info = data.get_wds_dataset(
            args, ToTensor(), is_train=is_train, tokenizer=lambda text: torch.tensor([[len(text)]])
        )
        images = [image for batch, _ in info.dataloader for image in batch]
        assert len(images) == 8
        assert images[0].shape == (3, 10, 20)
