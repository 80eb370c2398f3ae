"""The engine `img2dataset`: fetches a shard of images with it, as it is, and gives every image back with an ending.

img2dataset brings the threads, retries and the tar writer. What it does not do is done at its edges: the opener bounds
each request (`web`), the `resizer` that it is given checks bytes and hands them on unchanged, and whatever it loses on
its way (an exception inside a sample is only printed, a failed shard leaves nothing readable) is found here by counting.
"""

import io
import os
import tarfile
import tempfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from curate.images import web
from curate.images.addresses import Addresses
from curate.images.agent import agent
from curate.images.consent import Policy
from curate.images.decoding import ImageError
from curate.images.fetched import SHA256_DIFFERS, Fetched, Trail, Wanted, differs
from curate.images.inspecting import Facts, inspect
from curate.images.status import Ending, FetchError, heard
from curate.images.urllib_connections import Limits
from curate.recipe import Download

_LOST = Ending("lost", None, "img2dataset returned without a word about this image")


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


def limits(settings: Download) -> Limits:
    return Limits(
        addresses=Addresses.parse(settings.allow_addresses, settings.connect_to, settings.contact is not None),
        max_bytes=settings.max_bytes,
        timeout=settings.timeout,
        max_seconds=settings.max_seconds,
        policy=Policy.of(settings),
        agent=agent(settings.user_agent, settings.contact),
    )


class ShardSession:
    """Runs one shard after the other. See `curate.images.fetched.Session`."""

    def __init__(self, settings: Download):
        self._settings = settings

    def start(self, images: Sequence[Wanted]) -> "ShardBatch":
        """Returns when all images are there: img2dataset knows no other way."""
        return ShardBatch(images, self._settings)

    def close(self) -> None:
        """There is nothing to end."""


class ShardBatch:
    """See `curate.images.fetched.Batch`."""

    def __init__(self, images: Sequence[Wanted], settings: Download):
        self._order = [wanted.image for wanted in images]
        self._folder = tempfile.TemporaryDirectory(prefix="curate-download-")
        try:
            self._results, self._members = _fetched(images, settings, self._folder.name)
        except BaseException:
            self._folder.cleanup()
            raise

    def result(self) -> dict[str, Fetched]:
        return self._results

    def bodies(self, images: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """From img2dataset's tar, which has them in the order of their arrival."""
        if not self._members:
            return
        with tarfile.open(f"{self._folder.name}/0.tar", mode="r:") as archive:
            found = {entry.name: entry for entry in archive}
            for image in self._order:
                body = (
                    archive.extractfile(found[self._members[image]])
                    if image in images and image in self._members
                    else None
                )
                if body is not None:
                    yield image, body.read()

    def close(self) -> None:
        self._folder.cleanup()


def _fetched(images: Sequence[Wanted], settings: Download, folder: str) -> tuple[dict[str, Fetched], dict[str, str]]:
    """Endings by image_uid for every image asked for, and the tar members of those that ended well."""
    if not images:
        return {}, {}
    inspector = Inspector(settings.max_pixels)
    rows, trails, words = _download(images, settings, inspector, folder)
    results = {wanted.image: Fetched(Ending("lost", None, words) if words else _LOST) for wanted in images}
    known = {wanted.image: wanted for wanted in images}
    in_tar = _members(f"{folder}/0.tar")
    members = {}
    for row in rows:
        wanted, ending = known[row["image_uid"]], heard(row["error_message"])
        trail, member = trails.get(wanted.url, Trail()), f"{row['key']}.img"
        if row["status"] != "success":
            results[wanted.image] = Fetched(ending, None, trail)
        elif row["sha256"] in inspector.facts and member in in_tar:
            # An image that its table speaks of and its tar lacks stays lost.
            facts = inspector.facts[row["sha256"]]
            trail = replace(trail, nbytes=facts.nbytes)
            if settings.sha256_mismatch == "drop" and differs(facts, wanted.known):
                other = FetchError(SHA256_DIFFERS, "the bytes are others than the source has seen", 200).ending
                results[wanted.image] = Fetched(other, None, trail)
            else:
                results[wanted.image], members[wanted.image] = Fetched(ending, facts, trail), member
    return results, members


def _members(tar: str) -> set[str]:
    if not os.path.exists(tar):
        return set()
    with tarfile.open(tar, mode="r:") as archive:
        return set(archive.getnames())


def _download(
    images: Sequence[Wanted], settings: Download, inspector: Inspector, folder: str
) -> tuple[list[dict[str, Any]], dict[str, Trail], str | None]:
    """Runs img2dataset over one shard. Its rows, in the order in which they arrived; or none, and what it said."""
    # albumentations, which img2dataset imports, asks the network for news of itself otherwise.
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    from img2dataset.downloader import Downloader
    from img2dataset.writer import WebDatasetSampleWriter

    table = pa.table({"image_uid": [w.image for w in images], "url": [w.url for w in images]})
    with pa.OSFile(f"{folder}/0.feather", "wb") as file, pa.ipc.new_file(file, table.schema) as out:
        out.write_table(table)
    opener = web.Opener(limits(settings))
    downloader = Downloader(
        sample_writer_class=WebDatasetSampleWriter, resizer=inspector, thread_count=settings.threads,
        save_caption=False, extract_exif=False, output_folder=folder, column_list=["image_uid", "url"],
        timeout=settings.timeout, number_sample_per_shard=len(images), oom_shard_count=1, compute_hash="sha256",
        verify_hash_type=None, encode_format="img", retries=settings.retries, user_agent_token=settings.user_agent,
        disallowed_header_directives=None,
    )  # fmt: skip
    try:
        with web.installed(opener):
            # Not `downloader(...)`: that prints the exception of a failed shard and answers False, full disk or not.
            downloader.download_shard((0, f"{folder}/0.feather"))
        return pq.read_table(f"{folder}/0.parquet").to_pylist(), opener.trails, None
    except OSError:
        raise
    except Exception as error:
        return [], opener.trails, f"img2dataset failed: {type(error).__name__}: {error}"[:200]
