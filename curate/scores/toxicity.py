"""How toxic a text is, by a text classifier of yours in the form of transformers (Detoxify's are such).

DataComp left out texts of which any category had more than 0.1. No package ships such weights.
"""

from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256 as digest
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from curate import models
from curate.facts.contract import REASON, Columns, Scorer, unless
from curate.scores.contract import Kind
from curate.scores.settings import Toxicity
from curate.store import nearest
from curate.weights import ModelError, sha256

CHARACTERS_PER_TOKEN = 16
"""Texts are cut to this many characters for each token: a word of half a million letters would keep a tokenizer busy for hours."""


class ToxicityScorer(Scorer):
    """`schemas/scores/toxicity.yaml`."""

    reads = ("text",)

    def __init__(self, settings: Toxicity, tokenizer: Any, model: Any, device: str):
        self._settings, self._tokenizer, self._model, self._device = settings, tokenizer, model, device
        labels = {name: index for index, name in model.config.id2label.items()}
        single = model.config.problem_type == "single_label_classification"
        if single and not settings.categories:
            raise ModelError(
                f"{settings.classifier} picks one of {', '.join(labels)}: say which are toxic (`categories`)"
            )
        for name in settings.categories:
            if name not in labels:
                raise ModelError(f"{settings.classifier} knows no category {name!r}: {nearest(name, list(labels))}")
        self._names = list(settings.categories or labels)
        self._places, self._single = [labels[name] for name in self._names], single

    def score(self, rows: pa.Table, images: Columns, image_of: np.ndarray) -> Columns:
        texts = rows["text"].combine_chunks().dictionary_encode()
        odds = self._odds(texts.dictionary.to_pylist())[texts.indices.to_numpy()]
        values = odds.sum(axis=1) if self._single else odds.max(axis=1, initial=0)
        names = np.array(self._names, object)[odds.argmax(axis=1)] if len(odds) else np.zeros(0, object)
        return {
            "toxicity": values.astype(np.float32),
            "category": names,
            REASON: unless(np.isfinite(values), "not_finite"),
        }

    def _odds(self, texts: list[str]) -> np.ndarray:
        """Probabilities of the categories, float64 of shape (texts, categories)."""
        import torch

        found = np.zeros((len(texts), len(self._places)))
        longest = self._settings.max_tokens
        # Texts of like length go together: what is padded is computed too.
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        with torch.inference_mode():
            for begin in range(0, len(order), self._settings.batch_size):
                rows = order[begin : begin + self._settings.batch_size]
                fed = self._tokenizer(
                    [texts[row][: longest * CHARACTERS_PER_TOKEN] for row in rows],
                    padding=True, truncation=True, max_length=longest, return_tensors="pt",
                ).to(self._device)  # fmt: skip
                logits = self._model(**fed).logits.double()
                odds = logits.softmax(dim=1) if self._single else logits.sigmoid()
                found[rows] = odds.cpu().numpy()[:, self._places]
        return found


def load(settings: Toxicity, device: str, identity: Mapping[str, Any]) -> ToxicityScorer:
    """Raises ModelError when the classifier is not here, is something else, or not the one that was planned with."""
    if identity["revision"] != revision(settings):
        raise ModelError(f"{place(settings)} is not the classifier that this run was planned with")
    target = models.device_of(device)
    return ToxicityScorer(settings, *_loaded(place(settings), identity["revision"], target), target)


def place(settings: Toxicity) -> Path:
    """The classifier's folder. Raises ModelError where it is none."""
    folder = Path(settings.classifier)
    for wanted in ("config.json", "model.safetensors"):
        if not (folder / wanted).is_file():
            raise ModelError(
                f"no classifier in {folder.absolute()}: {wanted} is not there. A folder as transformers saves it is wanted (config.json, "
                f"model.safetensors, the tokenizer's files); get it where there is a network: huggingface-cli download NAME --local-dir {folder}"
            )
    return folder


def revision(settings: Toxicity) -> str:
    """sha256 over names and contents of the folder's files."""
    files = sorted(file for file in place(settings).iterdir() if file.is_file())
    return "sha256:" + digest("".join(f"{file.name} {sha256(file)}\n" for file in files).encode()).hexdigest()


@lru_cache(maxsize=1)
def _loaded(folder: Path, revision: str, device: str) -> tuple[Any, Any]:
    try:
        from transformers import AutoModelForSequenceClassification, AutoTokenizer
    except ImportError as error:
        raise ModelError(
            f"toxicity: transformers is not here ({error}): pip install 'curate-pairs[transformers]'"
        ) from error
    try:
        # Nothing is asked of the network, and no code of the folder runs.
        safe = {"local_files_only": True, "trust_remote_code": False}
        tokenizer = AutoTokenizer.from_pretrained(folder, **safe)
        model = AutoModelForSequenceClassification.from_pretrained(folder, use_safetensors=True, **safe)
    except Exception as error:  # hostile files may raise anything
        raise ModelError(
            f"{folder} is not a text classifier that loads safely: {type(error).__name__}: {error}"
        ) from error
    return tokenizer, model.eval().to(device)


KIND = Kind(
    needs="texts", load=load, on_device=True,
    identity=lambda settings: settings.identity() | {"classifier": place(settings).name, "revision": revision(settings)},
    learned_from="A classifier that the recipe brings: what it was trained on is for its makers to tell.",
)  # fmt: skip
