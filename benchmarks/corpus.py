"""The texts and the entry list that the matching benchmark runs on, from a pool's tables or from what the project ships."""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curate import schema
from curate.concepts import entries
from curate.concepts.rules import matchable

ENTRIES = 500_000
FUNCTION_WORDS = 100
"""The most frequent words, which begin and end few titles."""
COLUMNS = ("alt", "figcaption", "title", "caption", "text")


def texts_of(folder: Path, languages: tuple[str, ...], columns: tuple[str, ...] = COLUMNS) -> list[str]:
    """Distinct texts of the tables in a folder whose `lang` is one of `languages`, in order."""
    return list(dict.fromkeys(_texts(folder, languages, columns)))


def any_texts(folder: Path, columns: tuple[str, ...] = COLUMNS) -> list[str]:
    """Distinct texts of a folder's tables in every language, in order."""
    found = dict.fromkeys(
        text
        for file in sorted(folder.glob("*.parquet"))
        for column in set(columns) & set(pq.read_schema(file).names)
        for text in pq.read_table(file, columns=[column])[column].to_pylist()
        if text
    )
    return list(found)


def _texts(folder: Path, languages: tuple[str, ...], columns: tuple[str, ...]) -> Iterator[str]:
    for file in sorted(folder.glob("*.parquet")):
        table = pq.read_table(file)
        if "lang" not in table.column_names:
            continue
        for column in columns:
            if column in table.column_names:
                for text, lang in zip(table[column].to_pylist(), table["lang"].to_pylist(), strict=True):
                    if text and lang and lang.lower().split("-")[0] in languages:
                        yield text


def sentences(texts: list[str], longest: int) -> list[str]:
    """Distinct sentences of 8 to `longest` bytes."""
    found = (part.strip() for text in texts for part in re.split(r"(?<=[.!?])\s+|\n", text))
    return list(dict.fromkeys(part for part in found if 8 <= len(part.encode()) <= longest))


def repeated(texts: list[str], number: int) -> list[str]:
    return (texts * (number // len(texts) + 1))[:number]


def entry_list(texts: list[str], size: int = ENTRIES, seed: int = 0) -> list[str]:
    """An English entry list of `size`, made up as MetaCLIP's: WordNet and frequent words (the list that ships), word
    pairs of the texts by pointwise mutual information, and titles, which are compounds of words drawn by Zipf's law."""
    table = entries.load("metadata", "en")
    known = dict.fromkeys(table["text"].to_pylist()) | dict.fromkeys(collocations(texts))
    words = table.filter(pc.field("source") == "words")["text"].to_pylist()
    chance = np.random.default_rng(seed)
    while len(known) < size:
        ranks = (chance.zipf(1.2, (size, 3)) + FUNCTION_WORDS) % len(words)
        ranks[:, 1] %= len(words) // 2  # The middle word of a title is often a frequent one.
        known |= dict.fromkeys(" ".join(words[rank] for rank in row) for row in ranks.tolist())
    return list(known)[:size]


def collocations(texts: list[str], least: int = 3, most: int = 2_000) -> list[str]:
    """Pairs of neighbouring words that stand together at least `least` times, the most telling first."""
    cut = [text.split() for text in texts]
    single = Counter(word for words in cut for word in words)
    double = Counter(pair for words in cut for pair in pairwise(words))
    bound = {
        (one, two): number / (single[one] * single[two]) for (one, two), number in double.items() if number >= least
    }
    found = (" ".join(pair) for pair in sorted(bound, key=lambda pair: (-bound[pair], pair)))
    return [pair for pair in found if matchable(pair, "metaclip1")][:most]


def chinese_words() -> list[str]:
    """The dictionary of jieba: 349,000 words of an unspaced script."""
    import jieba

    lines = Path(jieba.__file__).with_name("dict.txt").read_text(encoding="utf-8").splitlines()
    return [word for word in dict.fromkeys(line.split(" ")[0] for line in lines) if matchable(word, "metaclip2")]


def as_table(texts: list[str]) -> pa.Table:
    """An entry list (`schemas/entries.yaml`)."""
    columns = {
        "id": range(len(texts)),
        "text": texts,
        "source": ["words"] * len(texts),
        "statistic": [None] * len(texts),
    }
    return schema.load("entries").hold(pa.table(columns))
