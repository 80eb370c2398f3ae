"""Texts that are cut after their longest have the embeddings of texts that are not."""

import numpy as np
import pytest
import torch

from curate import models
from curate.models import quietly
from curate.recipe import Model
from curate.text_tower import TextTower

TEXTS = [
    "a red disc",
    "",
    "cross",
    "a line, a disc, a cross, and many words more than the context has room for",
    "blue",
    "a",
]


@pytest.fixture(scope="module")
def clip(small_run):
    return models.load(Model(name="small", model=f"local-dir:{small_run}", batch_size=2), "cpu")


def whole(clip, texts) -> np.ndarray:
    with torch.no_grad():
        return torch.nn.functional.normalize(clip.model.encode_text(clip.tokenizer(texts)), dim=-1).numpy()


def test_embeddings_are_those_of_whole_contexts_in_the_order_of_the_texts(clip):
    assert (clip.texts.lengths(clip.tokenizer(TEXTS)) < 8).any()  # or there is nothing to cut
    assert clip.text_embeddings(TEXTS) == pytest.approx(whole(clip, TEXTS), abs=1e-6)
    assert clip.text_embeddings([]).shape == (0, 16)


def test_a_short_text_costs_a_short_context(clip):
    seen = []
    handle = clip.model.ln_final.register_forward_hook(lambda module, given, out: seen.append(out.shape[1]))
    clip.text_embeddings(["a", "b"])
    handle.remove()
    assert seen == [4]


@pytest.mark.parametrize("change", [{"no_causal_mask": True}, {"pool_type": "last"}, {"embed_cls": True}])
def test_a_model_that_looks_behind_the_end_is_not_cut(change):
    import open_clip

    vision = {"image_size": 16, "layers": 1, "width": 32, "head_width": 16, "patch_size": 4}
    text = {"context_length": 8, "vocab_size": 600, "width": 32, "heads": 2, "layers": 1}
    model = quietly(open_clip.CustomTextCLIP, 16, vision, text | change).eval()
    plain = quietly(open_clip.CustomTextCLIP, 16, vision, text).eval()
    ids = torch.tensor([[598, 5, 599, 0, 0, 0, 0, 0]])
    assert TextTower(plain, "cpu").lengths(ids).tolist() == [3]
    assert TextTower(model, "cpu").lengths(ids).tolist() == [8]
    with torch.no_grad():
        assert torch.equal(TextTower(model, "cpu").encode(ids), model.encode_text(ids))
        assert TextTower(plain, "cpu").encode(ids).numpy() == pytest.approx(plain.encode_text(ids).numpy(), abs=1e-6)


def test_a_model_whose_answer_moves_with_the_cut_is_found_out():
    import open_clip

    vision = {"image_size": 16, "layers": 1, "width": 32, "head_width": 16, "patch_size": 4}
    text = {"context_length": 8, "vocab_size": 600, "width": 32, "heads": 2, "layers": 1}
    model = quietly(open_clip.CLIP, 16, vision, text).eval()
    model.attn_mask.zero_()  # says that it is causal and is not
    assert TextTower(model, "cpu").lengths(torch.tensor([[598, 5, 599, 0, 0, 0, 0, 0]])).tolist() == [8]
