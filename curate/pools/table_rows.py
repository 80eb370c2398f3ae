"""Rows of a table to candidate rows, column by column; the same rules and reasons as for the images of a page."""

from collections import Counter
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from curate import schema
from curate.pools import subsets, table_facts, table_values
from curate.pools.candidates import MAX_LANG, Account
from curate.pools.inputs import Input
from curate.pools.table_columns import Columns
from curate.pools.table_values import PROBLEMS
from curate.recipe import Extract

_UID, _SHA256 = "^[0-9a-fA-F]{32}$", "^[0-9a-fA-F]{64}$"


class Batch(NamedTuple):
    """Some rows of a table as they were read."""

    first: int
    """Number of the first of them in the file."""
    rows: pa.Table
    written: bool = False
    """Whether numbers stand as text."""


def candidates(batch: Batch, columns: Columns, file: Input, settings: Extract, account: Account) -> pa.Table:
    """The candidates of a batch, of the schema of `pairs`; what yields none goes to the account.

    A row counts once for each of its distinct texts, and once when it has none.
    """
    account.notes["images"] += len(batch.rows)
    table, numbers = batch.rows, np.arange(batch.first, batch.first + len(batch.rows))
    subset = _subset(file)
    uids = _matching(table, columns.taken.get("uid"), _UID)
    if subset is not None and len(table) and not uids.null_count:
        # Most rows may be none of the subset: nothing else is done with them.
        within = subset.has(subsets.words(uids))
        account.dropped["not_in_subset"] += int((~within).sum())
        table, numbers, uids = table.filter(pa.array(within)), numbers[within], uids.filter(pa.array(within))
        subset = None
    urls, problems = table_values.urls(_column(table, columns.taken["url"]), settings.max_url_bytes)
    row, kinds, texts = _entries(table, columns)
    taken = _usable(problems[row], texts, settings, account)
    row, kinds, texts = row[taken], kinds[taken], texts.filter(pa.array(taken))
    found = _table(table.take(pa.array(row)), columns, file, batch.written, kinds, urls.take(pa.array(row)), texts)
    found = found.set_column(
        found.schema.names.index("record_offset"), "record_offset", pa.array(numbers[row], pa.int64())
    )
    found = _named(found, uids.take(pa.array(row)) if len(columns.texts) == 1 else None)
    if subset is not None:
        within = subset.has(subsets.words(found["uid"].combine_chunks()))
        account.dropped["not_in_subset"] += int((~within).sum())
        found = found.filter(pa.array(within))
    account.kept += len(found)
    account.notes["texts_repaired"] += int(pc.sum(pc.match_substring(found["text"], "\ufffd")).as_py() or 0)
    return found


def _subset(file: Input) -> subsets.Subset | None:
    table = file.source.table if file.source else None
    return subsets.load(table.subset) if table and table.subset else None


def _entries(table: pa.Table, columns: Columns) -> tuple[np.ndarray, np.ndarray, pa.Array]:
    """(row, number in columns.texts, text) of each distinct text of each row, and one "" for a row that has none."""
    texts = [table_values.texts(_column(table, name)) for _, name in columns.texts]
    empty = [pc.equal(text, "").to_numpy(zero_copy_only=False) for text in texts]
    new = []
    for at, text in enumerate(texts):
        repeats = [pc.equal(text, earlier).to_numpy(zero_copy_only=False) for earlier in texts[:at]]
        new.append(~empty[at] & ~np.logical_or.reduce([np.zeros(len(table), dtype=bool), *repeats]))
    new[0] |= np.logical_and.reduce(empty)
    rows = [np.flatnonzero(mask) for mask in new]
    kinds = [np.full(len(r), at, dtype=np.int32) for at, r in enumerate(rows)]
    chosen = pa.concat_arrays([text.filter(pa.array(mask)) for text, mask in zip(texts, new, strict=True)])
    return np.concatenate(rows), np.concatenate(kinds), chosen


