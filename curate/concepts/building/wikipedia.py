"""Words and word pairs of Wikipedia, from its `pages-articles` dumps.

A dump is cut at `</page>`, here as it streams, on Spark by the reader of its files; what is done with a page is the same. Nothing
of the XML is parsed but a page's few fields, so a document cannot make the reader expand or fetch anything.
"""

import bz2
import html
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.concepts.building.assembling import BuildError, Candidate
from curate.concepts.building.presets import Preset
from curate.concepts.building.tokenizers import joiner, words

END = "</page>"
LONGEST_PAGE = 4 * 2**20
"""Characters of a page; MediaWiki takes articles of 2 MiB."""
PIECE = 1 << 20
PAGES = 256
"""Pages that are counted together."""
DIGITS = 9
"""Of mutual information: logarithms of two makes differ behind that, and the order of pairs is not to depend on whose they are."""
COUNTS = pa.schema([("kind", pa.string()), ("first", pa.string()), ("second", pa.string()), ("count", pa.int64())])
"""kind: `word`, `pair`, or `page`, where `first` says what became of pages."""
TITLE, NAMESPACE = re.compile(r"<title>(.*?)</title>", re.S), re.compile(r"<ns>\s*(-?\d+)\s*</ns>")
TEXT = re.compile(r"<text(?:\s[^>]*)?>(.*?)</text>", re.S)
REDIRECT = re.compile(r"<redirect\s")
TAGS = re.compile(r"<[^<>]{0,500}>")
BRACKETS = re.compile(r"\[\[|\]\]|\{\||\|\}|<(/?)([A-Za-z]{1,20})[^<>]*?(/?)>")
PAIRED = {"[[": "[[", "]]": "[[", "{|": "{|", "|}": "{|"}
SINGLE = frozenset({"br", "hr", "wbr", "li", "dt", "dd", "th", "td", "tr", "p"})
TANGLE = 10**8
"""About a second of the parser's time: half a megabyte of `<ref>` takes it eight minutes."""
STYLE = re.compile("'{2,5}")
"""Italics and bold; the parser is told to leave them, since unbalanced ones cost it most."""
ELSEWHERE = re.compile(r"\s*:?[^\W\d_][^:|\[\]]{0,40}:\S")
"""The target of a link to a file, a category or another wiki, whose text is no text of the article."""


def pages(file: Path) -> Iterator[str]:
    """The pages of a dump (.xml or .xml.bz2, of one stream or several), each up to its `</page>`.

    What was read before a file breaks off is given; then, as for a page that does not end within LONGEST_PAGE, something that
    `count_pages` counts as `broken`.
    """
    rest, end = b"", END.encode()
    with (bz2.open if file.suffix == ".bz2" else open)(file, "rb") as stream:
        while True:
            try:
                piece = stream.read1(PIECE)  # What is there, and not an error for what is missing behind it.
            except (EOFError, OSError) as error:
                if isinstance(error, FileNotFoundError):
                    raise
                yield "<page>"
                return
            if not piece:
                break
            *whole, rest = (rest + piece).split(end)
            yield from (page.decode("utf-8", errors="replace") for page in whole)
            if len(rest) > 4 * LONGEST_PAGE:
                yield "<page>"
                rest = b""
    if b"<page>" in rest:
        yield "<page>"


def count_pages(found: pa.Table, language: str) -> pa.Table:
    """Counts of words, pairs and pages (COUNTS) of a batch with the column `page`, the text up to a `</page>`.

    Pages are `article`, `redirect`, `elsewhere` (another namespace), `too_long`, `tangled` (so
    many things begun and not ended that parsing would take too long), `broken` (no whole page) or `unparsed`.
    """
    need_parser()
    counts = Counter[tuple[str, str, str]]()
    for page in found["page"].to_pylist():
        kind, text = article(page or "")
        if kind == "article" and tangle(text) > TANGLE:
            kind = "tangled"
        if kind == "article":
            try:
                plain = plain_text(text)
            except Exception:  # A parser of anything that people write: whatever it trips over costs one page.
                kind = "unparsed"
            else:
                _count(plain, language, counts)
        if kind:
            counts["page", kind, ""] += 1
    keys = sorted(counts)
    columns = [[key[i] for key in keys] for i in range(3)] + [[counts[key] for key in keys]]
    return pa.table(
        [pa.array(column, field.type) for column, field in zip(columns, COUNTS, strict=True)], schema=COUNTS
    )


