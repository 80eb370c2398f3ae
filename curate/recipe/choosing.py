"""Which images are one, which pairs stay, and what goes into shards."""

from typing import Annotated, ClassVar, Literal

import msgspec

from curate.settings import Count, Limit, Name, Settings, Share
from curate.shards.policies import Alt, AnyPolicy
from curate.shards.reinforcement import Embed, ExportRegions, Reinforce


class Dedup(Settings, frozen=True, kw_only=True):
    runtime: ClassVar[tuple[str, ...]] = ("device",)

    exact: bool = True
    """Images of the same bytes are one. Equal bytes have equal perceptual hashes: false needs phash_distance -1."""
    phash_distance: Annotated[int, msgspec.Meta(ge=-1, le=15)] = 4
    """Greatest Hamming distance of two 64-bit perceptual hashes of one picture; -1 turns this off."""
    semantic_epsilon: Share = 0.0
    """Images with an embedding cosine above 1 - epsilon are neighbours; 0 turns this off."""
    semantic_rule: Literal["components", "greedy", "semdedup"] = "components"
    """Who of the neighbours goes; see `curate.duplicates.rules`. In a chain a ~ b ~ c, where a and c are no neighbours, b and c
    go by components and semdedup, b alone by greedy."""
    semantic_model: Name | None = None
    """Name of the scored model whose image embeddings are compared."""
    semantic_clusters: Limit = 0
    """k of the k-means that bounds the comparisons, at least: clusters that would be too large are split. 0: chosen from the
    number of images."""
    text_similarity: Share = 0.0
    """Pairs whose texts have at least this Jaccard similarity of character 5-grams are one, whatever their images: the most similar to
    its image is kept; 0 turns this off. See `curate.duplicates.texts`."""
    evaluation_cosine: Literal["calibrated"] | float | None = None
    """Images whose embedding by `semantic_model` has a cosine above it with that of an evaluation image are held by its set (DataComp:
    0.604169 for the ISC model). `calibrated`: found on copies of evaluation images that are cropped, scaled, compressed, written over
    and mirrored; the manifest says what it is. Null turns this off; bytes and perceptual hashes are compared at any rate."""
    evaluation_recall: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.95
    """Share of the planted copies that the calibrated cosine is to find."""
    evaluation_strangers: Share = 0.05
    """Share of the evaluation images that may have another one of them above it. A model that takes more for copies would drop the
    pool with them, and is refused."""
    keep: Literal["largest", "best_score", "oldest"] = "largest"
    """Who stands for images that are the same, after what the curated set has: the one with the longest shorter side; with the
    best score of `semantic_model`; or the one that the pool names first, files in the order of their names (Common Crawl's begin with
    the time of the crawl) and then by place. Ties go to the score, then to the size, then to the smallest uid."""
    keep_date: str | None = None
    """Fact of the pairs that holds a date as ISO 8601 writes it (`2019-05-07`), for keep: oldest; pairs without one come last."""
    device: str = "auto"
    """Where embeddings are compared: `auto` takes a GPU where a worker has one."""

    def __post_init__(self) -> None:
        if self.semantic_epsilon and not self.semantic_model:
            raise ValueError(
                f"semantic_epsilon is {self.semantic_epsilon}, but semantic_model names no model of score.models"
            )
        if self.evaluation_cosine is not None and not self.semantic_model:
            raise ValueError(
                f"evaluation_cosine is {self.evaluation_cosine}, but semantic_model names no model of score.models"
            )
        if not self.exact and self.phash_distance >= 0:
            raise ValueError(
                f"exact is false, but phash_distance is {self.phash_distance}, and equal bytes have equal perceptual hashes: "
                "set phash_distance to -1 too, or leave exact out"
            )
        if self.keep == "best_score" and not self.semantic_model:
            raise ValueError("keep is best_score, but semantic_model names no model of score.models to score by")
        if self.keep_date and self.keep != "oldest":
            raise ValueError(f"keep_date is {self.keep_date!r}, and keep is {self.keep}: set keep to oldest")


Value = str | bool | int


