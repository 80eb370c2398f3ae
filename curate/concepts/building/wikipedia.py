"""Words and word pairs of Wikipedia, from its `pages-articles` dumps.

A dump is cut at `</page>`, here as it streams, on Spark by the reader of its files; what is done with a page is the same.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.concepts.building.assembling import BuildError, Candidate
from curate.concepts.building.markup import LONGEST_PAGE, TANGLE, article, need_parser, plain_text, tangle
from curate.concepts.building.presets import Preset
from curate.concepts.building.reading import separated, summed
from curate.concepts.building.tokenizers import joiner, words

END, LAST = "</page>", "</mediawiki>"
PAGES = 256
"""Pages that are counted together."""
DIGITS = 9
"""Of mutual information: logarithms of two makes differ behind that, and the order of pairs is not to depend on whose they are."""
COUNTS = pa.schema([("kind", pa.string()), ("first", pa.string()), ("second", pa.string()), ("count", pa.int64())])
"""kind: `word`, `pair`, `page`, where `first` says what became of pages, or `end`, where a document has its last line."""


def pages(file: str) -> Iterator[str]:
    """A dump (.xml, .xml.bz2 of one stream or several, .xml.gz) cut at `</page>`, up to where it breaks off."""
    for page in separated(file, END.encode(), 4 * LONGEST_PAGE):
        if page is not None:
            yield page


def count_pages(found: pa.Table, language: str) -> pa.Table:
    """Counts of words, pairs and pages (COUNTS) of a batch with the column `page`, the text up to a `</page>`.

    Pages are `article`, `redirect`, `elsewhere` (another namespace), `too_long`, `tangled` (so many things begun and not ended that
    parsing would take too long), `broken` (no whole page) or `unparsed`.
    """
    need_parser()
    counts = Counter[tuple[str, str, str]]()
    for page in found["page"].to_pylist():
        kind, text = article(page or "")
        if kind == "article" and tangle(text) > TANGLE:
            kind = "tangled"
        if kind == "article":
            try:
                tokens = list(words(plain_text(text), language))
            except BuildError:
                raise
            except Exception:  # Parsers of anything that people write: whatever they trip over costs one page.
                kind = "unparsed"
            else:
                _count(tokens, counts)
        if kind:
            counts["page", kind, ""] += 1
        elif LAST in (page or ""):
            counts["end", "", ""] += 1
    keys = sorted(counts)
    columns = [[key[i] for key in keys] for i in range(3)] + [[counts[key] for key in keys]]
    return pa.table(
        [pa.array(column, field.type) for column, field in zip(columns, COUNTS, strict=True)], schema=COUNTS
    )


def _count(tokens: Iterable[str | None], counts: Counter[tuple[str, str, str]]) -> None:
    before = None
    for word in tokens:
        if word is not None:
            counts["word", word, ""] += 1
            if before is not None:
                counts["pair", before, word] += 1
        before = word


def count_files(files: Iterable[str], language: str) -> pa.Table:
    """Counts of dumps in this process; for those that fit one machine."""
    return summed((count_pages(batch, language) for file in files for batch in _batches(file)), COUNTS)


def _batches(file: str) -> Iterator[pa.Table]:
    batch: list[str] = []
    for page in pages(file):
        batch.append(page)
        if len(batch) == PAGES:
            yield pa.table({"page": batch})
            batch = []
    yield pa.table({"page": pa.array(batch, pa.string())})


# -- what an entry list takes


def word_limit(different: int, preset: Preset) -> int:
    """How many words a preset takes of so many different ones."""
    share = different if preset.unigram_share is None else int(different * preset.unigram_share)
    return min(share, preset.unigrams if preset.unigrams is not None else share)


def pair_limit(taken: int, preset: Preset) -> int | None:
    """How many pairs a preset takes beside so many words; None: all with enough mutual information."""
    limits = [int(taken * preset.bigram_share)] if preset.bigram_share is not None else []
    limits += [preset.bigrams] if preset.bigrams is not None else []
    return min(limits) if limits else None


def pmi(pair: np.ndarray, first: np.ndarray, second: np.ndarray, total: int) -> np.ndarray:
    """Pointwise mutual information in bits: log2(c(a, b) N / (c(a) c(b))), N the number of words; as NLTK's
    BigramAssocMeasures.pmi, which MetaCLIP takes; to DIGITS digits. All counts int64, one per pair."""
    bits = np.log2(pair.astype(np.float64) * total) - np.log2(first.astype(np.float64) * second)
    return np.round(bits, DIGITS)


def select(counts: pa.Table, language: str, preset: Preset) -> dict[str, list[Candidate]]:
    """The words and pairs that a preset takes, the most telling first."""
    singles = counts.filter(pc.equal(counts["kind"], "word")).sort_by([("count", "descending"), ("first", "ascending")])
    enough = singles.filter(pc.greater_equal(singles["count"], preset.unigram_count))
    taken = enough.slice(0, word_limit(len(singles), preset))
    doubles = counts.filter(pc.equal(counts["kind"], "pair"))
    number, known = singles["count"].to_numpy(), singles["first"].combine_chunks()
    first, second = (number[pc.index_in(doubles[side], known).to_numpy()] for side in ("first", "second"))
    bound = pmi(doubles["count"].to_numpy(), first, second, int(number.sum()))
    doubles = doubles.append_column("pmi", pa.array(bound)).filter(pa.array(bound >= preset.bigram_pmi))
    doubles = doubles.sort_by([("pmi", "descending"), ("first", "ascending"), ("second", "ascending")])
    limit = pair_limit(len(taken), preset)
    return candidates(taken, doubles if limit is None else doubles.slice(0, limit), language)


def candidates(singles: pa.Table, doubles: pa.Table, language: str) -> dict[str, list[Candidate]]:
    """Candidates of chosen words (first, count) and pairs (first, second, pmi), in their order."""
    pairs = zip(doubles["first"].to_pylist(), doubles["second"].to_pylist(), doubles["pmi"].to_pylist(), strict=True)
    blank = joiner(language)
    return {
        "wikipedia-words": [
            (word, "wikipedia-words", float(count))
            for word, count in zip(singles["first"].to_pylist(), singles["count"].to_pylist(), strict=True)
        ],
        "wikipedia-pairs": [
            (first + blank + second, "wikipedia-pairs", round(bits, 3)) for first, second, bits in pairs
        ],
    }


def pages_of(counts: pa.Table, files: int, damaged: bool = False) -> dict[str, int]:
    """What became of the pages of so many files: {article: ..., redirect: ...}, and how many files are `cut_off`.

    Those are the ones without their last line. Where a file is known to be damaged, one is, though its end is there.
    """
    rows = counts.filter(pc.equal(counts["kind"], "page"))
    fates = dict(zip(rows["first"].to_pylist(), rows["count"].to_pylist(), strict=True))
    ends = pc.sum(counts.filter(pc.equal(counts["kind"], "end"))["count"]).as_py() or 0
    cut_off = max(files - ends, int(damaged))
    return dict(sorted((fates | ({"cut_off": cut_off} if cut_off else {})).items()))
