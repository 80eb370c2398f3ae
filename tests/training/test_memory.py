"""The estimate of a training's memory: near what one takes, and a sentence where it is too much."""

import open_clip
import pytest
import torch

from curate.recipe import Train
from curate.training.memory import GIB, activations, free_bytes, parameters, said, warning

SMALL = {
    "embed_dim": 64,
    "vision_cfg": {"image_size": 96, "layers": 6, "width": 192, "head_width": 64, "patch_size": 8},
    "text_cfg": {"context_length": 64, "vocab_size": 1000, "width": 192, "heads": 3, "layers": 6},
}


def test_the_estimate_is_near_what_autograd_keeps():
    torch.manual_seed(0)
    model = open_clip.CLIP(**SMALL).train()
    kept: dict[int, int] = {}

    def pack(tensor):
        if not isinstance(tensor, torch.nn.Parameter):
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        image, text, scale = model(torch.randn(4, 3, 96, 96), torch.randint(1, 999, (4, 64)))
        (scale * image @ text.T).sum()
    measured = sum(kept.values()) / 4
    # Fused attention keeps less than the formula has.
    assert 0.4 < measured / activations(SMALL) < 1.5


def test_parameters_are_nearly_those_of_the_model():
    real = sum(p.numel() for p in open_clip.CLIP(**SMALL).parameters())
    assert parameters(SMALL) == pytest.approx(real, rel=0.15)


def test_the_default_training_is_warned_of_on_a_laptop_and_a_small_one_is_not():
    config = open_clip.get_model_config("ViT-B-32")
    told = warning(config, parameters(config), 4096, 1, 20 * GIB)
    assert told and "train.batch_size 4,096 wants about" in told and "20 GiB are free" in told
    fits = int(told.split("about ")[-1].split()[0])
    assert 32 <= fits <= 512 and warning(config, parameters(config), fits, 1, 20 * GIB) is None
    assert "smaller train.model" in warning(config, parameters(config), 64, 8, 1 * GIB)
    assert warning({"vision_cfg": {"layers": [1, 1, 1, 1]}, "text_cfg": {"layers": 2}}, 10**9, 4096, 1, GIB) is None


def test_trainings_that_are_done_need_nothing(monkeypatch):
    monkeypatch.setattr("curate.training.memory.free_bytes", lambda: 4 * GIB)
    settings = Train(model="ViT-B-32", batch_size=4096, device="cpu")
    assert "4 GiB are free" in said(settings, 1) and said(settings, 0) is None


def test_linux_says_what_is_free():
    free = free_bytes()
    assert free is None or free > 1 << 20
