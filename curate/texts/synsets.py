"""ImageNet-21k in texts: the first word whose most frequent meaning in WordNet is one of its synsets.

DataComp's `text_based` filter asks NLTK's WordNet for the synsets of each word, takes the first, and looks it up in the list of
ImageNet-21k. The first synset of a word that is a noun in any of its forms is a noun, and all of ImageNet-21k are nouns: so nouns
alone are kept here, as `metadata/imagenet21k/` ships them.
"""

from functools import cache
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curate.house import folder

ENDINGS = (("s", ""), ("ses", "s"), ("ves", "f"), ("xes", "x"), ("zes", "z"), ("ches", "ch"), ("shes", "sh"), ("men", "man"), ("ies", "y"))  # fmt: skip
"""Endings of plurals and what stands for them (morphy(7WN), nouns)."""


class Nouns(NamedTuple):
    """WordNet's nouns, lower-case, blanks as underscores."""

    synsets: dict[str, int | None]
    """A noun's first synset (offset in data.noun) where it is one of ImageNet-21k, or None."""
    bases: dict[str, list[str]]
    """Irregular forms: what they are forms of (noun.exc)."""

    def first(self, word: str) -> int | None:
        """The synset of a word, if it is of ImageNet-21k: of the word itself, else of the first of its base forms that is a noun."""
        form = word.lower()
        if form in self.synsets:
            return self.synsets[form]
        bases = self.bases.get(form)
        if bases is None:
            bases = [form[: len(form) - len(ending)] + base for ending, base in ENDINGS if form.endswith(ending)]
        return next((self.synsets[base] for base in bases if base in self.synsets), None)


@cache
def nouns() -> Nouns:
    """The nouns that ship. Raises FileNotFoundError when the package is broken."""
    table = pq.read_table(pa.BufferReader((folder("metadata") / "imagenet21k" / "nouns.parquet").read_bytes()))
    rows = list(zip(*(table[name].to_pylist() for name in ("word", "noun", "synset", "bases")), strict=True))
    synsets = {word: synset for word, noun, synset, _ in rows if noun}
    return Nouns(synsets, {word: bases for word, _, _, bases in rows if bases is not None})


def of(texts: pa.ChunkedArray | pa.Array) -> pa.Array:
    """The WordNet id (`n02084071`) of each text's first word that has one of ImageNet-21k, string; null where none has."""
    whole = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    # Arrow parts words at the very characters at which `str.split` does.
    split = pc.utf8_split_whitespace(whole.fill_null("").cast(pa.large_string()))
    words, rows = split.flatten().dictionary_encode(), pc.list_parent_indices(split)
    first, known = nouns().first, []
    for word in words.dictionary.to_pylist():
        synset = first(word)
        known.append(None if synset is None else f"n{synset:08d}")
    answers = pa.array(known, pa.string()).take(words.indices)
    hit = answers.is_valid()
    answers, rows = answers.filter(hit), rows.filter(hit)
    # The first of each row: rows come in order.
    firsts = pa.table({"row": rows, "wnid": answers}).group_by("row", use_threads=False).aggregate([("wnid", "first")])
    places = pc.index_in(pa.array(range(len(whole)), pa.int64()), firsts["row"].combine_chunks())
    return firsts["wnid_first"].combine_chunks().take(places)
