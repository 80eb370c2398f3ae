"""A filter network from trusted pairs to scores: trained for real on small tars, with what it has seen beside it."""

import csv
import io
import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file
from typer.testing import CliRunner

from curate import disclosures, lorentz, models, recipe, weights
from curate.cli import app
from curate.images.decoding import decode
from curate.recipe import Model, RecipeError
from curate.scores import references
from curate.store import Dataset, StoreError
from curate.training import trusted
from curate.training.loop import train as learn
from curate.training.shards import TrainingError
from jobs import engine, filter_network
from tests.small_model import COLOURS, SHAPES, drawn, picture_pairs

STEPS = 150


@pytest.fixture(scope="module")
def section(small_config):
    return {"model": small_config, "samples_seen": 16 * STEPS, "batch_size": 16, "learning_rate": 5e-3, "warmup": 5, "crop_scale": 0.8,
            "weight_decay": 0.01, "checkpoint_every": 50, "threads": 1, "device": "cpu"}  # fmt: skip


def described(section, shards, sets=(), **more):
    network = {"trusted": {"shards": str(shards)}, "train": section} | more
    return {"name": "t", "extract": {"inputs": ["x"]}, "evaluate": {"sets": list(sets)}, "filter_network": network}


def written(folder, samples, name="a.tar") -> Path:
    """A tar as img2dataset packs it: (key, {suffix: bytes})."""
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(folder / name, "w") as tar:
        for key, members in samples:
            for suffix, data in members.items():
                info = tarfile.TarInfo(f"{key}.{suffix}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return folder


def plain_samples(shift=0):
    return [
        (f"{number:05d}", {"png": data, "txt": texts[0].encode(), "json": json.dumps({"caption": texts[0]}).encode()})
        for number, (_, texts, data) in enumerate(picture_pairs(shift))
    ]


@pytest.fixture
def here(monkeypatch):
    """Trains in this process, which saves the start of others."""
    monkeypatch.setattr(filter_network.train, "torchrun", lambda job, _: learn(job) or [])


def run(workdir, plain, redo=()):
    return filter_network.run(engine.Run(recipe.build(plain), str(workdir), engine.Engines(), frozenset(redo)))


def similarities(folder, shift=0):
    """(right, mismatched): cosines of pictures with their own words, and with those of a picture of another colour and shape."""
    clip = models.load(Model(name="dfn", model=f"local-dir:{folder}"), "cpu")
    combined = [(colour, shape) for colour in COLOURS for shape in SHAPES]
    images = clip.image_embeddings(clip.pixels(decode(drawn(s, c, shift))) for c, s in combined)
    texts = clip.text_embeddings([f"{c} {s}" for c, s in combined])
    cosines = images @ texts.T
    wrong = [(i, j) for i, (c, s) in enumerate(combined) for j, (d, t) in enumerate(combined) if c != d and s != t]
    return cosines.diagonal(), np.array([cosines[i, j] for i, j in wrong])


def auc(right, wrong) -> float:
    return float(np.mean(right[:, None] > wrong[None, :]))


@pytest.fixture(scope="module")
def network(tmp_path_factory, section):
    """A workdir with a network that was trained by the command itself, in processes of torchrun, on a folder of tars."""
    root = tmp_path_factory.mktemp("filter")
    written(root / "tars", plain_samples()[:20], "a.tar")
    written(root / "tars", plain_samples()[20:], "b.tar")
    file = root / "recipe.yaml"
    file.write_text(yaml.safe_dump(described(section, root / "tars")))
    done = CliRunner().invoke(app, ["filter-network", "-c", str(file), "-w", str(root / "w")], catch_exceptions=False)
    assert done.exit_code == 0
    return root, done.output


def test_planted_mismatches_score_below_right_pairs(network):
    root, said = network
    right, wrong = similarities(root / "w" / "filter-network")
    assert auc(right, wrong) > 0.95
    assert auc(wrong, right) < 0.05  # the measure itself can say no
    assert "32 images of 2 tars" in said and "local-dir:" in said


def test_a_hyperbolic_network_puts_right_pairs_near_each_other_and_scores_by_it(tmp_path, section, here):
    written(tmp_path / "tars", plain_samples())
    told = run(tmp_path / "w", described(section, tmp_path / "tars", objective="hyperbolic"))
    assert told.objective == "hyperbolic"
    clip = models.load(Model(name="meru", model=f"local-dir:{tmp_path / 'w' / 'filter-network'}"), "cpu")
    space = clip.geometry
    assert 0.1 <= space.curvature <= 10 and space.curvature != 1 and 0 < space.image_scale <= 1
    c, combined = torch.tensor(space.curvature), [(colour, shape) for colour in COLOURS for shape in SHAPES]
    images = references.raw(*clip.image_vectors(clip.pixels(decode(drawn(s, c))) for c, s in combined))
    texts = references.raw(*clip.text_vectors([f"{c} {s}" for c, s in combined]))
    image, text = (
        lorentz.lift(torch.from_numpy(v) * scale, c)
        for v, scale in ((images, space.image_scale), (texts, space.text_scale))
    )
    near = -lorentz.distance(lorentz.all_beyond_one(image, text, c), c).numpy()
    wrong = [near[i, j] for i, (a, b) in enumerate(combined) for j, (d, e) in enumerate(combined) if a != d and b != e]
    assert auc(near.diagonal(), np.array(wrong)) > 0.95
    # The entailment loss: a text's cone holds its image oftener than another's.
    outside = lorentz.all_exterior_angles(text, image, c).numpy() - lorentz.half_aperture(text, c).numpy()[:, None]
    assert outside.diagonal().mean() < outside.mean() - 0.2


def test_the_card_says_what_it_was_trained_on(network):
    folder = network[0] / "w" / "filter-network"
    told = json.loads((folder / "disclosure.json").read_text())
    (one,) = told["trained_on"]
    assert told["weights_sha256"] == weights.sha256(folder / weights.WEIGHTS) and told["seed"] == 0
    assert (one["tars"], one["samples"], one["samples_seen"]) == (2, 32, 16 * STEPS)
    assert one["fingerprint"] == Dataset(str(network[0] / "w"), "trusted").fingerprint
    assert one["settings"]["model"] == "small-clip.json" and one["settings"]["learning_rate"] == 5e-3
    card = (folder / "README.md").read_text()
    assert "trusted (32 images)" in card and one["fingerprint"] in card and "compared with no evaluation set" in card
    assert str(network[0]) not in card + json.dumps(told)


def test_the_same_command_again_changes_nothing_and_other_settings_are_refused(network, section, here):
    root, _ = network
    before = {path: path.read_bytes() for path in (root / "w").rglob("*") if path.is_file()}
    run(root / "w", described(section, root / "tars"))
    assert before == {path: path.read_bytes() for path in (root / "w").rglob("*") if path.is_file()}
    with pytest.raises(StoreError, match=r"learning_rate was 0.005, is now 0.01.*--redo filter-network"):
        run(root / "w", described(section | {"learning_rate": 0.01}, root / "tars"))
    with pytest.raises(StoreError, match=r"objective was None, is now 'hyperbolic'"):
        run(root / "w", described(section, root / "tars", objective="hyperbolic"))


def test_a_set_that_was_moved_is_the_same_set_and_changed_settings_may_replace_a_network(tmp_path, section, here):
    written(tmp_path / "tars", plain_samples())
    short = section | {"samples_seen": 32}
    first = run(tmp_path / "w", described(short, tmp_path / "tars"))
    (tmp_path / "tars").rename(tmp_path / "elsewhere")
    assert run(tmp_path / "w", described(short, tmp_path / "elsewhere")) == first
    # Training reads the tars where they are now.
    again = run(
        tmp_path / "w", described(short | {"learning_rate": 1e-4}, tmp_path / "elsewhere"), redo={"filter-network"}
    )
    assert (
        again.weights_sha256 != first.weights_sha256
        and again.trained_on[0].fingerprint == first.trained_on[0].fingerprint
    )
    (tmp_path / "elsewhere" / "b.tar").write_bytes((tmp_path / "elsewhere" / "a.tar").read_bytes())
    with pytest.raises(StoreError, match=r"tars was .*--redo filter-network"):
        run(tmp_path / "w", described(short, tmp_path / "elsewhere"))


def test_the_command_makes_one_thing_only(tmp_path):
    with pytest.raises(RecipeError, match=r"--redo train: this command makes one thing only"):
        CliRunner().invoke(app, ["filter-network", "-w", str(tmp_path), "--redo", "train"], catch_exceptions=False)


def evaluation_set(folder, images) -> dict:
    """{file: bytes} as an evaluation set."""
    folder.mkdir()
    with open(folder / "sheet.csv", "w", newline="") as out:
        lines = csv.writer(out)
        lines.writerow(("path", "label", "text"))
        lines.writerows((name, "shape", "a shape") for name in images)
    for name, data in images.items():
        (folder / name).write_bytes(data)
    return {"name": "shapes", "table": str(folder / "sheet.csv"), "images": str(folder)}


def photo(seed, quality=None) -> bytes:
    """A picture with enough in it for a perceptual hash; with a quality, a JPEG of it."""
    noise = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), np.uint8)
    out = io.BytesIO()
    image = Image.fromarray(noise).resize((64, 64), Image.Resampling.BICUBIC)
    image.save(out, *(("PNG",) if quality is None else ("JPEG",)), **({} if quality is None else {"quality": quality}))
    return out.getvalue()


