"""Embeddings of every text of a sample beside its shard (LLM2CLIP, Huang et al. 2024), so that a training need not run the text encoder.

`embeddings/<name>/<shard>_text_embeddings.tar` has the shard's keys in its order, and of each sample an `npz` with `alt` (1, width) and, by
captioner, `caption_<captioner>` (captions, width): mean over tokens of the encoder's last hidden states, of length 1.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from curate import hugging, schema
from curate.images.archive import ArchiveWriter
from curate.ledger import Ledger
from curate.models import device_of
from curate.parts import committed
from curate.shards.reading import members_of
from curate.shards.reinforcement import Embed
from curate.shards.reinforcing import packed
from curate.store import ROW_GROUP, Dataset, Part, Plan
from curate.weights import ModelError, read_json, sha256

AT_ONCE = 256
"""Samples whose texts are embedded together."""
FILES = ("config.json", "model.safetensors", "tokenizer.json")


@dataclass(frozen=True)
class Job:
    """Embeddings to be made."""

    settings: Embed
    shards: Dataset
    target: Dataset
    plan: Plan


def embed_part(shard: str, *, job: Job) -> Part:
    """Makes the embeddings beside one shard; runs in a worker."""
    encoder = load(job.settings, job.settings.device, job.plan.settings["revision"])
    index: list[dict[str, Any]] = []
    samples = ((key, msgspec.json.decode(members["json"])) for key, members in members_of(job.shards, shard))
    with job.target.sidecar(f"{shard}_text_embeddings.tar") as file:
        tar = ArchiveWriter(file)
        while some := list(islice(samples, AT_ONCE)):
            for (key, facts), arrays in embedded(some, encoder, job.settings):
                tar.add(f"{key}.npz", packed(arrays))
                index.append(
                    {"key": key, "uid": facts["uid"], "shard": f"{shard}.tar", "texts": sum(map(len, arrays.values()))}
                )
        tar.close()
    with job.target.write_part(shard, job.plan.hash, Ledger(rows_in=len(index), kept=len(index))) as out:
        for begin in range(0, len(index), ROW_GROUP):
            rows = index[begin : begin + ROW_GROUP]
            out.write(pa.Table.from_pylist(rows, schema=schema.load("embeddings").arrow()))
    return committed(job.target, shard, job.plan)


def embedded(
    samples: Sequence[tuple[str, dict[str, Any]]], encoder: "Encoder", settings: Embed
) -> Iterator[tuple[tuple[str, dict[str, Any]], dict[str, np.ndarray]]]:
    """Each sample with its arrays, by name."""
    groups = [
        {"alt": [facts.get("alt_text", facts["text"])]}
        | {f"caption_{name}": said for name, said in (facts.get("captions") or {}).items()}
        for _, facts in samples
    ]
    flat = encoder.embeddings([text for group in groups for texts in group.values() for text in texts])
    flat, at = flat.astype(settings.precision), 0
    for sample, group in zip(samples, groups, strict=True):
        arrays = {}
        for name, texts in group.items():
            arrays[name], at = flat[at : at + len(texts)], at + len(texts)
        yield sample, arrays


class Encoder:
    """A text encoder: mean over the tokens of the last hidden states, of length 1."""

    def __init__(self, model: Any, tokenizer: Any, settings: Embed, device: str):
        self._model, self._tokenizer, self._device = model, tokenizer, device
        self._batch, self._longest = settings.batch_size, settings.max_tokens

    def embeddings(self, texts: Sequence[str]) -> np.ndarray:
        """float32, shape (n, width). Texts of about one length go together; a text that many samples have is embedded once."""
        import torch

        distinct = sorted(set(texts), key=lambda text: (len(text), text))
        places = {text: place for place, text in enumerate(distinct)}
        found = []
        for begin in range(0, len(distinct), self._batch):
            ids = self._tokenizer(
                distinct[begin : begin + self._batch],
                padding=True,
                truncation=True,
                max_length=self._longest,
                return_tensors="pt",
            ).to(self._device)
            with torch.inference_mode():
                hidden = self._model(**ids).last_hidden_state.float()
            mask = ids["attention_mask"].unsqueeze(-1)
            mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1)
            found.append(torch.nn.functional.normalize(mean, dim=-1).cpu().numpy())
        return np.concatenate(found)[[places[text] for text in texts]]


def revision(settings: Embed) -> str:
    """SHA-256 of the encoder's weights. ModelError when it is not here."""
    folder = Path(settings.encoder)
    for name in FILES:
        if not (folder / name).is_file():
            raise ModelError(
                f"shard.embeddings: {settings.name}: an encoder is looked for in {folder}, and {name} is not there; save one with "
                "transformers' `save_pretrained` (model and tokenizer), or name another folder"
            )
    return sha256(folder / "model.safetensors")


@lru_cache(maxsize=1)
def load(settings: Embed, device: str, planned: str) -> Encoder:
    """The encoder, kept warm. ModelError when it is not here, or not the one that was planned with."""
    if revision(settings) != planned:
        raise ModelError(f"shard.embeddings: {settings.encoder} is not the encoder that this run was planned with")
    try:
        transformers = hugging.quiet()
    except ImportError as error:
        raise ModelError(
            f"transformers reads text encoders, and is not here ({error}): pip install 'curate-pairs[transformers]'"
        ) from error
    target, kind = device_of(device), read_json(Path(settings.encoder) / "config.json").get("auto_map")
    if kind:
        raise ModelError(
            f"{settings.encoder}: its config.json names code of its own (auto_map), which is never run; take another encoder"
        )
    model = transformers.AutoModel.from_pretrained(settings.encoder, local_files_only=True, use_safetensors=True)
    tokenizer = transformers.AutoTokenizer.from_pretrained(settings.encoder, local_files_only=True)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return Encoder(model.eval().to(target), tokenizer, settings, target)
