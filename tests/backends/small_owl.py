"""An OWLv2 of random weights, as transformers saves it: what it sees is nonsense, how it is asked and read is not."""

import json

import pytest
import torch

WORDS = ["a", "red", "blue", "green", "disc", "square", "cross", "line", "cat", "dog", "apple", "table", "!"]


@pytest.fixture(scope="session")
def small_owl(tmp_path_factory):
    from transformers import CLIPTokenizer, Owlv2Config, Owlv2ForObjectDetection, Owlv2ImageProcessor

    root = tmp_path_factory.mktemp("owl")
    letters = [chr(code) for code in range(97, 123)]
    tokens = [*letters, "!", *(f"{letter}</w>" for letter in [*letters, "!"]), "<|startoftext|>", "<|endoftext|>"]
    (root / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
    (root / "merges.txt").write_text("#version: 0.2\n")
    CLIPTokenizer(
        str(root / "vocab.json"), str(root / "merges.txt"), pad_token="!", model_max_length=16
    ).save_pretrained(root)
    text = {"vocab_size": len(tokens), "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
            "max_position_embeddings": 16, "bos_token_id": len(tokens) - 2, "eos_token_id": len(tokens) - 1, "pad_token_id": 26}  # fmt: skip
    vision = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 64,
        "patch_size": 16,
    }
    torch.manual_seed(0)
    model = Owlv2ForObjectDetection(Owlv2Config(text_config=text, vision_config=vision, projection_dim=16))
    model.save_pretrained(root)
    Owlv2ImageProcessor(size={"height": 64, "width": 64}).save_pretrained(root)
    config = json.loads((root / "preprocessor_config.json").read_text()) | {"processor_class": "Owlv2Processor"}
    (root / "preprocessor_config.json").write_text(json.dumps(config))
    return root