class Rule(Settings, frozen=True, kw_only=True):
    """One rule of the selection; the limits that its kind does not use stay unset. Kinds are in `curate.selection.rules`.

    A column is written `<dataset>.<column>`: `clip.similarity_score` of `scores/clip`, `images.width`, or `width` of `images`.
    """

    rule: str
    label: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | None = None
    """What `selection` and the report call it; by default the rule in words."""
    column: str | None = None
    min: float | None = None
    max: float | None = None
    """`min` and `max` may be reached; `above` and `below` may not. Compared in the column's own type."""
    above: float | None = None
    below: float | None = None
    min_of: dict[str, float] = {}
    """`min` by the value of the column `per`; `min` is that of others."""
    max_of: dict[str, float] = {}
    top_fraction: Share | None = None
    """Of the rows that entered the stage, whatever other rules say."""
    top_fraction_of: dict[str, Share] = {}
    per: str | None = None
    """Column whose values each have a top fraction or limits of their own (`lang`, `source`)."""
    values: tuple[Value, ...] = ()
    at_most: Count | None = None
    """Rows of one value of `column` that may stay, of those that the rules before have kept."""
    best_by: str | None = None
    """Column whose greatest values stay; by default chance decides, by the recipe's seed and the uid."""
    model: Name | None = None
    languages: tuple[str, ...] = ()
    where: dict[str, Value | tuple[Value, ...]] = {}
    """The rule holds for rows with these values alone, by column (`{lang: [en, de]}`); others pass."""
    missing: Literal["drop", "keep"] = "drop"
    """What becomes of a row that has no value in the column."""
    branches: tuple["Branch", ...] = ()
    """Lists of rules, of `any`, `all` and `not`."""

    def __post_init__(self) -> None:
        """ValueError for limits between which nothing lies."""
        lows = [(value, name) for name in ("min", "above") if (value := getattr(self, name)) is not None]
        highs = [(value, name) for name in ("max", "below") if (value := getattr(self, name)) is not None]
        for low, left in lows:
            for high, right in highs:
                if low > high or (low == high and (left, right) != ("min", "max")):
                    raise ValueError(
                        f"rule {self.rule}: {left} is {low:g} and {right} is {high:g}: nothing lies between"
                    )


class Branch(Settings, frozen=True, kw_only=True):
    """A list of rules inside a rule, as `select` has one."""

    preset: str | None = None
    rules: tuple[Rule, ...] = ()


class Select(Settings, frozen=True, kw_only=True):
    preset: str | None = None
    """A named list of rules (`basic`, `clip_score`, ...; `curate plan select --presets` lists them), taken before `rules`."""
    rules: tuple[Rule, ...] = ()
    """In order; each row keeps the first rule that dropped it. A rule that the preset has too replaces it there."""
    model: Name | None = None
    """Of `score.models`, the one that is meant where a rule names none; by default the only one."""
    clusters: Name = "clusters"
    """The score that presets take an image's cluster from."""
    why: Literal["first", "all"] = "first"
    """all: the column `rules` of `selection` holds all rules that would have dropped a row."""


class Shard(Settings, frozen=True, kw_only=True):
    samples: Count = 10_000
    """Samples a shard."""
    text: Literal["first", "best", "draw"] = "best"
    """Which of an image's selected texts goes into `.txt`: the first by uid, the most similar (without score.models the first), or one drawn by
    hash."""
    captions: AnyPolicy = Alt()
    """With which odds the alt text and its captions stand for a pair (`{policy: uniform}`); see `curate.shards.policies`."""
    reinforce: Reinforce | None = None
    """Augmentations and teachers' embeddings beside the curated shards (DataCompDR)."""
    regions: ExportRegions | None = None
    """Region-text rows beside the curated shards, of captioners `regions` (CLOC)."""
    embeddings: tuple[Embed, ...] = ()
    """Embeddings of all texts beside the curated shards (LLM2CLIP)."""
    blur_faces: Name | None = None
    """Name of a scorer `faces` of score.scorers: what it found is blurred, with DataComp's margins, and such images are packed anew."""
    workers: Count = 2
    runtime: ClassVar[tuple[str, ...]] = ("workers", "reinforce", "embeddings", "regions")
