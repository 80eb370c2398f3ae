"""Why a matched pair was kept or balanced out: its entries, their counts, t, and the probability of each."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc

from curate.concepts import entries, merging, thresholds
from curate.concepts.balancing import entry_probability, keep_probability
from curate.concepts.merging import Pool
from curate.recipe import Balance, Recipe, RecipeError
from curate.store import Dataset, Manifest

Row = dict[str, Any]
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Explainer:
    """What the explanation is taken from. A recipe says where the entry lists and other pools' counts are kept."""

    workdir: str
    recipe: Recipe | None

    def entries(self, lang: str, ids: list[int]) -> list[Row]:
        """Each matched entry: `id`, `text`, `source`, `count`, `t`, `p`; None where nothing that is there says so."""
        texts, counts, t = self._texts(lang, ids), self._counts(lang), self._t(lang)
        found = []
        for id_ in ids:
            text, source = texts.get(id_, (None, None))
            count = None if counts is None or id_ >= len(counts) else int(counts[id_])
            p = float(entry_probability(np.array([count]), t)[0]) if count and t else None
            found.append({"id": id_, "text": text, "source": source, "count": count, "t": t, "p": p})
        return found

    def decision(self, matched: list[Row], balanced: Row) -> Row:
        """What the draw decided (`decided`, in words), and `remarks` on what the explanation cannot show."""
        odds = np.array([one["p"] if one["p"] is not None else np.nan for one in matched])
        derived = float(keep_probability(np.arange(len(odds)), np.array([0, len(odds)]), odds)[0])
        keep, draw = balanced.get("keep_probability"), balanced.get("draw")
        remarks = []
        if keep is not None and not np.isnan(derived) and abs(derived - keep) > TOLERANCE:
            remarks.append(
                f"these counts would give the keep probability {derived:.6g}: it was decided by those of other pools too; "
                "a recipe with the same balance.add_counts and remove_counts shows them"
            )
        if any(one["text"] is None for one in matched):
            remarks.append(
                "the entries' texts are in a list that is not at hand; give the recipe of the run: -c RECIPE"
            )
        words = None if keep is None or draw is None else self._words(balanced["reason"], keep, draw)
        would = derived if keep is None and not np.isnan(derived) else None
        return {"decided": words, "keep_probability_to_come": would, "remarks": remarks}

    def _words(self, reason: str | None, keep: float, draw: float) -> str:
        manifest = self._balanced()
        if reason == "other_text":
            return f"another text of the image was chosen; its own keep probability is {chance(keep)}, its draw {chance(draw)}"
        if manifest and manifest.plan.settings.get("online"):
            return (
                f"every matched pair passes; training draws anew each epoch, with the keep probability {chance(keep)}"
            )
        told = chance(draw), chance(keep)
        if told[0] == told[1]:
            told = repr(draw), repr(keep)
        return f"its draw {told[0]} is {'' if draw < keep else 'not '}below its keep probability {told[1]}"

    def _balanced(self) -> Manifest | None:
        return Dataset(self.workdir, "balanced").manifest()

    def _counts(self, lang: str) -> np.ndarray | None:
        pool = self._pool()
        return None if pool is None else pool.of(lang)

    def _pool(self) -> Pool | None:
        """None while nothing is counted."""
        if Dataset(self.workdir, "counts").manifest() is None:
            return None
        return merging.sources(self.workdir, self.recipe.balance if self.recipe else Balance())

    def _t(self, lang: str) -> int | None:
        """The t that balance decided by; before it has run, the one that the recipe leads to."""
        manifest, pool = self._balanced(), self._pool()
        if manifest is not None and "t" in manifest.extra:
            return manifest.extra["t"].get(lang)
        if self.recipe is None or pool is None:
            return None
        return thresholds.resolve(pool, self.recipe.balance).t.get(lang)

    def _texts(self, lang: str, ids: list[int]) -> dict[int, tuple[str, str]]:
        """(text, source) by id, from the list that was matched; empty when that one is not to be found."""
        place = self.recipe.match.metadata if self.recipe else entries.SHIPPED
        matched = Dataset(self.workdir, "matches").require().plan.inputs.get(f"metadata/{lang}")
        try:
            # Another list has other entries under the same ids; a workdir that does not say which it was is the recipe's.
            if entries.fingerprint(place, lang) != matched and (matched or self.recipe is None):
                return {}
        except RecipeError:
            return {}
        rows = entries.load(place, lang)
        rows = rows.filter(pc.is_in(rows["id"], pc.cast(ids, "int32")))
        return {row["id"]: (row["text"], row["source"]) for row in rows.to_pylist()}


def chance(p: float) -> str:
    """A number in [0, 1] in words: 0.132743, or 2.31e-07 where six digits would hide it."""
    return f"{p:.6f}" if p == 0 or p >= 1e-3 else f"{p:.2e}"
