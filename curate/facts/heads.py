"""Heads: small networks on stored embeddings, as files bring them. What they are fed has length 1, whatever is stored.

A head is a chain of linear layers, with or without ReLU between them. Its answer on vectors of length 1 is bounded by the norms
of its weights; so a score of 30 from vectors that nobody normalised, as widely spread aesthetic scores have it, cannot come about.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from curate.weights import Model, ModelError, sha256

Activation = Literal["none", "relu"]
SUFFIXES = (".safetensors", ".npz", ".pth", ".pt", ".bin")
MODEL, TOWER = "model", "tower"
"""Under which a file may say for which model it is: by the name that a recipe gives it, or by its revision."""
ROOM = 1e-3
"""By how much of its size rounding may carry an answer beyond its bound."""


@dataclass(frozen=True)
class Head:
    """A chain of layers, the input's first."""

    layers: list[tuple[np.ndarray, np.ndarray]]
    """Weights (float32, shape (outputs, inputs)) and biases of each."""
    activation: Activation
    tower: str | None = None
    """Revision of the model whose embeddings it was trained on, where the file says."""

    @property
    def outputs(self) -> int:
        return len(self.layers[-1][0])

    @property
    def width(self) -> int:
        """Dimensions of the embeddings that it takes."""
        return int(self.layers[0][0].shape[1])

    @cached_property
    def bound(self) -> float:
        """What no output exceeds in size on a vector of length 1. Of a single row of weights exactly |w| + |b|."""
        bound = 1.0
        for weight, bias in self.folded:
            bound = float(np.linalg.norm(weight.astype(np.float64), 2)) * bound + float(np.linalg.norm(bias))
        return bound

    @cached_property
    def folded(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Layers without anything between them are one, whose norm is the tighter bound."""
        if self.activation != "none":
            return self.layers
        weight, bias = self.layers[0][0].astype(np.float64), self.layers[0][1].astype(np.float64)
        for following, more in self.layers[1:]:
            weight, bias = following @ weight, following @ bias + more
        return [(weight, bias)]

    def __call__(self, embeddings: np.ndarray) -> np.ndarray:
        """Outputs for embeddings of shape (n, width), float32 of shape (n, outputs); NaN for rows that have no direction, or that
        left the head's bound."""
        wide = np.asarray(embeddings, np.float32)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            values = wide / np.linalg.norm(wide, axis=1, keepdims=True)
            for index, (weight, bias) in enumerate(self.layers):
                if index and self.activation == "relu":
                    values = np.maximum(values, 0)
                values = values @ weight.T + bias
            values[~(np.abs(values) <= self.bound * (1 + ROOM))] = np.nan
        return values.astype(np.float32)

    def fits(self, embeddings: np.ndarray, path: str, model: Model) -> np.ndarray:
        """The embeddings, if the head takes such. Raises ModelError otherwise."""
        if embeddings.shape[1] != self.width:
            raise ModelError(
                f"{path} takes embeddings of {self.width} dimensions, and those of model {model.name!r} have {embeddings.shape[1]}: it is "
                "a head for another model"
            )
        return embeddings


def load(path: str, activation: Activation, model: Model, identity: Mapping[str, Any]) -> Head:
    """The head in a file, kept for the next call.

    Raises ModelError when there is none, it is something else, says that it is for another model, or is not the one that was planned with.
    """
    file = place(path)
    if (revision := sha256(file)) != identity["revision"]:
        raise ModelError(f"{file} is not the head that this run was planned with")
    head, told = _read(file, activation, revision)
    if told is not None and told != model.model:
        raise ModelError(
            f"{file} is a head for embeddings of {told}, and model {model.name!r} of score.models is {model.model}"
        )
    if head.tower is not None and head.tower != identity["embeddings_of"]:
        raise ModelError(
            f"{file} is a head for embeddings of the model with the revision {head.tower}, and model {model.name!r} of score.models has "
            f"{identity['embeddings_of']}: train one for it, or name the other model"
        )
    return head


def identity(settings: Any) -> dict[str, Any]:
    """What a manifest says of a scorer with a `head`: its settings, what is in the file, and not where it lies."""
    return settings.identity() | {"head": Path(settings.head).name, "revision": sha256(place(settings.head))}


def place(path: str) -> Path:
    """The head's file. Raises ModelError where there is none."""
    file = Path(path)
    if not file.is_file():
        raise ModelError(
            f"no head at {file.absolute()}: a file with the weights of its linear layers ({', '.join(SUFFIXES)}) is wanted, from whoever "
            "trained it on embeddings of this model; none ships with any package, so there is nothing to take in its place"
        )
    return file


@lru_cache(maxsize=4)
def _read(file: Path, activation: Activation, digest: str) -> tuple[Head, str | None]:
    """The head, and the model that the file says it is for (MODEL, in its metadata)."""
    try:
        arrays, said = _arrays(file)
    except ModelError:
        raise
    except Exception as error:  # hostile bytes may raise anything
        raise ModelError(
            f"{file} is not a file of tensors that loads safely: {type(error).__name__}: {error}"
        ) from error
    layers = []
    for name in sorted((name for name, array in arrays.items() if array.ndim == 2), key=_numbered):
        stem = name.removesuffix("weight")
        bias = arrays.get(f"{stem}bias", np.zeros(len(arrays[name])))
        layers.append((arrays[name].astype(np.float32), bias.astype(np.float32)))
    if not layers:
        raise ModelError(
            f"{file} has no layer: a tensor with two dimensions, outputs and inputs; it has {', '.join(arrays) or 'nothing'}"
        )
    for (weight, bias), (before, _) in zip(layers, [(layers[0][0].T, None), *layers], strict=False):
        if len(bias) != len(weight) or weight.shape[1] != len(before):
            shapes = ", ".join(str(weight.shape) for weight, _ in layers)
            raise ModelError(f"{file}: its layers do not follow each other: {shapes}")
    if not all(np.isfinite(weight).all() and np.isfinite(bias).all() for weight, bias in layers):
        raise ModelError(f"{file} has weights that are not finite")
    return Head(layers, activation, said.get(TOWER)), said.get(MODEL)


def _arrays(file: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The tensors of a file, and what it says of itself."""
    if file.suffix == ".npz":
        with np.load(file, allow_pickle=False) as held:
            arrays = {name: held[name] for name in held.files}
        return arrays, {name: str(arrays.pop(name)) for name in (MODEL, TOWER) if name in arrays}
    if file.suffix == ".safetensors":
        from safetensors import safe_open

        with safe_open(str(file), "np") as held:
            return {name: held.get_tensor(name) for name in held.keys()}, held.metadata() or {}  # noqa: SIM118
    if file.suffix in SUFFIXES:
        import torch

        state: Any = torch.load(file, map_location="cpu", weights_only=True)
        if not isinstance(state, dict):
            raise ModelError(f"{file} holds {type(state).__name__}, not named tensors")
        state = state.get("state_dict", state)
        return {name: value.float().numpy() for name, value in state.items() if isinstance(value, torch.Tensor)}, {}
    raise ModelError(f"{file}: a head's file ends in {', '.join(SUFFIXES)}")


def _numbered(name: str) -> list[Any]:
    """Sorts `layers.10` behind `layers.9`."""
    return [(not piece.isdigit(), int(piece) if piece.isdigit() else 0, piece) for piece in re.split(r"(\d+)", name)]
