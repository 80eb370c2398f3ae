"""Where the pool is, and how its files are read."""

from typing import Annotated, ClassVar, Literal

import msgspec

from curate.settings import Count, Limit, Name, Positive, Settings
from curate.store import nearest
from curate.weights import Model


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


class Slides(Settings, frozen=True, kw_only=True):
    """Which windows of whole-slide images are taken; see `curate.pools.slides`."""

    side: Annotated[int, msgspec.Meta(ge=16, le=8192)] = 672
    """Pixels at full resolution."""
    min_tissue: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.5
    """Share of a window that has to be exceeded by stained pixels."""
    per_slide: Count = 256
    model: Model | None = None
    """A CLIP-like model that chooses; without one windows are drawn by hash."""
    prompts: tuple[str, ...] = ()
    """What is retrieved: classes, or sentences of reports."""
    text: str = "a histopathology slide, {slide}"
    """Alt text of every window; `{slide}` is the file's name. Captioners say more."""


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
        from curate.texts import templates

        templates.check(self.templates)
        for ours in self.columns:
            if ours not in templates.COLUMNS:
                raise ValueError(f"labels.columns: {ours!r} is none of ours: {nearest(ours, templates.COLUMNS)}")


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
    reader: Literal["auto", "archive", "table", "tar", "pmc", "labels", "slides"] = "auto"
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
    slides: Slides | None = None
    """For the reader `slides`."""
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
