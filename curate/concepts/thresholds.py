"""The threshold t of each language: English's is given, the others' keep the same share of matches in the tail (Meta CLIP 2).

p = the share of English matches whose entries have fewer than t_en; a language's t is the count at which the entries up to it, from
the rarest on, first come nearest to that share of the language's matches.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from curate.concepts.merging import Pool
from curate.hints import nearest
from curate.recipe import Balance, RecipeError

ENGLISH = "en"


@dataclass(frozen=True)
class Thresholds:
    """t of each language in the pool, and the tail share that those that were not given come from (None: all were)."""

    t: Mapping[str, int]
    tail_share: float | None


def tail_share(counts: np.ndarray, t: int) -> float:
    """The share of matches whose entry has fewer than t. `counts`: int64, at least one above 0."""
    return float(counts[counts < t].sum() / counts.sum())


def t_of_share(counts: np.ndarray, share: float) -> int:
    """The t that leaves nearest to a share of the matches in the tail. `counts`: int64, at least one above 0.

    Entries that nothing matches are left out: they add nothing to any share, but were the share next to 0, the count at which it
    is reached would be theirs, and with t = 0 every pair would go.
    """
    ordered = np.sort(counts[counts > 0])
    reached = np.cumsum(ordered) / ordered.sum()
    return int(ordered[np.abs(reached - share).argmin()])


def resolve(pool: Pool, settings: Balance) -> Thresholds:
    """t of every language that the pool has counts of.

    Raises RecipeError when a language's t was not given and English has no tail to take the share from, and for a t of a language
    that nothing was matched against.
    """
    languages, listed = pool.languages(), pool.lists()
    for lang in settings.t_of:
        if lang not in listed:
            raise RecipeError(f"balance.t_of: no list of {lang!r} was matched: {nearest(lang, listed)}")
    given = {ENGLISH: settings.t} | settings.t_of
    open_ = [lang for lang in languages if lang not in given]
    if not open_:
        return Thresholds({lang: given[lang] for lang in languages}, None)
    share = settings.tail_share
    if share is None:
        t = given[ENGLISH]
        share = tail_share(pool.of(ENGLISH), t) if ENGLISH in languages else 0.0
        if not share:
            why = (
                f"every English entry has {t:,} matches (balance.t) or more"
                if ENGLISH in languages
                else "no English text matched"
            )
            raise RecipeError(
                f"balance.tail_share: t of {', '.join(open_[:5])} comes from the tail share of English, and {why}; give the share "
                "(Meta CLIP 2 has 0.06) or each t: balance.t_of={de: 500}"
            )
    return Thresholds({lang: given.get(lang) or t_of_share(pool.of(lang), share) for lang in languages}, share)
