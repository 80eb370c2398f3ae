"""What matching and balancing said of the rows of `images`, which are some of theirs, in their order."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from curate.ledger import alive
from curate.parts import Inputs, Rows, zipped
from curate.store import StoreError

SIDES = {"matches": ("entries",), "balanced": ("state", "baseline", "keep_probability")}
"""The tables that annotate `pairs` rather than `images`, and what is read of them."""


def aligned(inputs: Inputs) -> Inputs:
    """The inputs that are row for row those of `images`."""
    return {name: source for name, source in inputs.items() if name not in SIDES}


def with_matches(part: str, inputs: Inputs) -> Iterator[dict[str, pa.Table]]:
    """Yields the aligned tables of each row group, and under `matched` what `facts` says of the same rows.

    Raises StoreError when `images` has other rows than those that balance kept or the baseline drew.
    """
    sides = {name: inputs[name] for name in SIDES}
    rows = Rows(facts(**tables) for tables in zipped(part, sides))
    for tables in zipped(part, aligned(inputs)):
        uids = tables["images"]["uid"]
        matched = rows.take(len(uids))
        if not matched["uid"].equals(uids):
            raise StoreError(f"{part}: images has other rows than balance kept or the baseline drew; redo download")
        yield tables | {"matched": matched}


def facts(*, matches: pa.Table, balanced: pa.Table) -> pa.Table:
    """`uid`, `entries` and `keep_probability` of the rows that went on to be fetched.

    Both facts are null where the text was not matched: such rows are in the raw baseline alone.
    """
    keep = balanced["keep_probability"]
    none = pa.scalar(None, matches.schema.field("entries").type)
    table = pa.table(
        {
            "uid": balanced["uid"],
            "entries": pc.if_else(pc.is_valid(keep), matches["entries"], none),
            "keep_probability": keep,
        }
    )
    return table.filter(pc.or_(alive(balanced["state"]), balanced["baseline"]))