def article(page: str) -> tuple[str, str]:
    """What a page is, in a word, and the wiki text of an article. No word for what stands behind the last page."""
    if "<page>" not in page:
        return "", ""
    if len(page) > LONGEST_PAGE:
        return "too_long", ""
    page = page[page.rindex("<page>") :]
    space = NAMESPACE.search(page)
    if space is None or not TITLE.search(page):
        return "broken", ""
    if int(space.group(1)) != 0:
        return "elsewhere", ""
    if REDIRECT.search(page):
        return "redirect", ""
    text = TEXT.search(page)
    return "article", html.unescape(text.group(1)) if text else ""


def tangle(wiki: str) -> int:
    """What an article's unbalanced markup may cost the parser: how many things are begun and not ended, or are inside one
    another, times the length of the text. For each the parser reads on to the end before it gives up."""
    depths = Counter[str]()
    deepest = 0
    for found in BRACKETS.finditer(wiki):
        closes, name, single = found.group(1), (found.group(2) or "").lower(), found.group(3)
        kind = name or PAIRED[found.group(0)]
        if single or name in SINGLE:
            continue
        if closes or found.group(0) in ("]]", "|}"):
            depths[kind] -= depths[kind] > 0
        else:
            depths[kind] += 1
            deepest = max(deepest, depths[kind])
    return max(deepest, depths.total()) * len(wiki)


def plain_text(wiki: str) -> str:
    """The text of an article without its markup. Raises whatever the parser raises."""
    import mwparserfromhell

    code = mwparserfromhell.parse(wiki, skip_style_tags=True)
    for link in code.filter_wikilinks(recursive=True):
        if ELSEWHERE.match(str(link.title)):
            # A link inside one that is gone already is gone with it.
            try:
                code.remove(link)
            except ValueError:
                continue
    return TAGS.sub(" ", STYLE.sub("", html.unescape(code.strip_code(normalize=True, collapse=True))))


def _count(text: str, language: str, counts: Counter[tuple[str, str, str]]) -> None:
    before = None
    for word in words(text, language):
        if word is not None:
            counts["word", word, ""] += 1
            if before is not None:
                counts["pair", before, word] += 1
        before = word


def count_files(files: Iterable[Path], language: str) -> pa.Table:
    """Counts of dumps in this process; for those that fit one machine."""
    total = COUNTS.empty_table()
    for file in files:
        batch: list[str] = []
        for page in pages(file):
            batch.append(page)
            if len(batch) == PAGES:
                total, batch = added(total, count_pages(pa.table({"page": batch}), language)), []
        total = added(total, count_pages(pa.table({"page": pa.array(batch, pa.string())}), language))
    return total


def added(one: pa.Table, other: pa.Table) -> pa.Table:
    both = pa.concat_tables([one, other]).group_by(["kind", "first", "second"]).aggregate([("count", "sum")])
    return both.rename_columns({"count_sum": "count"}).select(COUNTS.names).cast(COUNTS)


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


def pages_of(counts: pa.Table) -> dict[str, int]:
    """What became of the pages: {article: ..., redirect: ...}."""
    rows = counts.filter(pc.equal(counts["kind"], "page")).sort_by("first")
    return dict(zip(rows["first"].to_pylist(), rows["count"].to_pylist(), strict=True))


def need_parser() -> None:
    """Raises BuildError when the parser of wiki markup is not installed."""
    try:
        import mwparserfromhell  # noqa: F401
    except ImportError as error:
        raise BuildError(
            "--wikipedia: the package mwparserfromhell is missing: pip install 'curate-pairs[metadata]'"
        ) from error