def test_images_of_evaluation_sets_are_counted_and_warned_of(tmp_path, section, here):
    # One by its bytes, one that was compressed anew, one stranger.
    held = evaluation_set(tmp_path / "held", {"a.png": photo(1), "b.png": photo(2), "c.png": photo(3)})
    seen = [("x0", {"png": photo(1), "txt": b"red disc"}), ("x1", {"jpg": photo(2, 90), "txt": b"red line"})]
    written(tmp_path / "tars", plain_samples() + seen)
    plain = described(section | {"samples_seen": 32}, tmp_path / "tars", [held])
    plain["filter_network"]["trusted"] |= {"includes": ["COCO"], "name": "clean", "about": "from <b>here</b>"}
    told = run(tmp_path / "w", plain)
    assert told.trained_on[0].overlap == {"shapes": {"sha256": 1, "phash": 1}}
    overlap, declared = told.warnings
    assert "clean holds images of the evaluation set shapes, 1 by sha256 and 1 by phash" in overlap
    assert "includes training images of COCO" in declared
    card = (tmp_path / "w" / "filter-network" / "README.md").read_text()
    assert card.count("**WARNING: ") == 2 and "<b>" not in card
    # A set that is named later is compared too, without another training.
    other = evaluation_set(tmp_path / "more", {"z.png": photo(9)}) | {"name": "strangers"}
    stamp = (tmp_path / "w" / "filter-network" / weights.WEIGHTS).stat().st_mtime_ns
    again = run(tmp_path / "w", plain | {"evaluate": {"sets": [held, other]}})
    assert again.trained_on[0].overlap["strangers"] == {"sha256": 0, "phash": 0} and len(again.warnings) == 2
    assert (tmp_path / "w" / "filter-network" / weights.WEIGHTS).stat().st_mtime_ns == stamp


