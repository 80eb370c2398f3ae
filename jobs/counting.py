"""What select counts over the whole pool before it judges: top fractions as thresholds; and the datasets that rules read."""

import jobs  # noqa: F401 - before all others, see there

# isort: split
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import pyarrow as pa

from curate import parts
from curate.images import generations
from curate.parts import Inputs
from curate.recipe import Rule
from curate.selection import columns, selecting, thresholds
from curate.selection.rules import column_of
from curate.store import Dataset
from jobs import engine, errors, reducing

COUNTS = "place int, name string, bin int, count long"
SURE = 0.8
"""An approximate count of groups times this is not above the true one; the true one is checked when they are all here."""


def inputs(run: engine.Run, rules: Sequence[Rule], more: Mapping[str, Sequence[str]] | None = None) -> Inputs:
    """The datasets that rules read, with their columns, `images` first."""
    return {
        name: (generations.current(run.workdir, name), wanted) for name, wanted in selecting.needed(rules, more).items()
    }


def _stored(data: Dataset) -> pa.Schema | None:
    """The columns that a dataset has, by its first part; None where it has no parts."""
    for part in data.part_names()[:1]:
        with data.open_part(part) as file:
            return file.schema_arrow
    return None


def kinds(inputs: Inputs, rules: Sequence[Rule]) -> dict[int, np.dtype]:
    """The type of each top fraction's column, by the rule's place among all: what comes of no rows."""
    empty = {}
    for name, (data, wanted) in inputs.items():
        schema = _stored(data)
        if schema is None:
            return {place: np.dtype(np.float32) for place in thresholds.fractions(rules)}
        empty[name] = schema.empty_table().select(wanted)
    facts = columns.Facts(empty)
    return {
        place: facts.numbers(column_of(limits)).values.dtype for place, limits in thresholds.fractions(rules).items()
    }


def settle(engines: engine.Engines, inputs: Inputs, rules: Sequence[Rule]) -> tuple[Rule, ...]:
    """The rules with their top fractions as thresholds, counted on Spark."""
    if not thresholds.fractions(rules):
        return tuple(rules)
    return thresholds.settle(rules, kinds(inputs, rules), partial(histograms, engines, inputs, rules))


def histograms(
    engines: engine.Engines, inputs: Inputs, rules: Sequence[Rule], step: int, known: thresholds.Known
) -> dict[thresholds.Place, np.ndarray]:
    """One counting pass over all parts: sums of at most 65,536 numbers for each fraction and group, whatever the pool."""
    function = partial(counted, inputs=inputs, rules=rules, step=step, known=known)
    batches = reducing.batched(engines, inputs["images"][0].part_names())
    rows = engine.spark_rows(engines, function, batches, COUNTS)
    with errors.unwrapped():
        if not step and any(limits.per for limits in thresholds.fractions(rules).values()):
            # Before they come here: parts may have few groups each, and all of them many.
            rows = rows.persist()
            for place, groups in rows.groupBy("place").agg({"name": "approx_count_distinct"}).collect():
                thresholds.check_groups(thresholds.fractions(rules)[place], int(groups * SURE))
        summed = rows.groupBy("place", "name", "bin").sum("count").toArrow()
        rows.unpersist()
    return _by_place(summed)


def _by_place(summed: pa.Table) -> dict[thresholds.Place, np.ndarray]:
    """Rows of (place, name, bin, count) as arrays, int64[BINS]."""
    coded = summed["name"].combine_chunks().dictionary_encode()
    names, codes = coded.dictionary.to_pylist(), coded.indices.to_numpy(zero_copy_only=False)
    keys = summed["place"].to_numpy().astype(np.int64) * max(len(names), 1) + codes
    order = np.argsort(keys, kind="stable")
    bins, counts = summed["bin"].to_numpy()[order], summed.column(3).to_numpy()[order]
    met, begins = np.unique(keys[order], return_index=True)
    found = {}
    ends = np.append(begins, len(keys))[1:] if len(keys) else begins
    for key, begin, end in zip(met.tolist(), begins, ends, strict=True):
        whole = np.zeros(thresholds.BINS, dtype=np.int64)
        whole[bins[begin:end]] = counts[begin:end]
        found[key // len(names), names[key % len(names)]] = whole
    return found


def counted(names: str, *, inputs: Inputs, rules: Sequence[Rule], step: int, known: thresholds.Known) -> pa.Table:
    """The counts of parts whose names are joined by commas, without their empty bins; runs in a worker."""
    total: dict[thresholds.Place, np.ndarray] = {}
    fractions = thresholds.fractions(rules)
    for name in names.split(","):
        for tables in parts.zipped(name, inputs):
            facts, rows = columns.Facts(tables), selecting.competing(tables, rules)
            for place, counts in thresholds.counted(rules, facts, rows, step, known).items():
                total[place] = total[place] + counts if place in total else counts
                thresholds.check_groups(fractions[place[0]], sum(one == place[0] for one, _ in total))
    made = [_rows(place, name, counts) for (place, name), counts in total.items()]
    return pa.concat_tables(made or [_rows(0, "", np.zeros(1, dtype=np.int64))])


def _rows(place: int, name: str, counts: np.ndarray) -> pa.Table:
    bins = np.flatnonzero(counts)
    return pa.table(
        {
            "place": pa.array(np.full(len(bins), place), pa.int32()),
            "name": pa.array([name] * len(bins), pa.string()),
            "bin": pa.array(bins, pa.int32()),
            "count": pa.array(counts[bins], pa.int64()),
        }
    )