def _usable(problems: np.ndarray, texts: pa.Array, settings: Extract, account: Account) -> np.ndarray:
    """Which entries are candidates; of the others the first reason goes to the account."""
    lengths = pc.binary_length(texts).to_numpy(zero_copy_only=False)
    counts: Counter[str] = Counter({name: int((problems == at).sum()) for at, name in enumerate(PROBLEMS) if at})
    counts["empty_text"] = int(((problems == 0) & (lengths == 0)).sum())
    counts["text_too_long"] = int(((problems == 0) & (lengths > settings.max_text_bytes)).sum())
    account.failed["bad_url"] += counts.pop("bad_url")
    account.dropped.update(counts)
    return (problems == 0) & (lengths > 0) & (lengths <= settings.max_text_bytes)


def _table(
    table: pa.Table, columns: Columns, file: Input, written: bool, kinds: np.ndarray, urls: pa.Array, texts: pa.Array
) -> pa.Table:
    """The candidates without their names and numbers."""
    names, nothing = columns.taken, pa.nulls(len(table), pa.string())
    source = file.source.name if file.source else "table"
    sha256 = _matching(table, names.get("known_sha256"), _SHA256)
    values = {
        "uid": nothing, "image_uid": nothing, "url": urls, "text": texts,
        "kind": pa.array([kind for kind, _ in columns.texts]).take(pa.array(kinds)),
        "page_url": _pages(table, names.get("page_url")), "page_robots": nothing,
        "page_lang": _languages(table, names.get("page_lang")), "source": pa.repeat(source, len(table)),
        "crawl_file": pa.repeat(file.name, len(table)), "record_offset": pa.nulls(len(table), pa.int64()),
        "member": nothing, "known_sha256": sha256,
        "facts": table_facts.objects(table, columns.facts(table.schema.names), written),
    }  # fmt: skip
    return pa.table(values)


def _named(found: pa.Table, given: pa.Array | None) -> pa.Table:
    """The candidates with their uids: those that the table brings where they are any, and hashes."""
    hexdigest = xxhash.xxh3_128_hexdigest
    images = pa.array(map(hexdigest, found["url"].cast(pa.binary()).to_pylist()), pa.string())
    if given is None or given.null_count:
        said = pc.binary_join_element_wise(found["url"], found["text"], "\0").cast(pa.binary())
        own = pa.array(map(hexdigest, said.to_pylist()), pa.string())
        given = own if given is None else pc.coalesce(given, own)
    found = found.set_column(0, "uid", given).set_column(1, "image_uid", images)
    return found.cast(schema.load("pairs").arrow())


def _column(table: pa.Table, name: str) -> pa.ChunkedArray:
    """A column by name, the first of several; nulls where this batch lacks it."""
    names = table.schema.names
    return table.column(names.index(name)) if name in names else pa.chunked_array([pa.nulls(len(table), pa.string())])


def _matching(table: pa.Table, name: str | None, pattern: str) -> pa.Array:
    """A column of hex digits in lower case; null where it is none, or something else."""
    if name is None:
        return pa.nulls(len(table), pa.string())
    values = table_values.strings(_column(table, name))
    return pc.if_else(pc.match_substring_regex(values, pattern), pc.ascii_lower(values), pa.scalar(None, pa.string()))


def _pages(table: pa.Table, name: str | None) -> pa.Array:
    if name is None:
        return pa.nulls(len(table), pa.string())
    urls, problems = table_values.urls(_column(table, name), 2**31 - 1)
    return pc.if_else(pa.array(problems == 0), urls, pa.scalar(None, pa.string()))


def _languages(table: pa.Table, name: str | None) -> pa.Array:
    if name is None:
        return pa.nulls(len(table), pa.string())
    values = pc.utf8_slice_codeunits(table_values.texts(_column(table, name)), 0, MAX_LANG)
    return pc.if_else(pc.equal(values, ""), pa.scalar(None, pa.string()), values)
