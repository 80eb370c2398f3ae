"""Captions matched per CPU second, against pyahocorasick doing the same by the book; and the cost of language id.

python benchmarks/match.py [CORPUS.parquet]     # a table with a column `text`, `caption` or `alt`; the demo's by default
"""

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from harness import measure, report, row

from curate.concepts import entries, language
from curate.concepts.matching import Matcher, matchable

ROOT = Path(__file__).resolve().parent.parent
TEXTS = 100_000
MARKS = ",.;:?!`"


def texts_of(path: Path) -> list[str]:
    """The first TEXTS texts of a table, repeated to that number when it has fewer."""
    table = pq.read_table(path)
    column = next(name for name in ("text", "caption", "alt") if name in table.column_names)
    found = [text for text in table[column].to_pylist() if text]
    return (found * (TEXTS // len(found) + 1))[:TEXTS]


def spaced(text: str) -> str:
    for mark in MARKS:
        text = text.replace(mark, f" {mark} ")
    return f" {text} ".translate(str.maketrans("\t\n\r", "   "))


def main() -> None:
    corpus = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "demo" / "pool" / "pairs.parquet"
    texts = texts_of(corpus)
    table = entries.load("metadata", "en")
    words, ids = table["text"].to_pylist(), table["id"].to_pylist()
    ours = Matcher(words, ids)
    arrow = pa.chunked_array([pa.array(texts)])

    import ahocorasick

    peer = ahocorasick.Automaton()
    for word, number in zip(words, ids, strict=True):
        if matchable(word):
            peer.add_word(f" {word} ", number)
    peer.make_automaton()

    our_time, memory, found = measure(lambda: len(ours.match(arrow)[0]))
    peer_time, _, expected = measure(lambda: sum(len({n for _, n in peer.iter(spaced(text))}) for text in texts))
    assert found == expected, f"{found} matches, the peer finds {expected}"
    lid_time, lid_memory, _ = measure(lambda: len(language.identify(texts, "lid.176.ftz")[0]))
    size = sum(len(text.encode()) for text in texts) / len(texts)
    report("match", f"{corpus.name}: {TEXTS:,} texts of {size:.0f} bytes, {len(words):,} entries, {found / TEXTS:.1f} matches a text", [
        row("kernel_vs_pyahocorasick", TEXTS / our_time / 1000, TEXTS / peer_time / 1000, "k texts / CPU s", memory),
        row("kernel_vs_language_id", TEXTS / our_time / 1000, TEXTS / lid_time / 1000, "k texts / CPU s", lid_memory),
    ])  # fmt: skip


if __name__ == "__main__":
    main()
