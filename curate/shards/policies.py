"""The text policy: with which odds an image's alt text and its captions are the text of a pair.

The odds are written into the shards, and drawn at training time, anew each epoch; `.txt` holds one draw. Captions stand beside the alt
text and never in its place: a pair without captions has its alt text, whatever the policy.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np

from curate.settings import Name, Settings
from curate.shards.weighing import Means, alip

ALT = "alt"
Captions = Mapping[str, Sequence[str]]
"""Captioner -> a pair's captions; without those that have none."""


class Choice(NamedTuple):
    """The texts that may stand for a pair."""

    texts: list[str]
    sources: list[str]
    """Of each: `alt`, or the captioner."""
    odds: list[float]
    """Of each; they sum to 1."""


class Policy(Settings, frozen=True, kw_only=True, tag_field="policy"):
    """`shard.captions`."""

    def identity(self) -> dict[str, Any]:
        return {"policy": str(self.__struct_config__.tag)} | super().identity()

    def reads(self) -> tuple[str, ...]:
        """Captioners whose captions may be chosen; none: all that the recipe has."""
        return ()

    def weighed_by(self) -> tuple[str, ...]:
        """Tables of consistency that it needs."""
        return ()


class Alt(Policy, frozen=True, kw_only=True, tag="alt"):
    """The alt text alone."""


class Uniform(Policy, frozen=True, kw_only=True, tag="uniform"):
    """The alt text and each caption alike (LaCLIP)."""

    of: tuple[Name, ...] = ()
    """Captioners; by default all."""

    def reads(self) -> tuple[str, ...]:
        return self.of


class Odds(Policy, frozen=True, kw_only=True, tag="odds"):
    """Odds for the alt text and each captioner: `{alt: 1, fused: 1}` (VeCLIP), `{alt: 0.8, described: 0.2}` (Recap-DataComp)."""

    odds: Annotated[dict[Name, Annotated[float, msgspec.Meta(ge=0)]], msgspec.Meta(min_length=1)]
    """By `alt` or captioner. A captioner's odds are shared by its captions; those of one that has none go to the others."""

    def __post_init__(self) -> None:
        if ALT not in self.odds:
            raise ValueError("odds: `alt` is missing: captions stand beside the alt text; give it 0 if that is meant")
        if not sum(self.odds.values()):
            raise ValueError("odds: all are 0")

    def reads(self) -> tuple[str, ...]:
        return tuple(name for name in self.odds if name != ALT)


class Best(Policy, frozen=True, kw_only=True, tag="best"):
    """The one that is most similar to the image, of the alt text and the captions."""

    by: Annotated[tuple[Name, ...], msgspec.Meta(min_length=1)]
    """Captioners `consistency`, which say how similar the captions are that they look at."""

    def weighed_by(self) -> tuple[str, ...]:
        return self.by


class Alip(Policy, frozen=True, kw_only=True, tag="alip"):
    """By ALIP's weights: a caption that agrees with the alt text leaves it its even share, one that does not takes or gives by similarity."""

    by: Name
    """The captioner `consistency` whose facts they are weighed by."""

    def weighed_by(self) -> tuple[str, ...]:
        return (self.by,)


AnyPolicy = Alt | Uniform | Odds | Best | Alip


def choice(
    policy: Policy, alt: str, captions: Captions, facts: Mapping[str, Mapping[str, Any]], means: Means | None = None
) -> Choice:
    """What may stand for a pair.

    `captions`: of the captioners that the policy reads, in the recipe's order. `facts`: by consistency table its row (with `of`, the captioner
    that it looks at), without those that have no caption. `means`: for ALIP.
    """
    said = [(name, text) for name, texts in captions.items() for text in texts]
    texts, sources = [alt, *(text for _, text in said)], [ALT, *(name for name, _ in said)]
    if not said or isinstance(policy, Alt):
        return Choice([alt], [ALT], [1.0])
    if isinstance(policy, Best):
        similarities = _similarities(captions, facts)
        return _one(texts, sources, similarities)
    if isinstance(policy, Alip):
        row = facts.get(policy.by)
        if row is None or means is None:
            return Choice([alt], [ALT], [1.0])
        weights = alip(row["agreements"], np.full(len(said), row["alt_similarity"]), row["similarities"], means)
        # Of several captions each meets the alt text in a share of its own.
        odds = np.array([weights.alt.mean(), *(weights.caption / len(said))])
    elif isinstance(policy, Odds):
        shares = {name: policy.odds[name] for name in dict.fromkeys(sources)}
        odds = np.array([shares[name] / sources.count(name) for name in sources])
    else:
        odds = np.ones(len(texts))
    total = float(odds.sum())
    if not total > 0:
        return Choice([alt], [ALT], [1.0])
    return Choice(texts, sources, (odds / total).tolist())


def _similarities(captions: Captions, facts: Mapping[str, Mapping[str, Any]]) -> list[float]:
    """Of the alt text and each caption, -2 where nobody knows."""
    known = {row["of"]: row for row in facts.values()}
    alone = next((row["alt_similarity"] for row in facts.values()), -2.0)
    found = [alone]
    for name, texts in captions.items():
        found += known[name]["similarities"] if name in known else [-2.0] * len(texts)
    return found


def _one(texts: list[str], sources: list[str], values: list[float]) -> Choice:
    best = int(np.argmax(values))
    return Choice([texts[best]], [sources[best]], [1.0])
