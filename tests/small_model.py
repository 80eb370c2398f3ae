"""A CLIP small enough to train in seconds: its config and vocabulary, shards to train it on, and a trained one."""

import gzip
import hashlib
import io
import json
import shutil
from types import SimpleNamespace

import msgspec
import pytest
from PIL import Image, ImageDraw

from curate import lorentz
from curate.recipe import Train
from curate.shards.balance import recorded
from curate.shards.samples import Sample
from curate.shards.writing import finish, write_shard
from curate.store import Dataset, Plan
from curate.training.job import Job
from curate.uid import image_uid, pair_uid
from curate.weights import WEIGHTS

COLOURS = ("red", "green", "blue", "orange", "purple", "black", "white", "yellow")
SHAPES = ("square", "disc", "line", "cross")
MERGES = ["r e", "re d</w>", "b l", "bl u", "blu e</w>", "s q", "sq u"]
CONFIG = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 16, "layers": 1, "width": 32, "head_width": 16, "patch_size": 4},
    "text_cfg": {"context_length": 8, "vocab_size": 512 + len(MERGES) + 2, "width": 32, "heads": 2, "layers": 1,
                 "tokenizer_kwargs": {"bpe_path": "vocabulary/merges.txt.gz"}},
}  # fmt: skip


def drawn(shape, colour, shift=0) -> bytes:
    """A PNG of a shape in a colour on grey."""
    image = Image.new("RGB", (24, 20), (120, 120, 120))
    pen, box = ImageDraw.Draw(image), (3 + shift, 3, 17 + shift, 16)
    {
        "square": lambda: pen.rectangle(box, fill=colour),
        "disc": lambda: pen.ellipse(box, fill=colour),
        "line": lambda: pen.line(box, fill=colour, width=4),
        "cross": lambda: (
            pen.line(box, fill=colour, width=4),
            pen.line((box[0], box[3], box[2], box[1]), fill=colour, width=4),
        ),
    }[shape]()
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def picture_pairs(shift=0) -> list[tuple[str, list[str], bytes]]:
    """(URL, texts, bytes) of 32 pictures, two texts each."""
    return [
        (f"http://shapes.example/{shift}/{colour}-{shape}.png", [f"{colour} {shape}", f"a {shape}, {colour}"],
         drawn(shape, colour, shift))
        for colour in COLOURS for shape in SHAPES
    ]  # fmt: skip


def write_shards(workdir, name="shards", shards=3, pairs=None, keep=None, online=True) -> Dataset:
    """A set of shards through the project's own writer; `keep` gives the keep probability of a pair's uid."""
    pairs = sorted(pairs or picture_pairs(), key=lambda pair: image_uid(pair[0]))
    names = tuple(f"{index:05d}" for index in range(shards))
    target = Dataset(str(workdir), name)
    plan = Plan(dataset=name, stage="shard", settings={}, inputs={}, parts=names)
    target.begin(plan)
    samples = [_sample(pair, keep or (lambda uid: None)) for pair in pairs]
    parts = [write_shard(n, samples[i::shards], target, plan) for i, n in enumerate(names)]
    finish(target, parts, "")
    target.commit(plan, parts, {"balance": msgspec.to_builtins(recorded(target, parts, online))})
    return target


def _sample(pair, keep) -> Sample:
    url, texts, data = pair
    shared = {"image_uid": image_uid(url), "url": url, "page_url": url, "lang": "en", "width": 24, "height": 20,
              "format": "png", "sha256": hashlib.sha256(data).hexdigest()}  # fmt: skip
    uids = [pair_uid(url, text) for text in texts]
    rows = [
        shared
        | {"uid": uid, "text": text, "entries": None if keep(uid) is None else [0], "keep_probability": keep(uid)}
        for uid, text in zip(uids, texts, strict=True)
    ]
    return Sample(image_uid=image_uid(url), rows=rows, chosen=rows[0], data=data)


def write_model(folder) -> str:
    """A model config with its own vocabulary; returns the config's path."""
    (folder / "vocabulary").mkdir(parents=True)
    with gzip.open(folder / "vocabulary" / "merges.txt.gz", "wb") as out:
        out.write("\n".join(["#version: 0.2", *MERGES]).encode())
    (folder / "small-clip.json").write_text(json.dumps(CONFIG))
    return str(folder / "small-clip.json")


def hyperbolic(source, folder) -> str:
    """A model's folder with the parameters of a hyperbolic one; returns `local-dir:` and the folder."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("_*", "disclosure.json"))
    model, tensors = SimpleNamespace(), load_file(folder / WEIGHTS)
    model.register_parameter = lambda name, value: tensors.update({name: value.detach()})
    lorentz.add_parameters(model, 128)
    save_file(tensors, folder / WEIGHTS)
    return f"local-dir:{folder}"


@pytest.fixture(scope="session")
def small_config(tmp_path_factory):
    """Path of a small model's config."""
    return write_model(tmp_path_factory.mktemp("small-model"))


@pytest.fixture(scope="session")
def brief_training(small_config):
    """Settings of a training that takes seconds and learns something."""
    return Train(model=small_config, samples_seen=16 * 60, batch_size=16, learning_rate=5e-3, warmup=5, crop_scale=0.8,
                 weight_decay=0.01, checkpoint_every=25, threads=1, device="cpu")  # fmt: skip


@pytest.fixture(scope="session")
def job_on(brief_training):
    """A training job on the shards of a workdir, with settings changed as asked."""

    def job(workdir, target="runs/curated-0", seed=0, shards="shards", kind="curated", **changed) -> Job:
        settings = msgspec.structs.replace(brief_training, **changed)
        return Job(workdir=str(workdir), shards=shards, target=target, settings=settings, seed=seed, kind=kind)

    return job


@pytest.fixture(scope="session")
def small_run(tmp_path_factory, job_on):
    """The folder of a trained small model."""
    from curate.training.loop import train

    workdir = tmp_path_factory.mktemp("small-run")
    write_shards(workdir)
    train(job_on(workdir))
    return workdir / "runs" / "curated-0"


@pytest.fixture(scope="session")
def make_shards():
    return write_shards


@pytest.fixture(scope="session")
def make_picture():
    return drawn


@pytest.fixture(scope="session")
def make_pairs():
    return picture_pairs
