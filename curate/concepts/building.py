"""Builds an entry list from WordNet and word frequencies, and says where every entry came from.

    python -m curate.concepts.building --wordnet /usr/share/wordnet --out metadata/en

WordNet is Princeton's database (Debian's package wordnet-base holds it); the frequencies are those of the Python
package wordfreq. A list that is already there keeps its ids: new entries are appended, none is taken out.
"""

import argparse
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from curate import schema
from curate.concepts.entries import FILE
from curate.concepts.matching import matchable

Candidate = tuple[str, str, float | None]
"""text, source, statistic"""

DATA_FILES = ("data.noun", "data.verb", "data.adj", "data.adv")
MARKER = re.compile(r"\((a|p|ip)\)$")
"""WordNet's marks for where an adjective may stand; not part of the word."""
SMASHED = re.compile(r"\d[\d.,]*\d")
"""wordfreq counts all numbers of one length together, with zeros for digits: those are no words of a text."""
EXAMPLES = 20


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """An entry list and the account of its making."""

    table: pa.Table
    account: dict[str, Any]


def wordnet(folder: Path) -> Iterator[Candidate]:
    """Synset names: the first lemma of each synset, blanks for underscores, with the number of synsets it names.

    Raises FileNotFoundError when a data file is missing from `folder`.
    """
    names: Counter[str] = Counter()
    for file in DATA_FILES:
        for line in (folder / file).read_text(encoding="utf-8").splitlines():
            if not line.startswith("  "):  # the licence stands in indented lines at the top
                lemma = line.split(" ", 5)[4]
                names[MARKER.sub("", lemma).replace("_", " ")] += 1
    yield from ((name, "wordnet", float(count)) for name, count in names.items())


def words(language: str, most: int) -> Iterator[Candidate]:
    """The `most` most frequent words of a language, with their occurrences in a billion words.

    Left out, but counted in `most`: numbers that stand for many, and entries without a letter or digit.
    """
    import wordfreq

    table = wordfreq.get_frequency_dict(language, wordlist="best")
    ranked = sorted(table.items(), key=lambda item: (-item[1], item[0]))[:most]
    yield from ((word, "words", round(share * 1e9, 1)) for word, share in ranked if is_word(word))


def is_word(text: str) -> bool:
    """Whether an entry of a frequency list is a word: not a single mark or symbol, not a class of numbers."""
    return any(char.isalnum() for char in text) and not SMASHED.search(text)


def capitalised(candidates: Sequence[Candidate]) -> Iterator[Candidate]:
    """The same words with an upper first letter: frequency lists fold case, the rule does not, and names, sentences
    and titles begin with one."""
    for text, source, statistic in candidates:
        yield text[0].upper() + text[1:], f"{source}-capitalised", statistic


def numbers() -> Iterator[Candidate]:
    """ "0" to "99", as MetaCLIP adds them."""
    yield from ((str(number), "numbers", None) for number in range(100))


def assemble(candidates: Sequence[Candidate], before: pa.Table | None = None) -> pa.Table:
    """The list: what was there `before` with its ids, then each new text once, in order, with the next ids."""
    known = before or schema.load("entries").arrow().empty_table()
    rows: dict[str, Candidate] = {row["text"]: tuple(row.values())[1:] for row in known.to_pylist()}
    next_id = max(known["id"].to_pylist(), default=-1) + 1
    for candidate in candidates:
        rows.setdefault(candidate[0], candidate)
    texts, sources, statistics = zip(*rows.values(), strict=True) if rows else ((), (), ())
    ids = known["id"].to_pylist() + list(range(next_id, next_id + len(rows) - len(known)))
    return schema.load("entries").hold(
        pa.table({"id": pa.array(ids, pa.int32()), "text": texts, "source": sources, "statistic": statistics})
    )


def build(wordnet_folder: Path | None, language: str, most: int, before: pa.Table | None) -> Built:
    """The list of a language from all sources, and its account: counts by source, and what can never match."""
    frequent = list(words(language, most))
    sources = {
        "wordnet": list(wordnet(wordnet_folder)) if wordnet_folder else [],
        "words": frequent,
        "words-capitalised": list(capitalised(frequent)),
        "numbers": list(numbers()),
    }
    table = assemble([candidate for listed in sources.values() for candidate in listed], before)
    never = [text for text in table["text"].to_pylist() if not matchable(text)]
    account = {
        "language": language,
        "entries": len(table),
        "by_source": dict(sorted(Counter(table["source"].to_pylist()).items())),
        "offered_by_source": {name: len(listed) for name, listed in sources.items()},
        "never_match": {
            "why": "a mark that the rule splits off touches a letter",
            "count": len(never),
            "examples": never[:EXAMPLES],
        },
        "inputs": {"wordnet": _marks(wordnet_folder), "wordfreq": version("wordfreq"), "most_frequent_words": most},
    }
    return Built(table=table, account=account)


def _marks(folder: Path | None) -> Mapping[str, str]:
    return {file: xxhash.xxh3_128_hexdigest((folder / file).read_bytes()) for file in DATA_FILES} if folder else {}


def write(built: Built, out: Path) -> None:
    """Writes `entries.parquet` and `provenance.json`; equal lists are equal bytes."""
    out.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    plain = [field.name for field in built.table.schema if field.name != "text"]
    pq.write_table(built.table, buffer, compression="zstd", compression_level=19, use_dictionary=plain)
    account = json.dumps(built.account, indent=1, ensure_ascii=False) + "\n"
    for name, data in ((FILE, buffer.getvalue()), ("provenance.json", account.encode())):
        temporary = out / f".{name}.tmp"
        temporary.write_bytes(data)
        temporary.replace(out / name)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--wordnet", type=Path, help="folder with WordNet's data.noun, data.verb, data.adj, data.adv")
    parser.add_argument("--language", default="en", help="language of wordfreq's list (default: en)")
    parser.add_argument("--words", type=int, default=100_000, help="how many frequent words (default: 100000)")
    parser.add_argument("--out", type=Path, required=True, help="folder of the list, e.g. metadata/en")
    args = parser.parse_args(argv)
    before = pq.read_table(args.out / FILE) if (args.out / FILE).exists() else None
    built = build(args.wordnet, args.language, args.words, before)
    write(built, args.out)
    never = built.account["never_match"]
    print(f"{args.out / FILE}: {built.account['entries']:,} entries, {built.account['by_source']}")
    print(f"{never['count']:,} can never match ({never['why']}), such as {never['examples'][:5]}")


if __name__ == "__main__":
    main()
