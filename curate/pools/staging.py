"""The first of extract's two steps: each file of a pool becomes one part of candidates, with what broke beside it."""

from typing import Any

import msgspec

from curate import parts
from curate.ledger import Ledger
from curate.pools import readers
from curate.pools.candidates import Account, Break
from curate.pools.inputs import Input
from curate.recipe import Extract
from curate.store import Dataset, Manifest, Part, Plan

MAX_EXAMPLES = 1000
"""Broken places that a manifest lists."""


def read_file(part: str, file: Input, settings: Extract, target: Dataset, plan: Plan) -> Part:
    """Reads one file of the pool into one part of candidates."""
    account = Account()
    with target.write_part(part, plan.hash, Ledger()) as out:
        for table in readers.read(file, settings, account):
            account.notes["at_hand"] += len(table) - table["member"].null_count
            out.write(table)
        out.ledger += account.ledger()
        if account.breaks:
            target.put(_breaks_of(part), msgspec.json.encode(account.breaks))
    return parts.committed(target, part, plan)


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
