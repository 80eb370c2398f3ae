"""How much of each source is taken: quotas and weights, exact on distinct pairs, whatever the parts.

Each pair has a draw, a hash of (seed, "mix", uid); a source's smallest draws are taken, so that a smaller quota's set lies inside a
larger one's. Where a source is cut is found by counts of draws: 4,096 bins over all parts, then 4,096 within the one that the cut
falls into, until so few are left that they can be looked at. No process holds more than the bins.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate import CurateError, parts
from curate.draw import draw
from curate.ledger import Ledger
from curate.pools.collapsing import row_groups
from curate.recipe import Source
from curate.store import Dataset, Part, Plan

BITS, DRAW_BITS = 12, 53
FEW = 2**16
"""So many draws of a source are looked at one by one."""
COLUMNS = ("uid", "image_uid", "source")
COUNTS = pa.schema([("source", pa.string()), ("bin", pa.int64()), ("pairs", pa.int64())])
NOTHING = pa.table({name: pa.array([], pa.string()) for name in COLUMNS})
FOUND = pa.schema([("source", pa.string()), ("draw", pa.int64()), ("name", pa.string())])
FILE = "_mix.json"
"""Beside the parts of `pairs`: the cuts, so that a run that goes on cuts alike."""


class MixError(CurateError, ValueError):
    """Weights that no pairs can have; the message says whose."""


class Cut(msgspec.Struct, frozen=True):
    """The last pair of a source that is taken, in the order of draws; all of them where `draw` is None, none where `kept` is 0."""

    found: int
    kept: int
    draw: int | None = None
    """In [0, 2^53)."""
    name: str = ""
    """uid and image_uid of the pair, for those that have one draw."""


class Search(msgspec.Struct, frozen=True):
    """Where a cut is looked for: among draws whose upper bits are `prefix`, `depth` times BITS of them."""

    rank: int
    """Number of the last pair that is taken, from 1, among those with the prefix."""
    prefix: int = 0
    depth: int = 0
    few: bool = False
    """Whether what is left can be looked at."""

    @property
    def shift(self) -> int:
        return max(DRAW_BITS - BITS * self.depth, 0)


def mixed(sources: Iterable[Source]) -> bool:
    """Whether any source has a weight or a quota."""
    return any(source.weight is not None or source.quota is not None for source in sources)


def shares(sources: Sequence[Source], found: Mapping[str, int]) -> dict[str, int]:
    """Pairs to take of each source with a weight or quota: of the weighted ones the largest mix in proportion, within their quotas.

    Raises MixError for a weighted source without a pair: nothing would be left of the others.
    """
    able = {source.name: found.get(source.name, 0) for source in sources if mixed([source])}
    for source in sources:
        if source.quota is not None:
            able[source.name] = min(able[source.name], source.quota)
    # A decimal as it is written: 0.3 is to be three times 0.1.
    weights = {source.name: Fraction(repr(source.weight)) for source in sources if source.weight is not None}
    for name in weights:
        if not able[name]:
            raise MixError(
                f"extract.sources: {name} has a weight and no pair to take ({found.get(name, 0)} found), so that a mix in proportion "
                "would have none at all; take its weight away, or the source"
            )
    scale = min((able[name] / weight for name, weight in weights.items()), default=Fraction(0))
    return able | {name: int(scale * weight) for name, weight in weights.items()}


def counts(table: pa.Table, searches: Mapping[str, Search], seed: int) -> pa.Table:
    """Pairs of each source in each bin of its search: source, bin, pairs. `table`: COLUMNS."""
    rows: list[tuple[str, int, int]] = []
    for name, search in searches.items():
        draws, _ = _within(table, name, search, seed)
        bins = (draws >> np.uint64(max(search.shift - BITS, 0))) & np.uint64(2 ** min(BITS, search.shift) - 1)
        found = np.bincount(bins.astype(np.int64))
        rows += [(name, int(at), int(found[at])) for at in np.flatnonzero(found)]
    columns = dict(zip(COUNTS.names, zip(*rows, strict=True), strict=True)) if rows else {}
    return pa.table({name: pa.array(columns.get(name, ()), COUNTS.field(name).type) for name in COUNTS.names})


def summed(tables: Sequence[pa.Table]) -> pa.Table:
    """Tables of `counts` as one, with each bin once; those of `looked_at` as they are."""
    whole = pa.concat_tables(tables)
    if whole.schema != COUNTS:
        return whole
    grouped = whole.group_by(["source", "bin"]).aggregate([("pairs", "sum")])
    return grouped.rename_columns({"pairs_sum": "pairs"}).select(COUNTS.names)


def narrowed(search: Search, pairs: Mapping[int, int]) -> Search:
    """The search within the bin that its rank falls into; `pairs` are those of all parts, by bin."""
    rank = search.rank
    for at in sorted(pairs):
        if rank <= pairs[at]:
            prefix = (search.prefix << min(BITS, search.shift)) | at
            deeper = Search(rank, prefix, search.depth + 1)
            return msgspec.structs.replace(deeper, few=pairs[at] <= FEW or deeper.shift == 0)
        rank -= pairs[at]
    raise AssertionError(f"rank {search.rank} of {sum(pairs.values())} pairs")


def looked_at(table: pa.Table, searches: Mapping[str, Search], seed: int) -> pa.Table:
    """The draws and names of the pairs that are left in each search: source, draw, name."""
    found = [FOUND.empty_table()]
    for name, search in searches.items():
        draws, names = _within(table, name, search, seed)
        found.append(pa.table([[name] * len(draws), draws.astype(np.int64), names], schema=FOUND))
    return pa.concat_tables(found)


def cuts(
    sources: Sequence[Source],
    counted: Callable[[Mapping[str, Search]], Iterable[tuple[str, int, int]]],
    seen: Callable[[Mapping[str, Search]], Iterable[tuple[str, int, str]]],
) -> dict[str, Cut]:
    """Where each source with a weight or quota is cut; `counted` and `seen` are the rows of `counts` and `looked_at`, over all parts.

    Raises MixError.
    """
    sources = [source for source in sources if mixed([source])]
    searches = {source.name: Search(rank=1) for source in sources}
    bins = _by_source(searches, counted(searches))
    found = {name: sum(pairs.values()) for name, pairs in bins.items()}
    kept = shares(sources, found)
    searches = {name: narrowed(Search(kept[name]), bins[name]) for name in searches if 0 < kept[name] < found[name]}
    while wide := {name: search for name, search in searches.items() if not search.few}:
        bins = _by_source(wide, counted(wide))
        searches |= {name: narrowed(search, bins[name]) for name, search in wide.items()}
    left: dict[str, list[tuple[int, str]]] = {name: [] for name in searches}
    for name, number, pair in seen(searches) if searches else ():
        left[name].append((number, pair))
    last = {name: sorted(left[name])[search.rank - 1] for name, search in searches.items()}
    return {name: Cut(found[name], kept[name], *last.get(name, ())) for name in found}


def _by_source(names: Iterable[str], rows: Iterable[tuple[str, int, int]]) -> dict[str, dict[int, int]]:
    bins: dict[str, dict[int, int]] = {name: {} for name in names}
    for name, at, pairs in rows:
        bins[name][at] = bins[name].get(at, 0) + pairs
    return bins


def taken(table: pa.Table, cuts: Mapping[str, Cut], seed: int) -> np.ndarray:
    """Which rows of `pairs` are taken: bool, shape (n,). Sources without a cut are taken whole."""
    mask = np.ones(len(table), dtype=bool)
    for name, where in cuts.items():
        if where.kept == where.found:
            continue
        own = np.flatnonzero(pc.equal(table["source"], name).to_numpy(zero_copy_only=False))
        draws, names = _draws(table.take(pa.array(own)), seed)
        if where.draw is None:
            mask[own] = False
            continue
        below = draws < np.uint64(where.draw)
        ties = np.flatnonzero(draws == np.uint64(where.draw))
        below[ties] = [names[at].as_py() <= where.name for at in ties]
        mask[own] = below
    return mask


def mix_part(part: str, *, whole: Dataset, target: Dataset, plan: Plan, cuts: Mapping[str, Cut], seed: int) -> Part:
    """Writes one part of `pairs` from the distinct pairs of all sources; those over a cut are dropped (`over_quota`)."""
    record = next(found for found in whole.require().parts if found.name == part)
    kept = 0

    def left() -> Iterable[pa.Table]:
        nonlocal kept
        with whole.open_part(part) as file:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group)
                table = table.filter(pa.array(taken(table, cuts, seed)))
                kept += len(table)
                yield table

    with target.write_part(part, plan.hash, Ledger()) as out:
        for table in row_groups(left()):
            out.write(table)
        gone = record.ledger.kept - kept
        ledger = msgspec.structs.replace(record.ledger, kept=kept)
        out.ledger += msgspec.structs.replace(ledger, dropped=ledger.dropped | ({"over_quota": gone} if gone else {}))
    return parts.committed(target, part, plan)


def _within(table: pa.Table, source: str, search: Search, seed: int) -> tuple[np.ndarray, pa.Array]:
    """Draws and names of a source's pairs that have the prefix of its search."""
    draws, names = _draws(table.filter(pc.equal(table["source"], source)), seed)
    inside = draws >> np.uint64(search.shift) == np.uint64(search.prefix)
    return draws[inside], names.filter(pa.array(inside))


def _draws(table: pa.Table, seed: int) -> tuple[np.ndarray, pa.Array]:
    """(draws in [0, 2^53), uint64; uid and image_uid of each)"""
    draws = (draw(seed, "mix", table["uid"].to_pylist()) * 2.0**DRAW_BITS).astype(np.uint64)
    names = pc.binary_join_element_wise(table["uid"], table["image_uid"], "")
    return draws, names.combine_chunks() if isinstance(names, pa.ChunkedArray) else names
