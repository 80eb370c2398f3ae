"""What a text says of itself, without a model: length, words, letters, repetition, file names, stock words, ImageNet-21k,
personal data."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from curate.scores.contract import Columns, Kind, OfTexts
from curate.scores.settings import Text
from curate.texts import personal, points, stock, synsets, words


def score(rows: pa.Table, settings: Text) -> Columns:
    """The columns of `schemas/scores/text.yaml` for rows with a `text`; linear in the texts, whatever they are."""
    texts = rows["text"].combine_chunks()
    held = points.of(texts)
    counted, private = words.count(held), personal.count(held)
    lengths = held.lengths.astype(np.int32)
    # A file's name is one word with a dot in it, or has a digit; a stock word is short: most texts are settled by what is counted.
    names = (lengths <= 255) & ((counted.digits > 0) | (counted.words == 1))
    stocked = counted.alphabetic <= stock.most_stock_letters()
    return {
        "characters": lengths,
        "words": counted.words,
        "letters": counted.letters,
        "repetition": counted.repetition,
        "file_name": _asked(stock.is_file_name, texts, names),
        "boilerplate": _asked(stock.is_boilerplate, texts, stocked),
        "imagenet21k": synsets.of(texts),
        "emails": private.emails,
        "phones": private.phones,
        "cards": private.cards,
    }


def _asked(question: Any, texts: pa.Array, of: np.ndarray) -> np.ndarray:
    """Bool: the answer for the texts that `of` marks, false for the others."""
    answers = np.zeros(len(texts), np.bool_)
    asked = np.flatnonzero(of)
    answers[asked] = [question(text) for text in texts.take(pa.array(asked)).to_pylist()]
    return answers


def load(settings: Text, device: str, identity: Mapping[str, Any]) -> OfTexts:
    synsets.nouns()
    return OfTexts(score, settings)


KIND = Kind(needs="texts", load=load)
