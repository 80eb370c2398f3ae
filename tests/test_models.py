import io
import json
import pickle
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from PIL import Image

from curate import models, weights
from curate.recipe import Model
from curate.weights import ModelError


def folder(path) -> Model:
    return Model(name="small", model=f"local-dir:{path}")


@pytest.fixture
def copy(small_run, tmp_path):
    """A copy of a trained model's folder, to be damaged."""
    return Path(shutil.copytree(small_run, tmp_path / "copy"))


def test_loading_a_model_is_the_first_thing_that_needs_torch():
    modules = (
        "curate.models, curate.weights, curate.scores.clip, curate.training.job, curate.evaluation.metrics, jobs.train"
    )
    code = f"import sys, {modules}; print([m for m in ('torch', 'open_clip', 'ray', 'pyspark') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_embeddings_are_open_clips_own(small_run, make_picture):
    import open_clip

    clip = models.load(folder(small_run), "cpu")
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{small_run}")
    tokens = open_clip.get_tokenizer(f"local-dir:{small_run}", bpe_path=str(small_run / "bpe.txt.gz"))
    pictures = [Image.open(io.BytesIO(make_picture("disc", colour))).convert("RGB") for colour in ("red", "blue")]
    texts = ["red disc", "a blue disc", "?"]
    with torch.no_grad():
        image = model.eval().encode_image(torch.stack([preprocess(p) for p in pictures]), normalize=True).numpy()
        text = model.encode_text(tokens(texts), normalize=True).numpy()
    found = clip.image_embeddings(clip.pixels(p) for p in pictures), clip.text_embeddings(texts)
    assert found[0] == pytest.approx(image, abs=1e-6) and found[1] == pytest.approx(text, abs=1e-6)
    assert found[0].dtype == np.float32 and np.linalg.norm(found[0], axis=1) == pytest.approx(1, abs=1e-6)
    assert clip.width == 16 and clip.image_embeddings([]).shape == (0, 16)


def test_batches_do_not_change_embeddings(small_run):
    texts = [f"red square {i}" for i in range(7)]
    one, many = (
        models.load(msgspec.structs.replace(folder(small_run), batch_size=size), "cpu").text_embeddings(texts)
        for size in (2, 256)
    )
    assert one == pytest.approx(many, abs=1e-6)


def test_the_vocabulary_is_found_from_any_working_directory(copy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    place = weights.locate(folder("copy"))
    assert place.merges == copy / "bpe.txt.gz"
    (copy / "elsewhere").mkdir()
    config = json.loads((copy / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"]["tokenizer_kwargs"]["bpe_path"] = "../secret.gz"
    (copy / "open_clip_config.json").write_text(json.dumps(config))
    (tmp_path / "secret.gz").write_bytes(b"x")
    with pytest.raises(ModelError, match="not a file beside or below it"):
        weights.locate(folder(copy))


def test_a_hostile_checkpoint_runs_nothing(copy, tmp_path, small_config):
    class Bomb:
        def __reduce__(self):
            return Path.touch, (tmp_path / "exploded",)

    bomb = tmp_path / "bomb.pt"
    bomb.write_bytes(pickle.dumps(Bomb()))
    (copy / weights.WEIGHTS).unlink()
    shutil.copy(bomb, copy / "model.bin")
    for settings in (folder(copy), Model(name="bomb", model=small_config, pretrained=str(bomb))):
        with pytest.raises(ModelError, match=r"not a checkpoint of .* that loads safely"):
            models.load(settings, "cpu")
    assert not (tmp_path / "exploded").exists()
    pickle.loads(bomb.read_bytes())
    assert (tmp_path / "exploded").exists()  # the bomb is a real one


def test_a_model_that_is_not_here_is_said_without_a_word_to_the_network(monkeypatch, tmp_path):
    def refuse(*_):
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("HOME", str(tmp_path))
    hub = weights.locate
    with pytest.raises(ModelError, match=r"not on this machine: looked for .*\.cache/clip.*pretrained='laion400m_e32'"):
        hub(Model(name="b32", model="ViT-B-32", pretrained="laion400m_e32"))
    with pytest.raises(ModelError, match=r"not on this machine.*huggingface-cli download nobody/nothing"):
        hub(Model(name="hub", model="hf-hub:nobody/nothing"))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"model": "ViT-B-33", "pretrained": "openai"}, "did you mean 'ViT-B-32"),
        ({"model": "ViT-B-32", "pretrained": "openia"}, "neither a file nor a tag.*did you mean 'openai'"),
        ({"model": "ViT-B-32"}, "needs `pretrained`"),
        ({"model": "local-dir:/nowhere"}, "no open_clip_config.json in /nowhere"),
        ({"model": "/nowhere/model.json"}, "no model config at"),
    ],
)
def test_a_wrong_name_is_answered_with_what_would_be_right(settings, said):
    with pytest.raises(ModelError, match=said):
        weights.locate(Model(name="x", **settings))


def test_weights_of_another_shape_are_said(copy):
    config = json.loads((copy / "open_clip_config.json").read_text())
    config["model_cfg"]["embed_dim"] = 24
    (copy / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="not a checkpoint of"):
        models.load(folder(copy), "cpu")


def test_a_folder_without_weights_is_said(copy):
    (copy / weights.WEIGHTS).unlink()
    (copy / "checkpoint.pt").unlink(missing_ok=True)
    with pytest.raises(ModelError, match="no weights"):
        weights.locate(folder(copy))


def test_the_revision_is_the_model_not_its_place(small_run, copy):
    original = models.identity(folder(small_run))
    moved = models.identity(folder(copy))
    assert moved["revision"] == original["revision"] and moved["preprocessing"]["size"] == 16
    data = bytearray((copy / weights.WEIGHTS).read_bytes())
    data[-1] ^= 1
    (copy / weights.WEIGHTS).write_bytes(data)
    assert models.identity(folder(copy))["revision"] != original["revision"]
    with pytest.raises(ModelError, match="not the file that this run was planned with"):
        models.load(folder(copy), "cpu", original["revision"])


def test_half_precision_on_a_cpu_is_refused(small_run):
    with pytest.raises(ModelError, match="a hundred times slower"):
        models.load(msgspec.structs.replace(folder(small_run), precision="bf16"), "cpu")


@pytest.mark.parametrize("size", [(1, 50_000), (50_000, 1), (3, 4000), (1, 1)])
def test_elongated_pictures_keep_their_middle_and_cost_nothing(small_run, size):
    clip = models.load(folder(small_run), "cpu")
    image = Image.new("RGB", size, "red")
    ends = [side // 3 if side == max(size) else 0 for side in size]
    image.paste((0, 0, 255), (ends[0], ends[1], size[0] - ends[0], size[1] - ends[1]))
    pixels = clip.pixels(image)
    assert pixels.shape == (3, 16, 16)
    if max(size) > 1:
        blue = clip.pixels(Image.new("RGB", (16, 16), (0, 0, 255)))
        assert float((pixels - blue).abs().mean()) < 0.01


def test_a_word_of_a_million_letters_does_not_stall_the_tokenizer(small_run):
    clip = models.load(folder(small_run), "cpu")
    started = time.monotonic()
    assert np.isfinite(clip.text_embeddings(["x" * 1_000_000, "red", ""])).all()
    assert time.monotonic() - started < 10