def test_a_second_set_goes_on_where_the_first_ended(tmp_path, section, here):
    written(tmp_path / "tars", plain_samples())
    written(tmp_path / "better", plain_samples(shift=2))
    finer = {"shards": str(tmp_path / "better"), "samples_seen": 16, "learning_rate": 1e-9, "warmup": 0}
    told = run(tmp_path / "w", described(section | {"samples_seen": 64}, tmp_path / "tars", fine_tune=finer))
    assert [(one.name, one.samples_seen, one.settings["learning_rate"]) for one in told.trained_on] == [
        ("trusted", 64, 5e-3), ("fine-tune", 16, 1e-9)
    ]  # fmt: skip
    assert told.samples_seen == 80
    one, other = (
        load_file(tmp_path / "w" / name / weights.WEIGHTS) for name in ("filter-network-trusted", "filter-network")
    )
    assert max(float((one[name] - other[name]).abs().max()) for name in one) < 1e-6


def test_shards_of_a_workdir_are_a_trusted_set(tmp_path, section, here, make_shards):
    make_shards(tmp_path / "clean")
    told = run(tmp_path / "w", described(section | {"samples_seen": 32}, tmp_path / "clean" / "shards"))
    assert (told.trained_on[0].tars, told.trained_on[0].samples) == (3, 32)
    index = Dataset(str(tmp_path / "w"), "trusted")
    assert [len(sample.texts) for name in index.part_names() for sample in trusted.Indexed(index).read(name)] == [
        2
    ] * 32


