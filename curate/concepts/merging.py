"""Counts of pools taken together: a crawl that joins adds its counts, one that leaves takes them off; no text is matched again."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from curate.concepts import counting
from curate.concepts.counting import CountError
from curate.recipe import Balance
from curate.store import Dataset, Manifest, Plan, StoreError

LIST = "metadata/"
"""What the manifest's `matched` puts before the language of an entry list."""


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
        total = added_up([counting.of_language(counts, lang) for counts in self.added])
        gone = added_up([counting.of_language(counts, lang) for counts in self.removed])
        total, gone = (np.pad(one, (0, max(len(total), len(gone)) - len(one))) for one in (total, gone))
        short = np.flatnonzero(gone > total)
        if len(short):
            raise CountError(
                f"balance.remove_counts: entry {short[0]} of {lang!r} has {total[short[0]]:,} matches, and "
                f"{gone[short[0]]:,} are to be removed; was that pool ever added to {self.added[0].workdir}?"
            )
        return total - gone

    def crawls(self) -> dict[str, int]:
        """How often the counts of each single pool are in these: {fingerprint: times}, below 0 where more often removed than added.

        Sums that `merge` wrote say what is in them.
        """
        times = Counter[str]()
        for sign, pools in ((1, self.added), (-1, self.removed)):
            for counts in pools:
                for crawl, n in made_of(counts).items():
                    times[crawl] += sign * n
        return {crawl: n for crawl, n in sorted(times.items()) if n}

    def check(self) -> None:
        """Raises CountError when these do not go together: not all were matched by one rule against the same entry lists, a pool
        is in them twice, or more is removed than there is."""
        first: dict[str, tuple[str, Dataset]] = {}
        for counts in (*self.added, *self.removed):
            for what, mark in sorted(counts.require().extra["matched"].items()):
                before, where = first.setdefault(what, (mark, counts))
                if mark != before:
                    raise CountError(
                        f"{counts.root}: its {what} is {mark!r}, that of {where.root} is {before!r}; ids mean "
                        f"something else there: run the stage match on {counts.workdir} again with the same lists and rule"
                    )
        self._check_once()
        for lang in sorted({lang for counts in self.removed for lang in counts.require().extra["languages"]}):
            self.of(lang)

    def _check_once(self) -> None:
        """A crawl that is named twice, or beside a sum that has it, would count twice: all its entries would seem crowded."""
        for crawl, times in self.crawls().items():
            if abs(times) > 1:
                way, pools = ("added", self.added) if times > 0 else ("removed", self.removed)
                named = [counts.workdir for counts in pools if crawl in made_of(counts)]
                raise CountError(
                    f"the counts of one pool would be {way} {abs(times)} times: they are in {' and in '.join(named)}; name each pool "
                    f"once (balance.add_counts and remove_counts; the workdir's own count by themselves)"
                )


def made_of(counts: Dataset) -> dict[str, int]:
    """How often the counts of single pools are in a dataset: once its own, or what went into a sum. {fingerprint: times}."""
    found: dict[str, int] | None = counts.require().extra.get("pools")
    return {counts.fingerprint: 1} if found is None else found


def sources(workdir: str, settings: Balance) -> Pool:
    """The counts that balance decides by: the workdir's own, and those that the recipe adds and removes."""
    added = tuple(Dataset(place, "counts") for place in (workdir, *settings.add_counts))
    return Pool(added, tuple(Dataset(place, "counts") for place in settings.remove_counts))


def check_decides(pool: Pool, matches: Dataset) -> None:
    """Raises CountError or StoreError where a pool's counts cannot decide on these matches: they do not go together, were counted
    from others, or do not have these any more. Otherwise the first worker to meet an entry without a count would say so."""
    pool.check()
    own = Dataset(matches.workdir, "counts")
    if own.require().plan.inputs.get("matches", matches.fingerprint) != matches.fingerprint:
        raise StoreError(f"{own.root} was counted from other matches than {matches.root}; run the stage match again")
    inside = pool.crawls()
    if not all(inside.get(crawl) for crawl in made_of(own)):
        named = " or ".join(counts.workdir for counts in pool.removed)
        raise CountError(
            f"the counts of {matches.workdir} are themselves taken off again, and its matches cannot be balanced without them: "
            f"leave {named} out of balance.remove_counts"
        )


def marks(pool: Pool) -> dict[str, str]:
    """The fingerprints of the counts beside the workdir's own, by their place in the recipe."""
    others = {f"add_counts {i}": counts.fingerprint for i, counts in enumerate(pool.added[1:], 1)}
    return others | {f"remove_counts {i}": counts.fingerprint for i, counts in enumerate(pool.removed, 1)}


def merge(pool: Pool, target: Dataset) -> Manifest:
    """Writes a pool's counts as a dataset of their own, so that they last when its workdirs go. Holds one language at a time.

    Raises CountError when they do not go together, and when something else stands at the target.
    """
    pool.check()
    if Dataset(target.workdir, "matches").manifest() is not None:
        raise CountError(
            f"{target.workdir} has matches, and the counts there belong to them; give a folder of their own"
        )
    places = counting.parts_of(pool.languages())
    # In the order of their marks: which workdir is named first, and where it is, makes no difference.
    ways = {"added": pool.added, "removed": pool.removed}
    settings = {way: sorted(counts.fingerprint for counts in some) for way, some in ways.items()}
    parts = tuple(sorted(set(places.values())))
    plan = Plan(dataset="counts", stage="match", settings=settings, inputs={}, parts=parts)
    try:
        missing = target.begin(plan)
    except StoreError as error:
        raise CountError(
            f"{target.root} holds the counts of other workdirs; give another folder, or remove that one"
        ) from error
    for part in missing:
        rows = [counting.rows_of(lang, pool.of(lang)) for lang, place in places.items() if place == part]
        counting.write(pa.concat_tables(rows), target, plan, part)
    done = target.manifest()
    if done is None:
        matched = {what: mark for counts in pool.added for what, mark in counts.require().extra["matched"].items()}
        extra = {"languages": counting.placed(target, parts), "matched": matched, "pools": pool.crawls()}
        done = target.commit(plan, extra=extra)
    return done


def added_up(counts: Sequence[np.ndarray]) -> np.ndarray:
    """The sum of arrays by entry id, as long as the longest."""
    total = np.zeros(max((len(one) for one in counts), default=0), np.int64)
    for one in counts:
        total[: len(one)] += one
    return total
