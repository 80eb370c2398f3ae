"""The card of a set of shards: front matter for machines, a page for people."""

from collections.abc import Sequence

from curate.recipe import Recipe
from curate.shards.balance import Balance
from curate.store import Part

READING = """import webdataset as wds
pairs = wds.WebDataset("{path}", shardshuffle=False).decode("pil").to_tuple("jpg;png;webp", "txt")
image, text = next(iter(pairs))"""
"""The three lines that read a set of shards; `{path}` is a path with braces."""


def pattern(root: str, shards: int) -> str:
    """Path of all shards in the notation of WebDataset, `root/{00000..00002}.tar`."""
    return f"{root}/{{00000..{shards - 1:05d}}}.tar" if shards > 1 else f"{root}/00000.tar"


def warnings_for(parts: Sequence[Part], workers: int = 8) -> list[str]:
    """What a training with several workers should know before it hangs or starves."""
    sizes = [part.rows for part in parts]
    said = []
    if not sizes or not sum(sizes):
        said.append("no sample was written: every pair was dropped or failed; the report says why")
    elif len(sizes) < workers:
        said.append(
            f"{len(sizes)} shard{'s' if len(sizes) > 1 else ''}, so no more loader workers than that can read at a time, over all processes; "
            "lower shard.samples for more of them"
        )
    return said


FIELDS = """| in `.json` | what it is |
|---|---|
| `text`, `uid`, `lang` | the chosen text, also in `.txt`; its pair; its language |
| `entries` | ids of the metadata entries that stand in it, in its language's list |
| `keep_probability` | 1 - product over its entries of (1 - t / max(t, count)) |
| `texts`, `uids`, `langs`, `text_entries`, `keep_probabilities` | the same of all texts of the image, lists in one order |

The index (`NNNNN.parquet`) has a row per image with `texts`, `uids`, `keep_probabilities` and, of the chosen text, `lang`, `entries` and
`keep_probability`. Entries and probabilities are null where a text was not matched."""
"""What a sample's json and the index say of texts and their balance."""


def balance_of(kind: str, balance: Balance) -> str:
    """A sentence on what balance has done to a set, and what it leaves to the reader."""
    if kind == "raw":
        return "The set is not balanced: it is what balanced sets are compared with."
    if not balance.online:
        return "The set is balanced: each text was kept by a draw below its `keep_probability`. Do not draw again."
    size = "" if balance.expected_samples is None else f", about {balance.expected_samples:,.0f} images each time"
    return (
        "The set is **not balanced yet**: it holds every matched text, for the loader to draw from. Each epoch, take a text where a fresh uniform "
        f"number is below its `keep_probability`, and an image with the texts that were taken{size}. `train.online_balance` does this."
    )


def faces_of(recipe: Recipe) -> str:
    """What the card says of faces, where they are blurred."""
    if recipe.shard.blur_faces is None:
        return ""
    return (
        "Faces that a detector found (`face_bboxes`: left, top, right, bottom, relative to the image) are blurred, and such images packed anew; "
        "`sha256` is of the image as fetched, `sha256_blurred` of what is here. A detector overlooks some. "
    )


def card(recipe: Recipe, kind: str, parts: Sequence[Part], balance: Balance, root: str = ".") -> str:
    """README.md of a set, in Markdown."""
    images, pairs = sum(part.rows for part in parts), sum(part.ledger.rows_in for part in parts)
    size = sum(part.bytes for part in parts)
    origin = {
        "curated": f"matched against metadata, {'' if balance.online else 'balanced, '}fetched, scored, freed of duplicates and selected",
        "raw": "the raw baseline: drawn by hash from the whole pool and fetched, less images of evaluation sets",
    }[kind]
    return f"""---
pretty_name: {recipe.name} ({kind})
task_categories: [image-to-text, zero-shot-image-classification]
annotations_creators: [found]
size_categories: [{"n<1K" if images < 1000 else "1K<n<10K" if images < 10_000 else "10K<n<100K" if images < 100_000 else "n>100K"}]
configs:
- config_name: default
  data_files: "*.tar"
---
# {recipe.name} ({kind})

{images:,} images with {pairs:,} texts in {len(parts)} shards ({size:,} bytes of index). Made from web pages: {origin}.

Every sample has the image as fetched (as PNG where loaders do not read its format), `.txt` with the chosen text, and `.json` with all selected texts, its URL, the page,
sizes, sha256 and scores. {faces_of(recipe)}{balance_of(kind, balance)} The images belong to their owners; the pages' licences are not known here and go with each picture.

```python
{READING.format(path=pattern(root, len(parts)))}
```

{FIELDS}
"""
