"""What shards take from tables of captions: the captions that travel with each pair, and the choice among them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate import schema
from curate.draw import draw
from curate.ledger import KEPT
from curate.recipe import Recipe
from curate.shards.policies import Alip, Choice, Policy, choice
from curate.shards.weighing import Means
from curate.store import Dataset

TABLE = "captions_"
"""How the keywords of tables of captions begin."""


class Sums(msgspec.Struct, frozen=True):
    """Sums of a part of a consistency table over its captions: of the three cosines, and how many there are."""

    agreement: float = 0.0
    alt: float = 0.0
    caption: float = 0.0
    count: int = 0


@dataclass(frozen=True)
class Texts:
    """What texts a set has besides its alt texts."""

    captioners: tuple[str, ...] = ()
    """Those whose captions travel, in the recipe's order."""
    finders: tuple[str, ...] = ()
    """Captioners `regions`, whose boxes travel."""
    policy: Policy | None = None
    looked_at: Mapping[str, str] | None = None
    """Consistency table that the policy needs -> the captioner whose captions it looks at."""
    seed: int = 0
    means: Means | None = None

    @classmethod
    def of(cls, recipe: Recipe, curated: bool) -> "Texts":
        """The texts of a set. The raw baseline has its alt texts alone."""
        made = {one.name: one for one in recipe.recaption.captioners} if curated else {}
        if not made:
            return cls()
        policy = recipe.shard.captions
        looked_at = {name: made[name].captions_of()[0] for name in policy.weighed_by()}
        return cls(
            captioners=tuple(name for name, one in made.items() if has_captions(one.word)),
            finders=tuple(name for name, one in made.items() if one.word == "regions"),
            policy=policy,
            looked_at=looked_at,
            seed=recipe.seed,
        )

    @property
    def carry(self) -> bool:
        """Whether anything stands beside the alt texts."""
        return bool(self.captioners or self.finders)

    def inputs(self, workdir: str) -> dict[str, tuple[Dataset, Sequence[str]]]:
        """The tables that are read."""
        facts = ("state", "alt_similarity", "similarities", "agreements")
        tables: dict[str, tuple[str, ...]] = dict.fromkeys(self.captioners, ("state", "captions"))
        tables |= dict.fromkeys(self.finders, ("state", "regions", "boxes", "box_scores"))
        tables |= dict.fromkeys(self.looked_at or (), facts)
        return {TABLE + name: (Dataset(workdir, f"captions/{name}"), columns) for name, columns in tables.items()}

    def beside(self, rows: list[dict[str, Any]], tables: Mapping[str, pa.Table], mask: pa.ChunkedArray) -> None:
        """Adds to each row (those of `mask`, in order) its `captions`, by captioner, and its `choice`."""
        sides = {
            name.removeprefix(TABLE): table.filter(mask).to_pylist()
            for name, table in tables.items()
            if name.startswith(TABLE)
        }
        assert self.policy is not None
        chosen_from = self.policy.reads() or [*(self.looked_at or {}).values()] or self.captioners
        for index, row in enumerate(rows):
            kept = {name: side[index] for name, side in sides.items() if side[index]["state"] == KEPT}
            captions = {name: kept[name]["captions"] for name in self.captioners if name in kept}
            facts = {name: kept[name] | {"of": of} for name, of in (self.looked_at or {}).items() if name in kept}
            row["captions"] = captions
            row["regions"] = {name: _regions(kept[name]) for name in self.finders if name in kept}
            may = {name: texts for name, texts in captions.items() if name in chosen_from}
            row["choice"] = choice(self.policy, row["text"], may, facts, self.means)

    def drawn(self, row: Mapping[str, Any]) -> tuple[str, str]:
        """The text of a pair that stands in `.txt`, and where it is from: by a hash of (seed, uid)."""
        options: Choice = row["choice"]
        at = np.searchsorted(np.cumsum(options.odds), draw(self.seed, "caption", [row["uid"]])[0], side="right")
        place = min(int(at), len(options.texts) - 1)
        return options.texts[place], options.sources[place]


def _regions(row: Mapping[str, Any]) -> list[list[Any]]:
    """Text, score, left, top, right, bottom of each box."""
    found = zip(row["regions"], row["box_scores"], row["boxes"], strict=True)
    return [[text, score, *box] for text, score, box in found]


def has_captions(word: str) -> bool:
    """Whether the tables of a captioner hold captions that can stand for a text."""
    return "captions" in schema.load(f"{schema.CAPTIONS}/{word}").columns


def summed(part: str, *, table: Dataset) -> dict[str, Any]:
    """Sums of a part of a consistency table, for `Means`."""
    found = Sums()
    with table.open_part(part) as file:
        for group in range(file.num_row_groups):
            rows = file.read_row_group(group, columns=["state", "alt_similarity", "similarities", "agreements"])
            rows = rows.filter(pc.equal(rows["state"], KEPT))
            counts = pc.list_value_length(rows["similarities"]).to_numpy()
            alone = rows["alt_similarity"].to_numpy().astype(np.float64)
            found = Sums(
                found.agreement + _sum(rows["agreements"]),
                found.alt + float(alone @ counts) if len(rows) else found.alt,
                found.caption + _sum(rows["similarities"]),
                found.count + int(counts.sum()),
            )
    return msgspec.to_builtins(found)


def _sum(lists: pa.ChunkedArray) -> float:
    return float(np.sum(pc.list_flatten(lists).to_numpy()))


def means_of(sums: Sequence[Sums]) -> Means:
    """The means over all parts; of no caption at all 0."""
    count = max(sum(one.count for one in sums), 1)
    return Means(*(sum(getattr(one, name) for one in sums) / count for name in Means._fields))


def weighs(policy: Policy | None) -> str | None:
    """The consistency table whose means a policy needs."""
    return policy.by if isinstance(policy, Alip) else None
