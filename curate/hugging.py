"""CLIP and SigLIP in folders as transformers saves them: config.json, model.safetensors, the processor's and the tokenizer's files.

Tensors alone are read, and no code that comes with a model is run.
"""

import hashlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

from PIL import Image

from curate.weights import CONFIG, FOLDER, Model, ModelError, read_json, sha256

KINDS = ("clip", "siglip")
"""`model_type` in config.json of what is known to work."""
WEIGHTS = "model.safetensors"
NEEDED = ("config.json", WEIGHTS, "preprocessor_config.json", "tokenizer_config.json")


def folder_of(settings: Model) -> Path | None:
    """The folder, where a model is one as transformers saves it; None for all others."""
    folder = Path(settings.model.removeprefix(FOLDER))
    ours = settings.model.startswith(FOLDER) and (folder / "config.json").is_file() and not (folder / CONFIG).is_file()
    return folder if ours else None


def described(folder: Path, kinds: Collection[str] = KINDS, what: str = "a CLIP or SigLIP") -> dict[str, Any]:
    """{"revision": sha256 over names and contents of its files, "preprocessing": its preprocessor_config.json}.

    Raises ModelError for a file that is missing or unreadable, and for a kind of model that is not known.
    """
    for name in NEEDED:
        if not (folder / name).is_file():
            raise ModelError(
                f"no {name} in {folder.absolute()}: {what} as transformers saves it has {', '.join(NEEDED)}. Get it where there "
                f"is a network: huggingface-cli download NAME --local-dir {folder}"
            )
    kind = read_json(folder / "config.json").get("model_type")
    if kind not in kinds:
        raise ModelError(f"{folder / 'config.json'}: model_type is {kind!r}; known are {', '.join(kinds)}")
    # Weights of other formats in the same folder (*.bin, onnx/) are not read, and READMEs say nothing of the scores.
    files = sorted(f for f in folder.iterdir() if f.name == WEIGHTS or f.suffix in (".json", ".txt", ".model"))
    lines = "".join(f"{file.name} {sha256(file)}\n" for file in files)
    return {
        "revision": f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}",
        "preprocessing": read_json(folder / "preprocessor_config.json"),
    }


def quiet() -> Any:
    """The package transformers, told to draw no bars for the loading of weights. ImportError where it is not here."""
    import transformers

    transformers.utils.logging.disable_progress_bar()
    return transformers


def load(settings: Model, folder: Path, device: str) -> tuple["Towers", Any, "Tokenizer"]:
    """(model, preprocess, tokenizer) with the faces of open_clip's, in evaluation mode on the device. ModelError."""
    try:
        transformers = quiet()
    except ImportError as error:
        raise ModelError(
            f"model {settings.name!r} is a folder of transformers, which is not here ({error}): pip install 'curate-pairs[transformers]'"
        ) from error
    import torch

    from curate import packing

    kinds = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
    safe = {"local_files_only": True, "trust_remote_code": False}
    try:
        model = transformers.AutoModel.from_pretrained(
            folder, use_safetensors=True, dtype=kinds[settings.precision], **safe
        )
        processor = transformers.AutoImageProcessor.from_pretrained(folder, use_fast=False, **safe)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **safe)
    except Exception as error:  # hostile files may raise anything
        raise ModelError(f"{folder} is not a model that transformers loads safely: {error}") from error
    context = int(model.config.text_config.max_position_embeddings)
    packing.pack(model.eval().to(device), device)
    return Towers(model), Preprocess(processor), Tokenizer(tokenizer, context)


class Towers:
    """A model of transformers under open_clip's names."""

    def __init__(self, model: Any):
        self._model, self.logit_scale = model, model.logit_scale

    def encode_image(self, pixels: Any) -> Any:
        return _vectors(self._model.get_image_features(pixel_values=pixels))

    def encode_text(self, ids: Any) -> Any:
        """No mask for the padding: CLIP's attention is causal and ends before it, SigLIP was trained to see it."""
        return _vectors(self._model.get_text_features(input_ids=ids))


class Preprocess:
    """The folder's own image processor: an RGB image in, float32 tensor of shape (3, height, width) out."""

    def __init__(self, processor: Any):
        self._processor = processor

    def __call__(self, image: Image.Image) -> Any:
        return self._processor(images=image, return_tensors="pt")["pixel_values"][0]


class Tokenizer:
    """The folder's own tokenizer: texts in, int64 ids of shape (n, context length) out, padded to the whole context."""

    def __init__(self, tokenizer: Any, context_length: int):
        self._tokenizer, self.context_length = tokenizer, context_length

    def __call__(self, texts: list[str]) -> Any:
        return self._tokenizer(
            texts, padding="max_length", truncation=True, max_length=self.context_length, return_tensors="pt"
        )["input_ids"]


def _vectors(found: Any) -> Any:
    """Newer versions of transformers wrap the pooled features in an output of several."""
    return getattr(found, "pooler_output", found)
