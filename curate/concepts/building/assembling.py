"""From candidates of all sources to an entry list with stable ids, and the account of its making."""

import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
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

Candidate = tuple[str, str, float | None]
"""text, source, statistic"""
EXAMPLES = 20


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
        "why": "a mark that the rule splits off touches a letter",
        "count": len(never),
        "examples": texts.take(pa.array(never[:EXAMPLES])).to_pylist(),
    }


def assemble(candidates: Sequence[Candidate], before: pa.Table | None = None) -> pa.Table:
    """The list: what was there `before` with its ids, then each new text once, in order, with the next ids."""
    known = before or schema.load("entries").arrow().empty_table()
    rows: dict[str, Candidate] = {row["text"]: tuple(row.values())[1:] for row in known.to_pylist()}
    next_id = max(known["id"].to_pylist(), default=-1) + 1
    for candidate in candidates:
        rows.setdefault(candidate[0], candidate)
    texts, sources, statistics = zip(*rows.values(), strict=True) if rows else ((), (), ())
    ids = known["id"].to_pylist() + list(range(next_id, next_id + len(rows) - len(known)))
    columns = {
        "id": pa.array(ids, pa.int32()),
        "text": pa.array(texts, pa.string()),
        "source": pa.array(sources, pa.string()),
    }
    return schema.load("entries").hold(pa.table(columns | {"statistic": pa.array(statistics, pa.float64())}))


def mark(file: Path) -> dict[str, Any]:
    """A file's size and xxh3-128, read in pieces."""
    digest = xxhash.xxh3_128()
    with file.open("rb") as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return {"bytes": file.stat().st_size, "xxh3_128": digest.hexdigest()}


def before(out: Path) -> pa.Table | None:
    """The list that a folder has, to be built over. Raises BuildError when its file is not one."""
    if not (out / FILE).exists():
        return None
    try:
        return schema.load("entries").hold(pq.read_table(out / FILE))
    except (pa.ArrowInvalid, CurateError) as error:
        raise BuildError(
            f"{out / FILE}: not an entry list ({error}); take it away to build anew, with new ids"
        ) from error


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
