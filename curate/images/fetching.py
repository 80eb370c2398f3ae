"""Fetches a shard of images with img2dataset, as it is, and gives every image back with an ending.

img2dataset brings the threads, retries and the tar writer. What it does not do is done at its edges: the opener bounds
each request (`web`), the `resizer` that it is given checks bytes and hands them on unchanged, and whatever it loses on
its way (an exception inside a sample is only printed, a failed shard leaves nothing readable) is found here by counting.
"""

import hashlib
import io
import os
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from curate.images import web
from curate.images.addresses import Addresses
from curate.images.consent import Policy
from curate.images.decoding import ImageError, decode, open_image
from curate.images.status import Ending, FetchError, heard
from curate.recipe import Download

SUFFIXES = {"jpeg": "jpg", "mpo": "jpg"}
"""Suffix of a format's files where it is not the format's name."""
_LOST = Ending("lost", None, "img2dataset returned without a word about this image")


@dataclass(frozen=True)
class Facts:
    """What the bytes themselves say."""

    nbytes: int
    sha256: str
    width: int
    height: int
    format: str
    phash: str


@dataclass(frozen=True)
class Fetched:
    """An image's ending, and its facts when it ended well."""

    ending: Ending
    facts: Facts | None = None


class Inspector:
    """The `resizer` that img2dataset is given: looks at the bytes, keeps their facts, hands them on unchanged."""

    def __init__(self, max_pixels: int):
        self._max_pixels = max_pixels
        self.facts: dict[str, Facts] = {}
        """By sha256, since img2dataset does not tell its resizer whose bytes they are."""

    def __call__(self, stream: io.BytesIO, _boxes: Any = None) -> tuple[bytes | None, Any, Any, Any, Any, str | None]:
        """(bytes, width, height, original width, original height, error message), as img2dataset wants it."""
        data = stream.getvalue()
        try:
            facts = inspect(data, self._max_pixels)
        except ImageError as error:
            return None, None, None, None, None, str(FetchError(error.status, str(error), 200))
        self.facts[facts.sha256] = facts
        return data, facts.width, facts.height, facts.width, facts.height, None


def inspect(data: bytes, max_pixels: int) -> Facts:
    """The facts of an image that decodes whole; ImageError otherwise."""
    opened = open_image(data, max_pixels)
    return Facts(
        nbytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        width=opened.width,
        height=opened.height,
        format=(opened.format or "").lower(),
        phash=perceptual_hash(data, max_pixels),
    )


def perceptual_hash(data: bytes, max_pixels: int) -> str:
    """The 64-bit pHash of the image on white (signs of the 8 x 8 lowest DCT terms around their median), 16 hex digits."""
    import imagehash

    return str(imagehash.phash(decode(data, max_pixels)))


def suffix(image_format: str) -> str:
    return SUFFIXES.get(image_format, image_format)


def limits(settings: Download) -> web.Limits:
    return web.Limits(
        addresses=Addresses.parse(settings.allow_addresses, settings.connect_to),
        max_bytes=settings.max_bytes,
        timeout=settings.timeout,
        max_seconds=settings.max_seconds,
        policy=Policy.of(settings),
    )


def fetch(
    images: Sequence[tuple[str, str]], settings: Download, store: Callable[[str, bytes], None]
) -> dict[str, Fetched]:
    """Fetches (image_uid, url) pairs; each image_uid comes back with its ending.

    `store(name, bytes)` is called for each image that ended well, in the order given, under `<image_uid>.<suffix>`.
    Raises OSError when this machine fails (a full disk): no fault of any image, and worth another run.
    """
    if not images:
        return {}
    inspector = Inspector(settings.max_pixels)
    with tempfile.TemporaryDirectory(prefix="curate-download-") as folder:
        rows, words = _download(images, settings, inspector, folder)
        missing = Ending("lost", None, words) if words else _LOST
        results, members = _results(images, rows, inspector.facts, missing)
        if members:
            _pass_on(f"{folder}/0.tar", images, results, members, store)
    return results


def _download(
    images: Sequence[tuple[str, str]], settings: Download, inspector: Inspector, folder: str
) -> tuple[list[dict[str, Any]], str | None]:
    """Runs img2dataset over one shard. Its rows, in the order in which they arrived; or none, and what it said."""
    # albumentations, which img2dataset imports, asks the network for news of itself otherwise.
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    from img2dataset.downloader import Downloader
    from img2dataset.writer import WebDatasetSampleWriter

    table = pa.table({"image_uid": [uid for uid, _ in images], "url": [url for _, url in images]})
    with pa.OSFile(f"{folder}/0.feather", "wb") as file, pa.ipc.new_file(file, table.schema) as out:
        out.write_table(table)
    bounds = limits(settings)
    downloader = Downloader(
        sample_writer_class=WebDatasetSampleWriter, resizer=inspector, thread_count=settings.threads,
        save_caption=False, extract_exif=False, output_folder=folder, column_list=["image_uid", "url"],
        timeout=settings.timeout, number_sample_per_shard=len(images), oom_shard_count=1, compute_hash="sha256",
        verify_hash_type=None, encode_format="img", retries=settings.retries, user_agent_token=settings.user_agent,
        disallowed_header_directives=None,
    )  # fmt: skip
    try:
        with web.installed(web.Opener(bounds)):
            # Not `downloader(...)`: that prints the exception of a failed shard and answers False, full disk or not.
            downloader.download_shard((0, f"{folder}/0.feather"))
        return pq.read_table(f"{folder}/0.parquet").to_pylist(), None
    except OSError:
        raise
    except Exception as error:
        return [], f"img2dataset failed: {type(error).__name__}: {error}"[:200]


def _results(
    images: Sequence[tuple[str, str]], rows: list[dict[str, Any]], facts: dict[str, Facts], missing: Ending
) -> tuple[dict[str, Fetched], dict[str, str]]:
    """Endings by image_uid for every image asked for, and the tar members of those that ended well."""
    results = {image: Fetched(missing) for image, _ in images}
    members = {}
    for row in rows:
        ending = heard(row["error_message"])
        if row["status"] == "success" and row["sha256"] in facts:
            results[row["image_uid"]] = Fetched(ending, facts[row["sha256"]])
            members[row["image_uid"]] = f"{row['key']}.img"
        elif row["status"] != "success":
            results[row["image_uid"]] = Fetched(ending)
    return results, members


def _pass_on(
    tar: str,
    images: Sequence[tuple[str, str]],
    results: dict[str, Fetched],
    members: dict[str, str],
    store: Callable[[str, bytes], None],
) -> None:
    """Hands the bytes on in the order of `images`; img2dataset's tar has them in that of their arrival.

    One image at a time is in memory. An image that its table speaks of and its tar lacks becomes lost.
    """
    with tarfile.open(tar, mode="r:") as archive:
        found = {entry.name: entry for entry in archive}
        for image, _ in images:
            facts = results[image].facts
            body = archive.extractfile(found[members[image]]) if members.get(image) in found else None
            if facts is not None and body is not None:
                store(f"{image}.{suffix(facts.format)}", body.read())
            elif facts is not None:
                results[image] = Fetched(_LOST)
