"""Reads sets of labelled images: a folder for each class, a table of paths and labels, or captions as ROCO has them.

Labels become captions by the templates of the recipe, so that one image has many texts, and each of them is a pair. Where there
is a report or a caption, only that is written: what somebody said of an image says more than its class.

`facts` of a row: `labels` (as the set writes them), what the recipe's files of facts say of the image, each under its name.
"""

from collections.abc import Iterator

import orjson
import pyarrow as pa

from curate.pools import addresses, beside, candidates, files, label_tables
from curate.pools.candidates import Account, Row, repaired
from curate.pools.inputs import Input
from curate.pools.label_tables import Labelled
from curate.recipe import Extract, Labels
from curate.texts import templates
from curate.uid import image_uid, pair_uid

TABLES = (".csv", ".tsv", ".txt", ".parquet")


def read(file: Input, settings: Extract, account: Account) -> Iterator[pa.Table]:
    """One pass over a folder of a class (its path ends in `/`), an image in one, or a table of images.

    Yields tables of the schema of `pairs`; the account is whole when it is done. Raises TableError for a table without the columns
    that it needs: that is for the recipe to say.
    """
    account.notes["files"] += 1
    yield from candidates.tables(_rows(file, settings, account))


def _rows(file: Input, settings: Extract, account: Account) -> Iterator[Row]:
    labels = (file.source.labels if file.source else None) or Labels()
    said: dict[str, dict[str, list[str]]] = {}
    if file.path.endswith("/") or files.is_image(file.path):
        found = _of_folder(file)
    elif file.path.lower().endswith(TABLES):
        said = label_tables.facts_beside(file, labels, account)
        found = label_tables.rows(file, settings, labels, account)
    else:
        account.notes["other_files"] += 1
        return
    for number, row in enumerate(found):
        account.notes["images"] += 1
        place = _place(row.image, file, labels)
        texts = _texts(row, labels)
        if place is None:
            account.dropped["no_member" if row.image else "no_url"] += max(len(texts), 1)
            continue
        member, url = place
        facts = {"labels": row.labels, **said.get(row.image, {})}
        written = orjson.dumps(
            {name: words for name, words in facts.items() if words}, option=orjson.OPT_SORT_KEYS
        ).decode()
        for kind, text in texts:
            if len(text.encode()) > settings.max_text_bytes:
                account.dropped["text_too_long"] += 1
                continue
            account.kept += 1
            yield Row(
                pair_uid(url, text), image_uid(url), url, text, kind, None, None, None,
                file.source.name if file.source else "labels", file.name, number, member, None,
                written if written != "{}" else None,
            )  # fmt: skip
        account.dropped["empty_text"] += not texts


def _of_folder(file: Input) -> Iterator[Labelled]:
    """The images of a folder, or the one at the path; their label is the folder's name."""
    folder = file.path.rstrip("/") if file.path.endswith("/") else file.path.rpartition("/")[0]
    label = folder.rpartition("/")[2]
    names = beside.names_beside(file.path) if file.path.endswith("/") else [file.path.rpartition("/")[2]]
    for name in names:
        yield Labelled(name, [label], "", "")


def _place(image: str, file: Input, labels: Labels) -> tuple[str | None, str] | None:
    """(member, URL) of an image, by what the set calls it; None for one that leads out of its folder, or to nothing."""
    if image.lower().startswith(("http://", "https://")):
        try:
            return None, addresses.absolute(image, None)
        except ValueError:
            return None
    name = "/".join(part for part in (labels.images.strip("/"), image) if part) if image else ""
    member = files.safe(name if files.is_image(name) else name + labels.suffix) if name else None
    return (member, addresses.absolute(addresses.held(file.name, member), None)) if member else None


def _texts(row: Labelled, labels: Labels) -> list[tuple[str, str]]:
    """(kind, text) of an image, each text once: its report, its caption; labels where there is neither, or both are wanted."""
    told = [("report", repaired(row.report)), ("caption", repaired(row.caption))]
    found = {text.strip(): kind for kind, text in reversed(told) if text.strip()}
    found = dict(reversed(found.items()))
    if not found or labels.report == "also":
        for text in templates.captions(row.labels, labels.templates, labels.names):
            found.setdefault(repaired(text).strip(), "label")
    return [(kind, text) for text, kind in found.items() if text]
