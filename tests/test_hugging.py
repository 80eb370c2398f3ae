"""CLIP and SigLIP in folders of transformers: tiny ones with random weights, made here and saved by transformers itself."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from curate import models
from curate.recipe import Model
from curate.weights import ModelError

transformers = pytest.importorskip("transformers")

WORDS = ["<pad>", "<unk>", "<end>", "red", "disc", "blue", "line", "a"]
TEXT = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": len(WORDS),
        "max_position_embeddings": 8, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "projection_dim": 12, "projection_size": 16}  # fmt: skip
VISION = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 16,
    "patch_size": 8,
    "projection_dim": 12,
}


@pytest.fixture(scope="module", params=["clip", "siglip"])
def folder(request, tmp_path_factory):
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    place = tmp_path_factory.mktemp(request.param)
    torch.manual_seed(0)
    if request.param == "clip":
        config = transformers.CLIPConfig(text_config=TEXT, vision_config=VISION, projection_dim=12)
        transformers.CLIPModel(config).save_pretrained(place)
        processor = transformers.CLIPImageProcessor(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})
    else:
        transformers.SiglipModel(transformers.SiglipConfig(text_config=TEXT, vision_config=VISION)).save_pretrained(
            place
        )
        processor = transformers.SiglipImageProcessor(size={"height": 16, "width": 16})
    processor.save_pretrained(place)
    words = Tokenizer(models.WordLevel({word: n for n, word in enumerate(WORDS)}, "<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(single="$A <end>", special_tokens=[("<end>", 2)])
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", unk_token="<unk>", eos_token="<end>"
    )
    fast.save_pretrained(place)
    return place


def settings(folder, **more) -> Model:
    return Model(name="tiny", model=f"local-dir:{folder}", batch_size=2, **more)


def test_embeddings_are_those_of_transformers_itself(folder):
    clip = models.load(settings(folder), "cpu")
    model = transformers.AutoModel.from_pretrained(folder).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(folder, use_fast=False)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    pictures = [Image.new("RGB", (40, 24), colour) for colour in ("red", "blue", "white")]
    texts = ["red disc", "a blue line", "", "line " * 50]
    with torch.no_grad():
        given = tokenizer(texts, padding="max_length", max_length=8, truncation=True, return_tensors="pt")["input_ids"]
        whole = model(input_ids=given, pixel_values=processor(images=pictures, return_tensors="pt")["pixel_values"])
    images = clip.image_embeddings(clip.pixels(picture) for picture in pictures)
    assert images == pytest.approx(whole.image_embeds.numpy(), abs=1e-5)
    assert clip.text_embeddings(texts) == pytest.approx(whole.text_embeds.numpy(), abs=1e-5)
    assert np.linalg.norm(images, axis=1) == pytest.approx(1, abs=1e-5) and len({row.tobytes() for row in images}) == 3
    assert clip.logit_scale == pytest.approx(float(model.logit_scale.detach().exp()))


def test_the_identity_is_what_the_files_say_wherever_they_lie(folder, tmp_path):
    known = models.identity(settings(folder))
    assert known["revision"].startswith("sha256:") and known["model"] == folder.name
    assert known["preprocessing"]["image_mean"]
    copy = tmp_path / folder.name
    copy.mkdir()
    for file in folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    assert models.identity(settings(copy)) == known
    changed = json.loads((copy / "preprocessor_config.json").read_text()) | {"image_mean": [0.1, 0.2, 0.3]}
    (copy / "preprocessor_config.json").write_text(json.dumps(changed))
    assert models.identity(settings(copy))["revision"] != known["revision"]
    with pytest.raises(ModelError, match="is not the model that this run was planned with"):
        models.load(settings(copy), "cpu", known["revision"])


def test_pickles_and_strangers_are_refused(folder, tmp_path):
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"no model\.safetensors in .*huggingface-cli download"):
        models.identity(settings(tmp_path))
    (tmp_path / "pytorch_model.bin").rename(tmp_path / "model.safetensors")
    plain = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(plain | {"model_type": "bert"}))
    with pytest.raises(ModelError, match="model_type is 'bert'; known are clip, siglip"):
        models.identity(settings(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps(plain))
    (tmp_path / "model.safetensors").write_bytes(b"\x80\x04.")
    with pytest.raises(ModelError, match="not a model that transformers loads safely"):
        models.load(settings(tmp_path), "cpu")
