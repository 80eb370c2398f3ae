"""From candidates of all sources to an entry list with stable ids, and the account of its making."""

import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from curate import CurateError, __version__, schema
from curate.concepts.building.presets import Preset
from curate.concepts.entries import FILE
from curate.concepts.rules import impossible
from curate.store import Dataset

Candidate = tuple[str, str, float | None]
"""text, source, statistic"""
EXAMPLES = 20
WHY = "a mark that the rule splits off touches a letter or another mark, or a tab or line end stands in it"
ACCOUNT = "provenance.json"
OF_A_BUILD = ("code", "preset", "thresholds", "inputs")
"""What of a build's account is kept where a later one adds to its list."""


class BuildError(CurateError, ValueError):
    """A source that cannot be used; the message names the file, what is wrong, and what to do."""


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """An entry list and the account of its making."""

    table: pa.Table
    account: dict[str, Any]


def numbers() -> Iterator[Candidate]:
    """ "0" to "99", as MetaCLIP adds them."""
    yield from ((str(number), "numbers", None) for number in range(100))


def build(
    language: str, sources: Mapping[str, Iterable[Candidate]], preset: Preset, rule: str, before: pa.Table | None = None
) -> Built:
    """The list of a language from sources, in order: an entry that several bring stands under the first. 0 to 99 are added.

    An entry of the list that was there `before` stays and keeps its id, whether it is offered again or not.
    """
    offered = {name: list(candidates) for name, candidates in sources.items()}
    offered["numbers"] = list(numbers())
    left_out: Counter[str] = Counter()
    taken: list[Candidate] = []
    for candidates in offered.values():
        for candidate in candidates:
            reason = objection(candidate[0], preset)
            left_out[reason] += bool(reason)
            taken += [] if reason else [candidate]
    table = assemble(taken, before)
    still = {text for text, _, _ in taken}
    account = {
        "language": language,
        "entries": len(table),
        "by_source": dict(sorted(Counter(table["source"].to_pylist()).items())),
        "offered_by_source": {name: len(candidates) for name, candidates in offered.items()},
        "left_out": {reason: count for reason, count in sorted(left_out.items()) if reason},
        "kept_from_before_alone": sum(text not in still for text in table["text"].to_pylist()) if before else 0,
        "thresholds": msgspec.to_builtins(preset),
        "never_match": never_match(table, rule),
        "code": __version__,
    }
    return Built(table=table, account=account)


def objection(text: str, preset: Preset) -> str:
    """Why a candidate is no entry, in a word; empty when it is one."""
    if not text.strip():
        return "empty"
    if preset.longest is not None and len(text) > preset.longest:
        return "too_long"
    return "" if any(char.isalnum() for char in text) else "punctuation"


def never_match(table: pa.Table, rule: str) -> dict[str, Any]:
    """The entries that the rule can find in no text: their number, and the first of them."""
    texts = table["text"].combine_chunks().cast(pa.large_string())
    never = np.flatnonzero(impossible(texts, rule))
    return {
        "rule": rule,
        "why": WHY,
        "count": len(never),
        "examples": texts.take(pa.array(never[:EXAMPLES])).to_pylist(),
    }


def assemble(candidates: Sequence[Candidate], before: pa.Table | None = None) -> pa.Table:
    """The list: what was there `before` with its ids, then each new text once, in order, with the next ids.

    An entry that was there keeps its source, the first that brought it, and has the statistic that this source now gives.
    """
    known = before or schema.load("entries").arrow().empty_table()
    rows: dict[str, Candidate] = {row["text"]: tuple(row.values())[1:] for row in known.to_pylist()}
    refreshed = set[str]()
    next_id = max(known["id"].to_pylist(), default=-1) + 1
    for candidate in candidates:
        text, source, _ = candidate
        if rows.setdefault(text, candidate)[1] == source and text not in refreshed:
            rows[text] = candidate
            refreshed.add(text)
    texts, sources, statistics = zip(*rows.values(), strict=True) if rows else ((), (), ())
    ids = known["id"].to_pylist() + list(range(next_id, next_id + len(rows) - len(known)))
    columns = {
        "id": pa.array(ids, pa.int32()),
        "text": pa.array(texts, pa.string()),
        "source": pa.array(sources, pa.string()),
    }
    return schema.load("entries").hold(pa.table(columns | {"statistic": pa.array(statistics, pa.float64())}))


def mark(file: str) -> dict[str, Any]:
    """A file's size and xxh3-128, read in pieces."""
    digest, size = xxhash.xxh3_128(), 0
    with open(file, "rb") as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
            size += len(piece)
    return {"bytes": size, "xxh3_128": digest.hexdigest()}


def before(out: str, language: str) -> tuple[pa.Table | None, list[dict[str, Any]]]:
    """The list that a folder has, to be built over, and the accounts of the builds that made it, the oldest first.

    Raises BuildError when its file is not a list.
    """
    place = Dataset(out, language)
    if not place.fs.exists(place.path(FILE)):
        return None, []
    try:
        table = schema.load("entries").hold(pq.read_table(pa.BufferReader(place.fs.cat_file(place.path(FILE)))))
    except (pa.ArrowInvalid, CurateError) as error:
        raise BuildError(
            f"{place.path(FILE)}: not an entry list ({error}); take it away to build anew, with new ids"
        ) from error
    if not place.fs.exists(place.path(ACCOUNT)):
        return table, []
    try:
        last = json.loads(place.fs.cat_file(place.path(ACCOUNT)))
        return table, [*last.get("earlier", []), {key: last[key] for key in OF_A_BUILD if key in last}]
    except (ValueError, AttributeError, TypeError) as error:
        raise BuildError(
            f"{place.path(ACCOUNT)}: not the account of a list ({error}); take it away to build over the list without its history"
        ) from error


def write(built: Built, out: str, language: str) -> None:
    """Writes `entries.parquet` and `provenance.json`; equal lists are equal bytes. `out` may be any fsspec URL.

    Raises BuildError when the folder cannot be written.
    """
    buffer = io.BytesIO()
    plain = [field.name for field in built.table.schema if field.name != "text"]
    pq.write_table(built.table, buffer, compression="zstd", compression_level=19, use_dictionary=plain)
    account = json.dumps(built.account, indent=1, ensure_ascii=False) + "\n"
    place = Dataset(out, language)
    try:
        for name, data in ((FILE, buffer.getvalue()), (ACCOUNT, account.encode())):
            place.put(name, data)
    except OSError as error:
        raise BuildError(f"--out {out}: {place.root} cannot be written: {error.strerror or error}") from error
