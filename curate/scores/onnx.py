"""Networks of yours as ONNX files, on pixels: how they are found, fed and asked."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from curate.facts.contract import Picture, Scorer
from curate.scores.settings import Network, Tmars
from curate.weights import ModelError, sha256


class NetworkScorer(Scorer):
    """What scorers with a network have in common: the whole picture at its size goes in, vectors come out."""

    batch_size = 32

    def __init__(self, settings: Any, session: Any):
        self._settings, self._session = settings, session

    def see(self, picture: Picture) -> np.ndarray:
        """The whole picture as a square, uint8: what is looked for may be in any corner, so nothing is cut off."""
        side = self._settings.side
        return np.asarray(picture.pixels.resize((side, side), Image.Resampling.BICUBIC, reducing_gap=3.0))

    def outputs(self, seen: list[np.ndarray]) -> np.ndarray:
        """The first output of the network for pictures, at least one: float64, shape (n, values). Raises ModelError where the network
        is not for such."""
        return asked(self._session, self._settings, seen).reshape(len(seen), -1)


def asked(session: Any, settings: Network | Tmars, seen: list[np.ndarray]) -> np.ndarray:
    """The first output of a network for squares, uint8 of shape (side, side, 3), at least one: float64, shape (n, ...). Raises ModelError
    where the network is not for such."""
    pixels = (np.stack(seen) / 255 - settings.mean) / settings.std
    fed = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2), np.float32)
    try:
        found = np.asarray(session.run(None, {session.get_inputs()[0].name: fed})[0], np.float64)
    except Exception as error:
        raise ModelError(
            f"{settings.word}: {settings.network} does not take pixels of shape {fed.shape}: {error}"
        ) from error
    if found.shape[:1] != (len(fed),):
        raise ModelError(f"{settings.word}: {settings.network} answers {len(fed)} images with shape {found.shape}")
    return found


def session(settings: Network | Tmars, device: str, identity: Mapping[str, Any]) -> Any:
    """The network, ready. Raises ModelError when it is not here, is something else, or not the one that was planned with."""
    file = place(settings)
    if identity["revision"] != sha256(file):
        raise ModelError(f"{settings.word}: {file} is not the network that this run was planned with")
    return _session(file, device, identity["revision"])


def place(settings: Network | Tmars) -> Path:
    """The network's file. Raises ModelError where there is none."""
    file = Path(settings.network)
    if not file.is_file():
        raise ModelError(
            f"{settings.word}: no network at {file.absolute()}: an ONNX file is wanted, from whoever trained it; none ships with any package, "
            "so there is nothing to take in its place"
        )
    return file


def identity(settings: Network | Tmars) -> dict[str, Any]:
    """What a manifest says: settings, what is in the file, and not where it lies."""
    return settings.identity() | {"network": place(settings).name, "revision": sha256(place(settings))}


@lru_cache(maxsize=2)
def _session(file: Path, device: str, revision: str) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise ModelError(f"{file}: ONNX Runtime is not here ({error}): pip install 'curate-pairs[onnx]'") from error
    wanted = ["CPUExecutionProvider"] if device == "cpu" else onnxruntime.get_available_providers()
    try:
        return onnxruntime.InferenceSession(str(file), providers=wanted)
    except Exception as error:  # hostile bytes may raise anything
        raise ModelError(f"{file} is not an ONNX network: {error}") from error
