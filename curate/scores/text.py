"""What a text says of itself, without a model: length, words, letters, repetition, file names, stock words, ImageNet-21k,
personal data."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from curate.facts.contract import Columns
from curate.scores.contract import Kind, OfTexts
from curate.scores.settings import Text
from curate.texts import arrays, personal, points, synsets, words


def score(rows: pa.Table, settings: Text) -> Columns:
    """The columns of `schemas/scores/text.yaml` for rows with a `text`; linear in the texts, whatever they are."""
    texts = rows["text"].combine_chunks()
    held = points.of(texts)
    counted, private = words.count(held), personal.count(held)
    return {
        "characters": held.lengths.astype(np.int32),
        "words": counted.words,
        "letters": counted.letters,
        "repetition": counted.repetition,
        "file_name": arrays.file_name(texts),
        "boilerplate": arrays.boilerplate(texts),
        "imagenet21k": synsets.of(texts),
        "emails": private.emails,
        "phones": private.phones,
        "cards": private.cards,
    }


def load(settings: Text, device: str, identity: Mapping[str, Any]) -> OfTexts:
    synsets.nouns()
    return OfTexts(score, settings)


KIND = Kind(
    needs="texts",
    load=load,
    learned_from="No model: rules, lists of stock words, and WordNet's nouns.",
)
