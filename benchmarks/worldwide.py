"""27 million entries in 329 languages, as Meta CLIP 2 has: what building their indexes takes, and what a worker holds of them.

python benchmarks/worldwide.py [POOL]     # its texts in many languages are what is matched; the demo's pool by default

The lists are made up (syllables drawn by hash, a fifth of the entries of two words), since only their sizes matter here.
"""

import gc
import multiprocessing
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import corpus
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from harness import report, row, unshared_mb

from curate.concepts import index, matching
from curate.recipe import Match

ROOT = Path(__file__).resolve().parent.parent
ENTRIES, LANGUAGES, LARGEST = 27_000_000, 329, 500_000
LIMIT_MB = 100
CONSONANTS, VOWELS = "bcdfghjklmnprstvz", ["a", "e", "i", "o", "u", "ai", "ou"]
TWO = 5
"""One entry in so many is of two words."""


def sizes() -> list[int]:
    """How many entries each language has, the largest first; the sum is ENTRIES."""
    shares = 1 / np.arange(1, LANGUAGES + 1) ** 0.6
    found = np.minimum(LARGEST, ENTRIES * shares / shares.sum())
    while found.sum() < ENTRIES - LANGUAGES:
        found = np.minimum(LARGEST, found * (ENTRIES / found.sum()))
    return [int(size) for size in found]


def entry_list(size: int, seed: int, real: list[str]) -> pa.Table:
    """So many entries, some of them words of real texts, so that texts match."""
    chance = np.random.default_rng(seed)
    syllables = pa.array([c + v for c in CONSONANTS for v in VOWELS])

    def words(n: int) -> pa.Array:
        return pc.binary_join_element_wise(
            *(syllables.take(pa.array(chance.integers(0, len(syllables), n))) for _ in range(4)), ""
        )

    drawn = size + size // 8
    pairs = pc.binary_join_element_wise(words(drawn // TWO), words(drawn // TWO), " ")
    made = pc.unique(pa.concat_arrays([words(drawn - len(pairs)), pairs]))
    made = made.take(pa.array(chance.permutation(len(made))[:size]))
    texts = pc.unique(pa.concat_arrays([pa.array(real[: size // 4], pa.string()), made]))
    return corpus.as_table(texts.slice(0, size))


def names() -> list[str]:
    """The languages that the identification knows, and made-up ones up to their number."""
    from curate.texts import language

    known = list(language.identify(pa.array(["x"]), "lid.176.ftz").labels)
    first = ["en", "de", "fr", "es", "ja", "ru", "zh", "it", "pt", "pl"]
    return [*first, *(lang for lang in known if lang not in first), *(f"x{i}" for i in range(LANGUAGES))][:LANGUAGES]


def matched(metadata: str, languages: tuple[str, ...], texts: list[str]) -> tuple[float, int, int]:
    """MB of a worker's own that matching takes after its first English text, languages in use, and matches."""
    asked = Match(metadata=metadata, languages=languages)
    pairs = pa.table({"uid": [f"{i:032x}" for i in range(len(texts))], "text": texts})
    matching.match(pa.table({"uid": ["0" * 32], "text": ["a photograph of a house in the snow"]}), asked)
    gc.collect()
    before, used, number = unshared_mb(), set[str](), 0
    for at in range(0, len(pairs), 8192):
        found = matching.match(pairs.slice(at, 8192), asked)
        used |= set(found["lang"].unique().to_pylist())
        number += len(pc.list_flatten(found["entries"]))
    return unshared_mb() - before, len(used & set(languages)), number


def main() -> None:
    pool = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "demo" / "pool"
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CURATE_CACHE"] = f"{folder}/cache"
        many, one = corpus.any_texts(pool), corpus.texts_of(pool, ("en",))
        real = list(dict.fromkeys(word for text in many for word in text.split()))
        languages, start = names(), time.process_time()
        for seed, (lang, size) in enumerate(zip(languages, sizes(), strict=True)):
            (Path(folder) / "lists" / lang).mkdir(parents=True)
            pq.write_table(entry_list(size, seed, real), Path(folder) / "lists" / lang / "entries.parquet")
        made, metadata = time.process_time() - start, f"{folder}/lists"
        print(f"  {sum(sizes()):,} entries in {LANGUAGES} lists made in {made:.0f} s", flush=True)
        start = time.process_time()
        for lang in languages:
            index.opened(metadata, lang, "metaclip1")
        built = time.process_time() - start
        disk = sum(file.stat().st_size for file in Path(folder, "cache").glob("*.index")) / 2**20
        rows.append(row("worldwide_index_build", built, made, "CPU s, against making the lists", disk))
        for what, texts in (("worldwide_worker_many_languages", many), ("worldwide_worker_english", one)):
            with multiprocessing.get_context("spawn").Pool(1) as worker:
                extra, used, found = worker.apply(matched, (metadata, tuple(languages), texts))
            print(f"  {what}: {len(texts):,} texts, {used} languages in use, {found:,} matches", flush=True)
            rows.append(row(what, extra, LIMIT_MB, f"MB of its own, {used} languages in use", extra))
    report(
        "worldwide",
        f"{pool.name}; {ENTRIES:,} entries in {LANGUAGES} languages, indexes of {disk:,.0f} MB on disk",
        rows,
    )


if __name__ == "__main__":
    main()