@pytest.mark.parametrize("streams", [False, True])
def test_what_is_no_sample_is_counted_and_never_trained_on(tmp_path, section, here, streams):
    bad = [
        ("n0", {"txt": b"no image"}), ("n1", {"png": photo(1)}), ("n2", {"png": b"<html>", "txt": b"page"}),
        ("n3", {"png": photo(1), "txt": b" \n"}), ("n4", {"png": photo(4), "json": b'{"caption": "blue disc", "texts": 7}'}),
        ("00001", {"png": photo(5), "txt": b"again"}), ("n5", {"png": photo(6), "json": b"[" * 5000}), ("../out", {"png": photo(7), "txt": b"x"}),
    ]  # fmt: skip
    written(tmp_path / "tars", plain_samples() + bad)
    with open(tmp_path / "tars" / "a.tar", "ab") as out:
        out.write(b"\x07" * 700)
    told = run(
        tmp_path / "w",
        described(section | {"samples_seen": 64, "in_memory_bytes": 0 if streams else 2**30}, tmp_path / "tars"),
    )
    (one,) = told.trained_on
    assert one.samples == 33 and one.broken_places
    assert one.left_out == {"no_image": 1, "no_text": 3, "repeated_key": 1, "undecodable": 1}
    index = Dataset(str(tmp_path / "w"), "trusted")
    samples = [sample for name in index.part_names() for sample in trusted.Indexed(index).read(name)]
    assert len(samples) == 33 and samples[-1].texts == ("blue disc",)
    assert "no text" in (tmp_path / "w" / "filter-network" / "README.md").read_text()


def test_tars_that_changed_behind_the_index_stop_the_training(tmp_path, section, here):
    written(tmp_path / "tars", plain_samples())
    plain = described(section | {"samples_seen": 32}, tmp_path / "tars")
    run(tmp_path / "w", plain)
    data = (tmp_path / "tars" / "a.tar").read_bytes()
    (tmp_path / "tars" / "a.tar").write_bytes(data.replace(b"blue square", b"blue circle"))
    index = Dataset(str(tmp_path / "w"), "trusted")
    with pytest.raises(
        TrainingError, match=r"a\.tar: sample 0\d+ is not what it was.*Remove .*trusted.*--redo filter-network"
    ):
        list(trusted.Indexed(index).read("part-00000"))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: None, r"filter_network\.trusted\.shards: no tars at .*tars"),
        (lambda folder: written(folder, []), r"no sample with an image and a text in its tars: 0 keys"),
        (lambda folder: written(folder, [("a", {"png": b"x", "txt": b"t"})]), r"1 keys, of them 1 undecodable"),
        (lambda folder: written(folder, plain_samples()[:5]), r"has 5 samples and a batch takes 16"),
    ],
    ids=["missing", "empty", "nothing that decodes", "smaller than a batch"],
)  # fmt: skip
def test_sets_that_cannot_be_trained_on_are_said(tmp_path, section, here, make, said):
    make(tmp_path / "tars")
    with pytest.raises(TrainingError, match=said):
        run(tmp_path / "w", described(section, tmp_path / "tars"))
    assert not (tmp_path / "w" / "filter-network" / weights.WEIGHTS).exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"trusted": None}, r"filter_network\.trusted names no set"),
        ({"trusted": {"shard": "x"}}, r"unknown key 'shard': did you mean 'shards'"),
        ({"trusted": {"shards": []}}, r"filter_network\.trusted\.shards"),
        ({"train": {"seeds": [1, 2]}}, r"train\.seeds compares trainings"),
        ({"objective": "hyperbolical"}, r"hyperbolical"),
        ({"fine_tune": {"shards": "x"}}, r"samples_seen"),
        ({"fine_tune": {"shards": "x", "samples_seen": 1, "name": "trusted"}}, r"both called 'trusted'"),
    ],
)  # fmt: skip
def test_settings_that_make_no_sense_stop_at_once(tmp_path, section, change, said):
    with pytest.raises(RecipeError, match=said):
        run(tmp_path / "w", described(section, tmp_path, **change))


def test_a_disclosure_of_other_weights_is_refused(network, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(network[0] / "w" / "filter-network", folder)
    model = Model(name="dfn", model=f"local-dir:{folder}")
    assert disclosures.of(model).samples_seen == 16 * STEPS
    with open(folder / weights.WEIGHTS, "ab") as out:
        out.write(b"\0")
    with pytest.raises(weights.ModelError, match="speaks of other weights"):
        disclosures.of(model)
    (folder / "disclosure.json").write_text('{"trained_on": 3}')
    with pytest.raises(weights.ModelError, match="no disclosure of a model"):
        disclosures.of(model)
    (folder / "disclosure.json").unlink()
    assert disclosures.of(model) is None
