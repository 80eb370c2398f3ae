"""Files of a run: the checkpoint that a killed training goes on from, and the finished model as open_clip reads it."""

import io
import json
from typing import Any

import msgspec

from curate.store import Dataset
from curate.training.shards import TrainingError
from curate.weights import CONFIG, WEIGHTS, merges_of, register

LAST = "checkpoint.pt"
"""Everything that training goes on from; removed when the run is committed."""
MERGES = "bpe.txt.gz"


def save(target: Dataset, state: dict[str, Any]) -> None:
    """Replaces the checkpoint, whole or not at all."""
    import torch

    buffer = io.BytesIO()
    torch.save(state, buffer)
    target.put(LAST, buffer.getvalue())


def last(target: Dataset) -> dict[str, Any] | None:
    """The checkpoint of a run that was not finished; None where there is none."""
    import torch

    if not target.fs.exists(target.path(LAST)):
        return None
    return torch.load(io.BytesIO(target.fs.cat_file(target.path(LAST))), map_location="cpu", weights_only=True)


def begin_with(model: Any, run: Dataset) -> None:
    """Gives a model the weights of a finished run of the same architecture. TrainingError where they do not fit."""
    from safetensors.torch import load as tensors

    run.require()
    try:
        model.load_state_dict(tensors(run.fs.cat_file(run.path(WEIGHTS))))
    except RuntimeError as error:
        raise TrainingError(f"{run.path(WEIGHTS)} does not fit the model: {str(error)[:500]}") from error


def finish(target: Dataset, model: Any, config: str, log: list[dict[str, Any]], facts: dict[str, Any]) -> None:
    """Writes the run: weights, configuration and vocabulary (a folder for `local-dir:`), log.jsonl and run.json.

    `open_clip.create_model(name, pretrained=<folder>/open_clip_model.safetensors)` loads the same weights.
    """
    from safetensors.torch import save as tensors

    state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    target.put(WEIGHTS, tensors(state))
    merges = merges_of(config)
    if merges is not None:
        target.put(MERGES, merges.read_bytes())
    described = described_model(config, model.visual.preprocess_cfg)
    target.put(CONFIG, (json.dumps(described, indent=1) + "\n").encode())
    target.put("log.jsonl", b"".join(msgspec.json.encode(line) + b"\n" for line in log))
    target.put("run.json", msgspec.json.format(msgspec.json.encode(facts), indent=1) + b"\n")


def described_model(config: str, preprocessing: dict[str, Any]) -> dict[str, Any]:
    """`open_clip_config.json` of a model: its configuration, with the vocabulary beside it, and its preprocessing."""
    import open_clip

    model = open_clip.get_model_config(register(config))
    if merges_of(config) is not None:
        model["text_cfg"]["tokenizer_kwargs"]["bpe_path"] = MERGES
    return {"model_cfg": model, "preprocess_cfg": {**preprocessing}}


def clear(target: Dataset) -> None:
    """Removes the checkpoint of a committed run."""
    if target.manifest() is not None and target.fs.exists(target.path(LAST)):
        target.fs.rm_file(target.path(LAST))
