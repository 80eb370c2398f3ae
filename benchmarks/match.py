"""Matching against its peers, language id against fastText's, and the whole stage against both; and how it scales.

python benchmarks/match.py [POOL]     # a folder of tables with texts and their languages; the demo's pool by default

Peers get their best form: pyahocorasick spaces texts by str.replace, which is faster than a regular expression or a table, and reads
unspaced scripts as bytes (its nodes are slow with thousands of characters to choose from); so does daachorse.
"""

import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import corpus
import numpy as np
import pyarrow as pa
from harness import measure, report, row
from scale import Runs

from curate.concepts import index
from curate.concepts.rules import MARKS, padded
from curate.texts import language

ROOT = Path(__file__).resolve().parent.parent
TEXTS = 100_000
LONGEST = 120
"""Bytes of a caption at most, which makes 55 on average where sentences of textbooks and manuals are among them."""
MODEL = "lid.176.ftz"


def spaced(text: str) -> str:
    text = f" {text} "
    for mark in MARKS:
        text = text.replace(mark, f" {mark} ")
    return text.replace("\t", " ").replace("\n", " ").replace("\r", " ")


def as_bytes(text: str) -> str:
    """A character for each byte of UTF-8."""
    return text.encode().decode("latin-1")


def as_it_is(text: str) -> str:
    return text


def pyahocorasick(entries: list[str], rule: str, form: Callable[[str], str]) -> Callable[[list[str]], int]:
    import ahocorasick

    automaton = ahocorasick.Automaton()
    for number, entry in enumerate(entries):
        automaton.add_word(form(padded(entry, rule)), number)
    automaton.make_automaton()
    return lambda texts: sum(len({number for _, number in automaton.iter(form(spaced(text)))}) for text in texts)


def daachorse(entries: list[str], rule: str) -> Callable[[list[str]], int]:
    from daachorse import DoubleArrayAhoCorasick

    automaton = DoubleArrayAhoCorasick([padded(entry, rule).encode() for entry in entries])
    find = automaton.find_overlapping
    return lambda texts: sum(len({number for _, _, number in find(spaced(text).encode())}) for text in texts)


def ours(entries: list[str], rule: str) -> Callable[[pa.Array], int]:
    built = index.build(corpus.as_table(entries), rule)
    return lambda texts: len(built.match(texts, np.arange(len(texts)))[0])


def compare(what: str, texts: list[str], find: Callable, peer: Callable) -> dict[str, Any]:
    """A row: thousand texts per CPU second, ours and the peer's, after a check that both find the same."""
    array = pa.array(texts)
    seconds, memory, found = measure(partial(find, array), runs=7)
    peer_seconds, _, expected = measure(partial(peer, texts), runs=2)
    assert found == expected, f"{what}: {found:,} matches, the peer finds {expected:,}"
    size = sum(len(text.encode()) for text in texts) / len(texts)
    print(f"  {what}: {size:.0f} bytes and {found / len(texts):.1f} matches a text", flush=True)
    return row(what, len(texts) / seconds / 1000, len(texts) / peer_seconds / 1000, "k texts / CPU s", memory)


def fasttext_module(texts: list[str]) -> int:
    import fasttext

    model = fasttext.load_model(language.locate(MODEL))
    return len(model.predict([text.replace("\n", " ") for text in texts])[0])


def identified(texts: pa.Array) -> int:
    return len(language.identify(texts, MODEL).codes)


def kernels(pool: Path) -> list[dict[str, Any]]:
    english = corpus.texts_of(pool, ("en",))
    captions = corpus.repeated(corpus.sentences(english, LONGEST), TEXTS)
    # A pool without alt texts gives what it has.
    alts = corpus.repeated(corpus.texts_of(pool, ("en",), ("alt",)) or english, TEXTS)
    entries = corpus.entry_list(english)
    unspaced = corpus.repeated(corpus.texts_of(pool, ("zh", "ja")), TEXTS)
    find, peer = ours(entries, "metaclip1"), pyahocorasick(entries, "metaclip1", as_it_is)
    rows = [
        compare("kernel_vs_pyahocorasick", captions, find, peer),
        compare("alt_text_vs_pyahocorasick", alts, find, peer),
    ]
    del peer
    rows.append(compare("kernel_vs_daachorse", captions, find, daachorse(entries, "metaclip1")))
    chinese = corpus.chinese_words()
    peer = pyahocorasick(chinese, "metaclip2", as_bytes)
    find = ours(chinese, "metaclip2")
    rows.append(compare("unspaced_vs_pyahocorasick", unspaced, find, peer))
    rows.append(compare("unspaced_vs_daachorse", unspaced, find, daachorse(chinese, "metaclip2")))
    rows.append(compare("lid_vs_fasttext", captions, identified, fasttext_module))
    return rows


def main() -> None:
    pool = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "demo" / "pool"
    rows = kernels(pool)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CURATE_CACHE"] = f"{folder}/cache"
        rows += Runs(pool, LONGEST, Path(folder), fasttext=1e3 / rows[-1]["peer"]).rows()
    report(
        "match",
        f"{pool.name}: {TEXTS:,} texts a row, {corpus.ENTRIES:,} English entries; the stages on local Spark",
        rows,
    )


if __name__ == "__main__":
    main()
