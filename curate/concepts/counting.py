"""How many texts match each entry: counted part by part, added up by language, merged over pools by addition.

The dataset `counts` has a row group for each language, and its manifest says in which part it stands; so a language's counts are
read without the others', and nobody holds those of all languages unless all are in use.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate import CurateError, schema
from curate.concepts.native import compiled
from curate.ledger import Ledger, alive
from curate.recipe import Balance
from curate.store import Dataset, Manifest, Part, Plan, StoreError, part_name

COLUMNS = ("state", "lang", "entries")
"""What counting reads of `matches`."""
LIST = "metadata/"
"""What the manifest's `matched` puts before the language of an entry list."""
PARTS = 64
"""Most parts of a `counts`: by language, so small ones share a part."""


class CountError(CurateError, ValueError):
    """Counts that do not go together; the message says which, and what to do."""


# -- counting


class Tally:
    """Counts in the making: for each language an int64 array by entry id, as long as the greatest id asks for."""

    def __init__(self) -> None:
        self._counts: dict[str, np.ndarray] = {}

    def add(self, matches: pa.Table) -> None:
        """Counts the kept rows of a batch of `matches`."""
        kept = matches.filter(alive(matches["state"]))
        lists, langs = kept["entries"].combine_chunks(), kept["lang"].combine_chunks().dictionary_encode()
        offsets, ids = lists.offsets.to_numpy(), lists.values.to_numpy()
        codes = langs.indices.to_numpy()
        for code, lang in enumerate(langs.dictionary.to_pylist()):
            rows = np.flatnonzero(codes == code)
            counts = self._counts.get(lang, np.zeros(0, np.int64))
            needed = greatest(offsets, ids, rows) + 1
            if needed > len(counts):
                counts = np.concatenate([counts, np.zeros(needed - len(counts), np.int64)])
            # A row's list holds an entry once, so what is counted is texts.
            tally(offsets, ids, rows, counts)
            self._counts[lang] = counts

    def table(self) -> pa.Table:
        """The counts above 0 as rows of `counts`, ordered by lang and entry."""
        tables = [rows_of(lang, counts) for lang, counts in sorted(self._counts.items())]
        return pa.concat_tables([schema.load("counts").arrow().empty_table(), *tables])


@compiled
def greatest(offsets, ids, rows):
    """The greatest id in some rows' lists, -1 when there is none."""
    found = -1
    for row in rows:
        if offsets[row + 1] > offsets[row]:
            found = max(found, int(ids[offsets[row + 1] - 1]))  # Lists are ascending.
    return found


@compiled
def tally(offsets, ids, rows, counts):
    """Adds 1 to the count of each id in some rows' lists."""
    for row in rows:
        for at in range(offsets[row], offsets[row + 1]):
            counts[ids[at]] += 1


def rows_of(lang: str, counts: np.ndarray) -> pa.Table:
    """A language's counts above 0 as rows of `counts`."""
    ids = np.flatnonzero(counts)
    columns = {
        "lang": pa.array([lang]).take(pa.array(np.zeros(len(ids), np.int64))),
        "entry": ids,
        "count": counts[ids],
    }
    return schema.load("counts").hold(pa.table(columns))


def count_parts(parts: str, matches: Dataset) -> pa.Table:
    """Counts of some parts of `matches` (their names, comma-separated) together, read a row group at a time."""
    total = Tally()
    for part in parts.split(","):
        with matches.open_part(part) as file:
            for group in range(file.num_row_groups):
                total.add(file.read_row_group(group, columns=list(COLUMNS)))
    return total.table()


# -- the dataset


def parts_of(languages: Sequence[str]) -> dict[str, str]:
    """In which part of `counts` each language stands."""
    number = min(len(languages), PARTS)
    return {lang: part_name(i % number) for i, lang in enumerate(sorted(languages))}


def write(rows: pa.Table, target: Dataset, plan: Plan, part: str) -> Part:
    """Writes a part: lang, entry and count in any order, each pair once, of that part's languages alone."""
    rows = rows.sort_by([("lang", "ascending"), ("entry", "ascending")])
    matches = int(pc.sum(rows["count"]).as_py() or 0)
    account = Ledger(rows_in=len(rows), kept=len(rows), notes={"matches": matches})
    with target.write_part(part, plan.hash, account) as out:
        for lang in rows["lang"].unique().to_pylist():
            out.write(rows.filter(pc.equal(rows["lang"], lang)))
    record = target.committed(part, plan.hash)
    assert record is not None
    return record


def placed(target: Dataset, parts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Where each language's counts stand, for the manifest: {lang: {part, group, entries, matches}}."""
    found = {}
    for part in parts:
        with target.open_part(part) as file:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, columns=["lang", "count"])
                place = {"part": part, "group": group, "entries": len(table), "matches": pc.sum(table["count"]).as_py()}
                found[table["lang"][0].as_py()] = place
    return found


# -- reading, and merging pools


