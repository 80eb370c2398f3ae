"""A CoCa small enough to be made in a test: its weights are drawn, so it says nonsense, but always the same."""

import copy
import json
import shutil

import pytest
import torch

from curate.training import captioning
from curate.weights import CONFIG, WEIGHTS
from tests import small_model

COCA = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 16, "layers": 1, "width": 32, "head_width": 16, "patch_size": 4, "attentional_pool": True,
                   "attn_pooler_queries": 8, "attn_pooler_heads": 2, "output_tokens": True},
    "text_cfg": small_model.CONFIG["text_cfg"] | {"context_length": 16, "embed_cls": True, "output_tokens": True},
    "multimodal_cfg": {"context_length": 16, "vocab_size": small_model.CONFIG["text_cfg"]["vocab_size"], "width": 32, "heads": 2,
                       "layers": 1, "attn_pooler_heads": 2},
    "custom_text": True,
}  # fmt: skip


def write_config(folder) -> str:
    """A CoCa's config with its own vocabulary; returns the config's path."""
    small_model.write_model(folder)
    (folder / "small-coca.json").write_text(json.dumps(COCA))
    return str(folder / "small-coca.json")


def write_coca(folder) -> str:
    """A folder for `local-dir:`; returns its path."""
    import open_clip
    from safetensors.torch import save_file

    open_clip.add_model_config(write_config(folder))
    torch.manual_seed(3)
    model = open_clip.create_model("small-coca", pretrained_text=False)
    captioning.begin(model)
    # Drawn weights find all tokens about as likely, whatever the image; these have opinions.
    with torch.no_grad():
        model.text_decoder.text_projection *= 4
        model.text.token_embedding.weight *= 30
        for block in model.text_decoder.cross_attn:
            block.attn.out_proj.weight *= 8
    state = {name: value.contiguous() for name, value in model.state_dict().items()}
    save_file(state, folder / WEIGHTS)
    shutil.copyfile(folder / "vocabulary" / "merges.txt.gz", folder / "bpe.txt.gz")
    config = copy.deepcopy(COCA)
    config["text_cfg"]["tokenizer_kwargs"]["bpe_path"] = "bpe.txt.gz"
    mean_std = {"mean": [0.5] * 3, "std": [0.25] * 3}
    (folder / CONFIG).write_text(json.dumps({"model_cfg": config, "preprocess_cfg": mean_std}))
    return str(folder)


@pytest.fixture(scope="session")
def small_coca(tmp_path_factory):
    """The folder of a small captioner."""
    return write_coca(tmp_path_factory.mktemp("small-coca"))
