"""The first of extract's two steps: the files of a pool become parts of candidates, with what broke beside them."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import pyarrow as pa

from curate import parts
from curate.ledger import Ledger
from curate.pools import grouping, readers
from curate.pools.candidates import MAX_FACTS, Account, Break
from curate.recipe import Extract
from curate.store import ROW_GROUP, Dataset, Manifest, Part, Plan

MAX_EXAMPLES = 1000
"""Broken places that a manifest lists."""


def read_files(part: str, settings: Extract, target: Dataset, plan: Plan) -> Part:
    """Reads the files of a part, as `grouping.put` has listed them, into one part of candidates. Each has an account of its own."""
    accounts: list[Account] = []

    def found() -> Iterator[pa.Table]:
        for file in grouping.of_part(target, part, settings):
            accounts.append(account := Account())
            for table in readers.read(file, settings, account):
                account.notes["at_hand"] += len(table) - table["member"].null_count
                yield table

    with target.write_part(part, plan.hash, Ledger()) as out:
        for table in _joined(found()):
            out.write(table)
        for account in accounts:
            out.ledger += account.ledger()
        if breaks := [found for account in accounts for found in account.breaks]:
            target.put(_breaks_of(part), msgspec.json.encode(breaks))
    return parts.committed(target, part, plan)


def _joined(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in fewer tables: neighbours as long as they are at most ROW_GROUP rows and about MAX_FACTS bytes."""
    waiting: list[pa.Table] = []
    rows = size = 0
    for table in tables:
        if waiting and (rows + len(table) > ROW_GROUP or size + table.nbytes > MAX_FACTS):
            yield pa.concat_tables(waiting).combine_chunks()
            waiting, rows, size = [], 0, 0
        waiting.append(table)
        rows, size = rows + len(table), size + table.nbytes
    if waiting:
        yield pa.concat_tables(waiting).combine_chunks()


def left_before(staged: Manifest) -> Ledger:
    """The account of what left while files were read: all that is in the staged ledger but the candidates."""
    ledger = staged.ledger
    return msgspec.structs.replace(ledger, rows_in=ledger.rows_in - ledger.kept, kept=0)


def quarantine(target: Dataset, staged: Manifest) -> dict[str, Any]:
    """Files that are broken: how many, at how many places, and the first places with offset and error."""
    examples: list[Break] = []
    for part in staged.parts:
        if part.ledger.notes.get("broken_files") and len(examples) < MAX_EXAMPLES:
            examples += msgspec.json.decode(target.fs.cat_file(target.path(_breaks_of(part.name))), type=list[Break])
    notes = staged.ledger.notes
    return {
        "files": notes.get("broken_files", 0),
        "places": notes.get("broken_places", 0),
        "examples": msgspec.to_builtins(examples[:MAX_EXAMPLES]),
    }


def _breaks_of(part: str) -> str:
    return f"{part}.breaks.json"
