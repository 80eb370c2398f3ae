"""Reads a shard of img2dataset or WebDataset as a pool: images at hand, with the texts beside them.

A sample is what has one key, everything before the first dot of the name, folder included, as webdataset has it. Its members stand
together, as the format demands: readers of shards take what stands apart for two samples. A key that comes again is not joined, or a
training on the same tar would see other samples than the pool has; it is counted (`repeated_keys`), and its place is said.
"""

from collections.abc import Iterator
from itertools import groupby, islice
from typing import Any, BinaryIO, NamedTuple

import fsspec
import orjson
import pyarrow as pa
import xxhash

from curate import schema
from curate.pools import candidates, files, table_json
from curate.pools.addresses import absolute, held
from curate.pools.candidates import Account, Row, repaired
from curate.pools.inputs import Input
from curate.pools.pages import KINDS
from curate.pools.table_columns import TAKEN
from curate.pools.tar_members import members
from curate.recipe import Extract
from curate.uid import image_uid, pair_uid

SUFFIXES = (".tar",)
IMAGES = ("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "avif", "img")
TEXTS = ("txt", "text", "caption", "json", "cls")
MAX_KEYS = 2**20
"""Keys of a file that are remembered, to tell which come again."""
MAX_MEMBERS = 1000
"""Members of one sample; a hostile tar may have one key for all."""
MAX_FACT = 1024
"""Characters of a text that is kept as a fact."""
MAX_WORDS = 16
"""Values of a list that is kept as one; embeddings and reference lists are longer."""
_APART = "came before: members of a sample must stand together. Unpack the tar and pack it again with `tar --sort=name`"


class Part(NamedTuple):
    """A member of a sample that is read: an image or a text."""

    name: str
    stem: str
    """Its name without the suffix."""
    suffix: str
    offset: int
    size: int


def read(file: Input, settings: Extract, account: Account) -> Iterator[pa.Table]:
    """One pass over a shard: tables of the schema of `pairs`; the account is whole when it is done."""
    account.notes["files"] += 1
    yield from candidates.tables(_rows(file, settings, account))


def _rows(file: Input, settings: Extract, account: Account) -> Iterator[Row]:
    seen: set[int] = set()
    with fsspec.open(file.path, "rb") as opened:
        for key, parts in groupby(_parts(opened, file, account), key=lambda found: found[0]):
            sample = [part for _, part in islice(parts, MAX_MEMBERS)]
            account.notes["other_members"] += sum(1 for _ in parts)
            name = xxhash.xxh3_64_intdigest(key.encode())
            if name in seen:
                account.notes["repeated_keys"] += 1
                account.broken(file.name, sample[0].offset, f"{key[:60]!r} {_APART}")
            if len(seen) < MAX_KEYS:
                seen.add(name)
            yield from _sample(key, sample, opened, file, settings, account)


def _parts(opened: BinaryIO, file: Input, account: Account) -> Iterator[tuple[str, Part]]:
    """(key, member) of each image and text, in order."""
    for info in members(opened, file.name, file.length(opened), account):
        name = repaired(info.name)
        folder, slash, base = name.rpartition("/")
        key, dot, _ = base.partition(".")
        stem, _, suffix = base.rpartition(".")
        if info.isdir():
            continue
        if not (info.isreg() and not info.issparse() and files.safe(name) == name.removeprefix("./")):
            account.notes["unsafe_members"] += 1
        elif not (key and dot and suffix.lower() in (*IMAGES, *TEXTS)):
            account.notes["other_members"] += 1
        else:
            yield folder + slash + key, Part(name, folder + slash + stem, suffix.lower(), info.offset_data, info.size)


def _sample(
    key: str, parts: list[Part], opened: BinaryIO, file: Input, settings: Extract, account: Account
) -> Iterator[Row]:
    images = [part for part in parts if part.suffix in IMAGES]
    texts = [part for part in parts if part.suffix not in IMAGES]
    account.notes["images"] += len(images)
    account.dropped["no_image"] += not images
    shared = {part.stem for part in images} if len(images) > 1 else set()
    said: dict[str, dict[str, Any]] = {}
    for image in images:
        # Keys with dots: of several images each has what is called as it is (`a.v1.jpg`, `a.v1.txt`), and what is called as none.
        own = [part for part in texts if not shared or part.stem == image.stem or part.stem not in shared]
        about: dict[str, Any] = {}
        for part in own:
            if part.name not in said:
                said[part.name] = _said(part, opened, settings, account)
            for name, value in said[part.name].items():
                about.setdefault(name, value)
        yield from _pairs(image, about, file, settings, account)


def _said(part: Part, opened: BinaryIO, settings: Extract, account: Account) -> dict[str, Any]:
    """What a text of a sample says, by name; the kinds of texts are names too."""
    if part.size > settings.max_record_bytes:
        account.failed["bad_record"] += 1
        return {}
    opened.seek(part.offset)
    data = opened.read(part.size)
    if part.suffix != "json":
        text = repaired(data.decode("utf-8", "replace").removeprefix("\ufeff")).strip()
        return {"cls": text[:MAX_FACT]} if part.suffix == "cls" else {"text": text}
    found = table_json.row_of(data)
    if found is None:
        account.failed["bad_record"] += 1
    return found or {}


def _pairs(image: Part, about: dict[str, Any], file: Input, settings: Extract, account: Account) -> Iterator[Row]:
    """The candidates of an image; a text that cannot be taken goes to the account, and so does an image without one."""
    known = schema.load("pairs")
    ours = known.renames(list(about))
    plain = {ours.get(name, name): value for name, value in about.items()}
    url = _url(plain.get("url"), settings) or held(file.name, image.name)
    sha256, uid = (_hex(plain.get(name), size) for name, size in (("known_sha256", 64), ("uid", 32)))
    texts = _texts(about, ours)
    uid = uid if len(texts) < 2 else None
    page = _url(plain.get("page_url"), settings)
    source = file.source.name if file.source else "tar"
    said = _facts(about, ours, image.size)
    for text, kind in texts.items() or [("", "alt")]:
        if not text or len(text.encode()) > settings.max_text_bytes:
            account.dropped["text_too_long" if text else "empty_text"] += 1
            continue
        account.kept += 1
        account.notes["texts_repaired"] += "\ufffd" in text
        yield Row(uid or pair_uid(url, text), image_uid(url), url, text, kind, page, None, None, source, file.name,
                  image.offset, image.name, sha256, said)  # fmt: skip


def _texts(about: dict[str, Any], ours: dict[str, str]) -> dict[str, str]:
    """Distinct texts of a sample with the first kind of each: of `.txt` and `.caption`, and each column of a text in `.json`."""
    found: dict[str, str] = {}
    aliases = schema.load("pairs").columns["text"].aliases
    given = [(name.lower() if name.lower() in KINDS else "caption", about.get(name)) for name in ("text", *aliases)]
    several = about.get("captions")
    given += [("caption", value) for value in several] if isinstance(several, list) else []
    for kind, value in sorted(given, key=lambda entry: KINDS.index(entry[0])):
        text = repaired(value).strip() if isinstance(value, str) else ""
        if text:
            found.setdefault(text, kind)
    return found


def _url(value: Any, settings: Extract) -> str | None:
    """An absolute http URL within the limit; the image is at hand, so that none is no fault."""
    try:
        url = absolute(value, None) if isinstance(value, str) else ""
    except ValueError:
        return None
    return url if url.startswith(("http://", "https://")) and len(url) <= settings.max_url_bytes else None


def _hex(value: Any, digits: int) -> str | None:
    text = value.lower() if isinstance(value, str) else ""
    return text if len(text) == digits and not set(text) - set("0123456789abcdef") else None


def _facts(about: dict[str, Any], ours: dict[str, str], size: int) -> str:
    """What else a sample says, scalars and short lists of them (BIOMEDICA's labels), and the size of its image in bytes."""
    used = {"text", "captions", *TAKEN, *ours, *schema.load("pairs").columns["text"].aliases}
    plain = {repaired(name): _plain(value) for name, value in about.items() if name not in used and _is_fact(value)}
    try:
        return orjson.dumps(plain | {"nbytes": size}, option=orjson.OPT_SORT_KEYS).decode()
    except TypeError:  # an integer of more than 64 bits
        return orjson.dumps({"nbytes": size}).decode()


def _is_fact(value: Any) -> bool:
    if isinstance(value, list):
        return 0 < len(value) <= MAX_WORDS and all(not isinstance(one, list) and _is_fact(one) for one in value)
    return isinstance(value, int | float) or (isinstance(value, str) and len(value) <= MAX_FACT)


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return repaired(value) if isinstance(value, str) else value
