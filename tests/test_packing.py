"""Packed layers answer as plain ones do, in every model that is packed; what cannot be packed stays as it is and works."""

import copy

import pytest
import torch
from torch import nn

from curate import models, packing
from curate.recipe import Model

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch came without oneDNN")


def packed_layers(model: nn.Module) -> list[nn.Module]:
    return [layer for layer in model.modules() if isinstance(layer, packing.Packed)]


def same(plain: nn.Module, *given: torch.Tensor, layers: int, **more: torch.Tensor) -> None:
    """A packed copy has as many packed matrices and answers as the model did."""
    mine = copy.deepcopy(plain)
    packing.pack(mine, "cpu")
    assert len(packed_layers(mine)) == layers
    with torch.inference_mode():
        want = plain(*given, **more)
        assert want.abs().max() > 1e-3
        assert mine(*given, **more).numpy() == pytest.approx(want.numpy(), abs=1e-5)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize("n", [1, 5])
def test_blocks_of_open_clip(n):
    from open_clip.transformer import ResidualAttentionBlock

    x, mask = torch.randn(n, 6, 32), torch.full((6, 6), -torch.inf).triu_(1)
    block = ResidualAttentionBlock(32, 4).eval()
    nn.init.normal_(block.attn.in_proj_bias)
    same(block, x, layers=4)
    same(block, x, layers=4, attn_mask=mask)
    heads = torch.randn(4 * n, 6, 6)  # another mask for each head of each text, as padding makes them
    same(block, x, layers=4, attn_mask=heads)


def test_attention_to_another_sequence_stays_and_its_perceptron_is_packed():
    from open_clip.transformer import ResidualAttentionBlock

    block = ResidualAttentionBlock(32, 4, is_cross_attention=True).eval()
    same(block, torch.randn(2, 6, 32), layers=2, k_x=torch.randn(2, 9, 32), v_x=torch.randn(2, 9, 32))


def test_a_vision_transformer_of_timm_and_one_that_reads_its_own_weights():
    from timm.models.beit import Beit
    from timm.models.vision_transformer import VisionTransformer

    shape = {"img_size": 16, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 2, "num_classes": 8}
    pixels = torch.randn(3, 3, 16, 16)
    for kind, layers in ((VisionTransformer, 8), (Beit, 4)):
        model = kind(**shape).eval()
        nn.init.normal_(model.head.weight)
        same(model, pixels, layers=layers)


def test_a_loaded_model_is_packed_and_holds_no_plain_matrix(small_run):
    clip = models.load(Model(name="small", model=f"local-dir:{small_run}"), "cpu")
    blocks = [m for m in clip.model.modules() if type(m).__name__ == "ResidualAttentionBlock"]
    assert blocks and len(packed_layers(clip.model)) == 4 * len(blocks)
    assert not any(isinstance(layer, nn.Linear) for block in blocks for layer in block.modules())


@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_nothing_is_packed_for_other_devices(device):
    from open_clip.transformer import ResidualAttentionBlock

    assert packing.pack(ResidualAttentionBlock(32, 4), device) == 0


def test_half_precision_and_weights_that_are_no_numbers_stay():
    from open_clip.transformer import ResidualAttentionBlock

    assert packing.pack(ResidualAttentionBlock(32, 4).bfloat16(), "cpu") == 0
    block = ResidualAttentionBlock(32, 4).eval()
    with torch.no_grad():
        block.mlp.c_fc.weight[3, 3] = torch.nan
    assert packing.pack(block, "cpu") == 2 and type(block.mlp.c_fc) is nn.Linear


def test_a_layer_that_answers_otherwise_is_found_out():
    plain = nn.Linear(32, 16)
    good, other = packing.Packed(plain.weight, plain.bias), packing.Packed(plain.weight.bfloat16().float(), plain.bias)
    with torch.inference_mode():
        assert packing._same(plain, good, attention=False)
        assert not packing._same(plain, other, attention=False)
