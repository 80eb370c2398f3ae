"""Reinforcements: a replay of what is stored, embedded anew, is what is stored; members and keys are those of the shard."""

import gzip
import io
import json
import tarfile

import msgspec
import numpy as np
import pytest
import torch

from curate import models
from curate.images import augmenting
from curate.images.decoding import decode
from curate.recipe import Model
from curate.shards import reinforcing
from curate.shards.reinforcement import Reinforce
from curate.shards.reinforcing import Job, reinforce_part, rounded
from curate.store import Dataset, Plan
from tests.small_model import write_shards


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Shards whose samples have captions of two captioners, the second sample an image that does not decode."""
    root = tmp_path_factory.mktemp("reinforcing")
    plain = write_shards(root, shards=1)
    whole = Dataset(str(root / "captioned"), "shards")
    plan = Plan(dataset="shards", stage="shard", settings={}, inputs={}, parts=("00000",))
    whole.begin(plan)
    from curate.images.archive import ArchiveWriter

    with whole.sidecar("00000.tar") as out:
        tar = ArchiveWriter(out)
        for index, (key, members) in enumerate(reinforcing.members_of(plain, "00000")):
            facts = json.loads(members["json"])
            facts |= {
                "alt_text": facts["text"],
                "captions": {"seen": ["a thing"], "rewritten": ["one way", f"another {index}"]},
            }
            if index == 2:
                facts["captions"] = {}
            tar.add(f"{key}.png", b"broken" if index == 1 else members["png"])
            tar.add(f"{key}.json", json.dumps(facts).encode())
        tar.close()
    return whole


def job_of(shards, small_run, teachers=("one",), **more) -> Job:
    settings = Reinforce(teachers=teachers, augmentations=3, side=20, **more)
    named = tuple(Model(name=name, model=f"local-dir:{small_run}") for name in teachers)
    identity = settings.identity() | {"models": {one.name: models.identity(one) for one in named}}
    plan = Plan(dataset="reinforcements", stage="shard", settings=identity, inputs={}, parts=("00000",))
    return Job(settings, named, shards, Dataset(shards.workdir, "reinforcements"), plan, 0, "cpu", 50_000_000)


def made(job) -> dict[str, dict[str, bytes]]:
    """Members by suffix of each key, in order."""
    job.target.remove()
    job.target.begin(job.plan)
    part = reinforce_part("00000", job=job)
    assert (part.ledger.failed, part.ledger.rows_in) == ({"undecodable": 1}, part.ledger.kept + 1)
    found: dict[str, dict[str, bytes]] = {}
    with tarfile.open(fileobj=io.BytesIO(job.target.fs.cat_file(job.target.path("00000.tar")))) as tar:
        for member in tar:
            key, _, suffix = member.name.partition(".")
            found.setdefault(key, {})[suffix] = tar.extractfile(member).read()
    return found


def test_a_replay_gives_the_stored_embeddings(shards, small_run):
    job = job_of(shards, small_run)
    found = made(job)
    model = models.load(job.teachers[0], "cpu")
    originals = dict(reinforcing.members_of(shards, "00000"))
    broken = list(originals)[1]
    assert list(found) == [key for key in originals if key != broken]
    for key, members in found.items():
        facts, stored = json.loads(originals[key]["json"]), np.load(io.BytesIO(members["npz"]))
        image = decode(originals[key]["png"])
        how = augmenting.read(json.loads(members["paug.json"])["param_aug"])
        views = [augmenting.replayed(image, one, 20) for one in how]
        again = rounded(model.image_embeddings(model.pixels(view) for view in views))
        assert stored["image_emb"].shape == (3, 16)
        assert np.abs(again - stored["image_emb"]).max() <= 2**-7 * np.abs(again).max()
        said = [text for texts in facts["captions"].values() for text in texts]
        assert json.loads(members["syn.json"]) == {"syn_text": said}
        texts = rounded(model.text_embeddings([facts["text"], *said]))
        assert (
            stored["text_emb"].shape == texts.shape
            and np.abs(texts - stored["text_emb"]).max() <= 2**-7 * np.abs(texts).max()
        )
        assert json.loads(members["json"]) == {"uid": facts["uid"], "sha256": facts["sha256"]}
        assert members["url.txt"].decode() == facts["url"]
    views = np.concatenate([np.load(io.BytesIO(members["npz"]))["image_emb"] for members in found.values()])
    assert len(np.unique(views.round(3), axis=0)) > 0.9 * len(views)
    rows = job.target.read_part("00000").to_pylist()
    assert [row["key"] for row in rows] == list(found) and {row["texts"] for row in rows} == {4, 1}


def test_the_same_shard_gives_the_same_bytes_and_batches_do_not_matter(shards, small_run, monkeypatch):
    job = job_of(shards, small_run)
    first = made(job)
    assert made(job) == first
    monkeypatch.setattr(reinforcing, "AT_ONCE", 5)
    other = made(job)
    for key, members in first.items():
        one, two = (np.load(io.BytesIO(some["npz"])) for some in (members, other[key]))
        assert members["paug.json"] == other[key]["paug.json"]
        assert all(np.abs(one[name] - two[name]).max() < 2**-6 for name in one)


def test_several_teachers_stand_side_by_side_and_captioners_can_be_chosen(shards, small_run):
    found = made(job_of(shards, small_run, ("one", "two"), of=("seen",)))
    members = next(iter(found.values()))
    arrays = np.load(io.BytesIO(members["npz"]))
    assert arrays["image_emb"].shape == (3, 32) and arrays["text_emb"].shape == (2, 32)
    assert (arrays["image_emb"][:, :16] == arrays["image_emb"][:, 16:]).all()
    assert np.linalg.norm(arrays["image_emb"][:, :16], axis=1) == pytest.approx(1, abs=0.01)


def test_torch_files_hold_bfloat16(shards, small_run):
    plain, packed = made(job_of(shards, small_run)), made(job_of(shards, small_run, format="pth.gz"))
    for key, members in packed.items():
        tensors = torch.load(io.BytesIO(gzip.decompress(members["pth.gz"])), weights_only=True)
        arrays = np.load(io.BytesIO(plain[key]["npz"]))
        assert tensors["image_emb"].dtype == torch.bfloat16
        assert all((tensors[name].float().numpy() == arrays[name]).all() for name in arrays)


def test_rounding_is_torchs():
    values = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    values = np.concatenate([values, np.array([0, -0.0, 1.00390625, 1.01171875], np.float32)])
    assert (rounded(values) == torch.from_numpy(values).bfloat16().float().numpy()).all()


def test_a_teacher_that_changed_is_refused(shards, small_run):
    job = job_of(shards, small_run)
    wrong = job.plan.settings | {"models": {"one": {"revision": "other"}}}
    job.target.remove()
    with pytest.raises(models.ModelError, match="planned"):
        reinforce_part("00000", job=Job(**{**vars(job), "plan": msgspec.structs.replace(job.plan, settings=wrong)}))
