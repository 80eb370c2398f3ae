"""Writes one shard: a WebDataset tar, its Parquet index and its stats; and the files for loaders beside all shards.

A sample's members are adjacent, its key is the image's uid (no dots, no capitals), suffixes are lower case, times
are zero: the same samples give the same bytes.
"""

import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import msgspec
import pyarrow as pa

from curate.images.archive import ArchiveWriter
from curate.images.blurring import reencoded
from curate.images.decoding import ImageError, decode
from curate.ledger import Ledger
from curate.parts import committed
from curate.shards import balance
from curate.shards.samples import FACES, Sample
from curate.store import ROW_GROUP, Dataset, Part, Plan

SUFFIX = {"jpeg": "jpg", "mpo": "jpg", "png": "png", "webp": "webp"}
"""Formats that every loader of the field reads, with their suffix. open_clip's passes over samples with any other
one in silence, so an image of another format is written as PNG (its `format` in the json says what was fetched)."""

PARALLEL = {"texts": "text", "uids": "uid", "langs": "lang", "text_entries": "entries", "keep_probabilities": "keep_probability"}  # fmt: skip
"""Lists of a sample's json over all selected texts of its image, in one order; and what each is a list of."""
INDEXED = ("uid", "image_uid", "url", "text", "lang", "entries", "keep_probability", "sha256", "width", "height")
"""What the index says of a sample's chosen text and its image."""


def write_shard(shard: str, samples: Iterable[Sample], target: Dataset, plan: Plan) -> Part:
    """Writes `<shard>.tar`, `<shard>_stats.json` and, as the commit, `<shard>.parquet`. Returns its record."""
    ledger, index = Ledger(), []
    with target.sidecar(f"{shard}.tar") as file:
        tar = ArchiveWriter(file)
        for sample in samples:
            others = {"other_text": len(sample.rows) - 1} if len(sample.rows) > 1 else {}
            if sample.data is None:
                ledger += Ledger(rows_in=len(sample.rows), failed={"image_missing": len(sample.rows)})
                continue
            if FACES in sample.chosen and sample.chosen[FACES] is None:
                ledger += Ledger(rows_in=len(sample.rows), failed={"faces_unknown": len(sample.rows)})
                continue
            try:
                files = list(members(sample))
            except ImageError:
                ledger += Ledger(rows_in=len(sample.rows), failed={"undecodable": len(sample.rows)})
                continue
            ledger += Ledger(rows_in=len(sample.rows), kept=1, dropped=others)
            for suffix, data in files:
                tar.add(f"{sample.image_uid}.{suffix}", data)
            index.append(index_row(shard, sample))
        tar.close()
    stats = {"count": len(index), "successes": len(index), "failed_to_download": 0, "failed_to_resize": 0}
    expected = balance.expected(row["keep_probabilities"] for row in index)
    target.put(f"{shard}_stats.json", _json(stats | {"pairs": ledger.rows_in, "expected_samples": expected}))
    with target.write_part(shard, plan.hash, ledger) as out:
        rows = iter(index)
        while batch := list(islice(rows, ROW_GROUP)):
            out.write(pa.Table.from_pylist(batch, schema=_index_schema()))
    return committed(target, shard, plan)


def members(sample: Sample) -> Iterator[tuple[str, bytes]]:
    """(suffix, bytes) of a sample's members, the image first: as it was fetched, as an RGB PNG, or with its faces blurred.

    Raises ImageError when an image that must be packed anew does not decode.
    """
    chosen = sample.chosen
    assert sample.data is not None
    facts: dict[str, Any] = {"key": sample.image_uid} | {
        name: value for name, value in chosen.items() if name != "choice"
    }
    suffix, data = SUFFIX.get(chosen["format"], "png"), sample.data
    if chosen.get(FACES):
        data = reencoded(data, chosen[FACES])
        facts["sha256_blurred"] = hashlib.sha256(data).hexdigest()
    elif chosen["format"] not in SUFFIX or deep_grey(data):
        out = io.BytesIO()
        decode(data).save(out, "PNG")
        data = out.getvalue()
    facts |= {name: [row[of] for row in sample.rows] for name, of in PARALLEL.items()}
    if "choice" in chosen:
        facts |= captioned(sample)
    yield suffix, data
    yield "json", _json(facts)
    yield "txt", text_of(sample).encode()


def deep_grey(data: bytes) -> bool:
    """Whether bytes are a PNG of 16-bit grey, of which loaders make a white picture (Pillow's `convert` cuts off what is above 255)."""
    return data[:8] == b"\x89PNG\r\n\x1a\n" and data[12:16] == b"IHDR" and data[24:26] == b"\x10\x00"


def text_of(sample: Sample) -> str:
    """What stands in the sample's `.txt`."""
    return sample.chosen["text"] if sample.text is None else sample.text


def captioned(sample: Sample) -> dict[str, Any]:
    """What a sample's json says of captions.

    `captions` are those of the chosen pair; each also stands by itself, as `caption_<captioner>`, `caption_<captioner>_2`, ...: open_clip's
    `--json-text-key` reads a string, the first of several keys that is there. `choices`, `choice_sources` and `odds` are the text policy: of
    each of `texts` what may stand for it.
    """
    chosen = sample.chosen
    single = {
        f"caption_{name}" + (f"_{index + 1}" if index else ""): text
        for name, texts in chosen["captions"].items()
        for index, text in enumerate(texts)
    }
    choices = [row["choice"] for row in sample.rows]
    return single | {
        "text": text_of(sample),
        "text_source": sample.source,
        "alt_text": chosen["text"],
        "captions": chosen["captions"],
        "regions": chosen["regions"],
        "captions_of_texts": [row["captions"] for row in sample.rows],
        "choices": [one.texts for one in choices],
        "choice_sources": [one.sources for one in choices],
        "odds": [one.odds for one in choices],
    }


def index_row(shard: str, sample: Sample) -> dict[str, Any]:
    chosen = sample.chosen
    lists = {name: [row[PARALLEL[name]] for row in sample.rows] for name in ("texts", "uids", "keep_probabilities")}
    named = {name: chosen[name] for name in INDEXED} | {"text": text_of(sample)}
    return named | {"key": sample.image_uid, "shard": f"{shard}.tar"} | lists


def finish(target: Dataset, parts: Sequence[Part], card: str) -> None:
    """Writes what loaders and people look for: `sizes.json` (open_clip), `_info.json` (timm) and the card."""
    sizes = {f"{part.name}.tar": part.rows for part in parts}
    train = {"num_samples": sum(sizes.values()), "filenames": list(sizes), "shard_lengths": list(sizes.values())}
    target.put("sizes.json", _json(sizes))
    target.put("_info.json", _json({"splits": {"train": train}}))
    target.put("README.md", card.encode())


def _index_schema() -> pa.Schema:
    from curate import schema

    return schema.load("shards").arrow()


def _json(value: Any) -> bytes:
    return msgspec.json.encode(value, order="deterministic")
