"""A model's matrices laid out once, at load, as the processor's own vector units want them (oneDNN); float32 as before.

torch multiplies float32 matrices by MKL, which uses half of what a processor that is not Intel's can do: on one core of an AMD EPYC
(Zen 5) it reached 100 GFLOP/s where oneDNN, which torch brings for its compiler's sake, reached 230. A ViT-B/32 then took 43 ms an
image where it took 91. torch.compile does the same and needs a C++ compiler and minutes; the public `torch.utils.mkldnn` lays weights
out again with each call. Imports torch: import this late.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

BLOCK = "open_clip.transformer.ResidualAttentionBlock"
CALLED = {
    BLOCK: ("mlp.c_fc", "mlp.c_proj"),
    "timm.layers.attention.Attention": ("qkv", "proj"),
    "timm.layers.mlp.Mlp": ("fc1", "fc2"),
    "transformers.models.clip.modeling_clip.CLIPAttention": ("q_proj", "k_proj", "v_proj", "out_proj"),
    "transformers.models.clip.modeling_clip.CLIPMLP": ("fc1", "fc2"),
    "transformers.models.siglip.modeling_siglip.SiglipAttention": ("q_proj", "k_proj", "v_proj", "out_proj"),
    "transformers.models.siglip.modeling_siglip.SiglipMLP": ("fc1", "fc2"),
}
"""Linear layers, by their owner's class, that are called and nothing else: other owners read their weights, which packed ones no
longer show. A class that goes by another name in another version is not packed, and is as fast as it was."""
SAME = 1e-5
"""How far a packed layer's answers may be from the plain one's, of the greatest of them: bfloat16 would be 4e-3 off."""


class Packed(nn.Module):
    """x -> x @ weight.T + bias, for float32 x of shape (..., inputs) on a CPU, in inference. `weight` is opaque to all but oneDNN."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None):
        super().__init__()
        self.register_buffer("weight", torch.ops.mkldnn._reorder_linear_weight(weight.detach(), None))
        self.register_buffer("bias", None if bias is None else bias.detach())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "")


class SelfAttention(nn.Module):
    """nn.MultiheadAttention of float32 x with itself, batch first, without dropout; answers as it does."""

    def __init__(self, plain: nn.MultiheadAttention):
        super().__init__()
        self.heads = plain.num_heads
        self.in_proj = Packed(plain.in_proj_weight, plain.in_proj_bias)
        self.out_proj = Packed(plain.out_proj.weight, plain.out_proj.bias)

    def forward(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *,
        need_weights: bool = False, attn_mask: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, None]:  # fmt: skip
        """`attn_mask`: added to the logits, float32, shape (length, length) or (n * heads, length, length)."""
        n, length, _ = query.shape
        q, k, v = self.in_proj(query).view(n, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        if attn_mask is not None and attn_mask.ndim == 3:
            attn_mask = attn_mask.view(n, self.heads, length, length)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=attn_mask)
        return self.out_proj(mixed.transpose(1, 2).reshape(n, length, -1)), None


def pack(model: nn.Module, device: str) -> int:
    """Packs, in place, the layers of a float32 model in evaluation mode that are known to bear it; how many.

    None on other devices than the CPU, and where torch came without oneDNN. A layer whose answers change by more than
    rounding (or are no numbers) stays as it was. The model can be called as before in `torch.inference_mode`, and no longer trained.
    """
    if (
        device != "cpu"
        or not torch.backends.mkldnn.is_available()
        or not hasattr(torch.ops.mkldnn, "_linear_pointwise")
    ):
        return 0
    owners, packed = [owner for owner in model.modules() if _kind(owner) in CALLED], 0
    with torch.inference_mode():
        # One by one: a plain layer is let go before the next is packed, or the model would be held twice.
        for owner in owners:
            for place, name in _layers(owner):
                plain = getattr(place, name)
                attention = isinstance(plain, nn.MultiheadAttention)
                mine = SelfAttention(plain) if attention else Packed(plain.weight, plain.bias)
                if _same(plain, mine, attention):
                    setattr(place, name, mine)
                    packed += 1
    return packed


def _kind(layer: nn.Module) -> str:
    return f"{type(layer).__module__}.{type(layer).__qualname__}"


def _layers(owner: Any) -> Iterator[tuple[Any, str]]:
    """(module, its name for the layer) of the owner's layers that can be packed."""
    if _kind(owner) == BLOCK and not hasattr(owner, "ln_1_kv") and _plain(owner.attn):
        yield owner, "attn"
    for path in CALLED[_kind(owner)]:
        above, _, name = path.rpartition(".")
        place = owner.get_submodule(above)
        layer = getattr(place, name, None)
        if type(layer) is nn.Linear and layer.weight.dtype == torch.float32:
            yield place, name


def _plain(attention: Any) -> bool:
    return (
        type(attention) is nn.MultiheadAttention and attention.batch_first and attention.in_proj_weight is not None
        and attention.in_proj_weight.dtype == torch.float32 and attention.bias_k is None and not attention.add_zero_attn
    )  # fmt: skip


def _same(plain: Any, mine: Any, attention: bool) -> bool:
    width = plain.embed_dim if attention else plain.in_features
    x = torch.randn((2, 4, width), generator=torch.Generator().manual_seed(0))
    if attention:
        mask = torch.full((4, 4), -torch.inf).triu_(1)
        want, found = (layer(x, x, x, need_weights=False, attn_mask=mask)[0] for layer in (plain, mine))
    else:
        want, found = plain(x), mine(x)
    return bool((want - found).abs().max() <= SAME * want.abs().max())