@dataclass(frozen=True)
class Pool:
    """The `counts` of one or several workdirs taken together: those of `added` less those of `removed`."""

    added: tuple[Dataset, ...]
    removed: tuple[Dataset, ...] = ()

    def languages(self) -> list[str]:
        """All languages with matches left. Counts are not read: the manifests say how many matches there are."""
        left = Counter[str]()
        for sign, pools in ((1, self.added), (-1, self.removed)):
            for counts in pools:
                for lang, place in counts.require().extra["languages"].items():
                    left[lang] += sign * place["matches"]
        return sorted(lang for lang, matches in left.items() if matches)

    def lists(self) -> list[str]:
        """All languages whose entry list was matched, whether a text was found or not."""
        matched = {what for counts in self.added for what in counts.require().extra["matched"]}
        return sorted(what.removeprefix(LIST) for what in matched if what.startswith(LIST))

    def of(self, lang: str) -> np.ndarray:
        """A language's counts: int64 by entry id, 0 where no text matches.

        Raises CountError when more is removed than there is.
        """
        total = added_up([of_language(counts, lang) for counts in self.added])
        gone = added_up([of_language(counts, lang) for counts in self.removed])
        total, gone = (np.pad(one, (0, max(len(total), len(gone)) - len(one))) for one in (total, gone))
        short = np.flatnonzero(gone > total)
        if len(short):
            raise CountError(
                f"balance.remove_counts: entry {short[0]} of {lang!r} has {total[short[0]]:,} matches, and "
                f"{gone[short[0]]:,} are to be removed; was that pool ever added to {self.added[0].workdir}?"
            )
        return total - gone

    def check(self) -> None:
        """Raises CountError when not all were matched by one rule against the same entry lists, or more is removed than there is."""
        first = self.added[0]
        mine = first.require().extra["matched"]
        for other in (*self.added[1:], *self.removed):
            theirs = other.require().extra["matched"]
            for what in sorted({*mine, *theirs}):
                if what in mine and what in theirs and mine[what] != theirs[what]:
                    raise CountError(
                        f"{other.root}: its {what} is {theirs[what]!r}, that of {first.root} is {mine[what]!r}; ids mean "
                        f"something else there: run the stage match on {other.workdir} again with the same lists and rule"
                    )
        for lang in sorted({lang for counts in self.removed for lang in counts.require().extra["languages"]}):
            self.of(lang)


def sources(workdir: str, settings: Balance) -> Pool:
    """The counts that balance decides by: the workdir's own, and those that the recipe adds and removes."""
    added = tuple(Dataset(place, "counts") for place in (workdir, *settings.add_counts))
    return Pool(added, tuple(Dataset(place, "counts") for place in settings.remove_counts))


def merge(pool: Pool, target: Dataset) -> Manifest:
    """Writes a pool's counts as a dataset of their own, so that they last when its workdirs go. Holds one language at a time.

    Raises CountError when they do not go together, and when something else stands at the target.
    """
    pool.check()
    if Dataset(target.workdir, "matches").manifest() is not None:
        raise CountError(
            f"{target.workdir} has matches, and the counts there belong to them; give a folder of their own"
        )
    places = parts_of(pool.languages())
    # In the order of their marks: which workdir is named first, and where it is, makes no difference.
    marks = {"added": pool.added, "removed": pool.removed}
    settings = {way: sorted(counts.fingerprint for counts in some) for way, some in marks.items()}
    parts = tuple(sorted(set(places.values())))
    plan = Plan(dataset="counts", stage="match", settings=settings, inputs={}, parts=parts)
    try:
        missing = target.begin(plan)
    except StoreError as error:
        raise CountError(
            f"{target.root} holds the counts of other workdirs; give another folder, or remove that one"
        ) from error
    for part in missing:
        rows = [rows_of(lang, pool.of(lang)) for lang, place in places.items() if place == part]
        write(pa.concat_tables(rows), target, plan, part)
    done = target.manifest()
    if done is None:
        matched = {what: mark for counts in pool.added for what, mark in counts.require().extra["matched"].items()}
        done = target.commit(plan, extra={"languages": placed(target, parts), "matched": matched})
    return done


def of_language(counts: Dataset, lang: str) -> np.ndarray:
    """A language's counts in one dataset: int64 by entry id; empty when it has none."""
    place = counts.require().extra["languages"].get(lang)
    if place is None:
        return np.zeros(0, np.int64)
    with counts.open_part(place["part"]) as file:
        return dense(file.read_row_group(place["group"], columns=["entry", "count"]))


def dense(rows: pa.Table) -> np.ndarray:
    """Counts by entry id, int64, 0 where there is no row."""
    ids = rows["entry"].to_numpy()
    counts = np.zeros(int(ids.max(initial=-1)) + 1, np.int64)
    counts[ids] = rows["count"].to_numpy()
    return counts


def added_up(counts: Sequence[np.ndarray]) -> np.ndarray:
    """The sum of arrays by entry id, as long as the longest."""
    total = np.zeros(max((len(one) for one in counts), default=0), np.int64)
    for one in counts:
        total[: len(one)] += one
    return total
