"""Tables of labelled images: CSV and Parquet with a header, and ROCO's `captions.txt`, which has none."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from curate import CurateError
from curate.hints import nearest
from curate.pools.candidates import Account
from curate.pools.inputs import Input
from curate.pools.table_blocks import delimited
from curate.recipe import Extract, Labels

ALIASES = {
    "image": ("image", "path", "image_path", "file", "filepath", "file_name", "filename", "image index", "image_id", "img",
              "roco_id", "name", "id"),
    "label": ("label", "labels", "class", "category", "finding labels", "finding_labels", "diagnosis"),
    "report": ("report", "report_text", "impression"),
    "caption": ("caption", "text", "description"),
}  # fmt: skip
"""Our column: what tables call it, in any case of letters; the first that a table has."""
ON, OFF = (
    frozenset(["1", "1.0", "true", "yes"]),
    frozenset(["0", "0.0", "-1", "-1.0", "false", "no", "nan", "none", "null", ""]),
)
"""Values of a column that is a label by itself (CheXpert's -1 is: uncertain); others are labels."""
MAX_FILE = 64 * 2**20
MAX_FACTS, MAX_FACT = 50, 200
"""Words that a file of facts says of an image, and characters of each."""
_ROWS = 4096


class TableError(CurateError, ValueError):
    """A table that has no column for the image, or none that says anything of it; the message says what would be one."""


class Labelled(NamedTuple):
    """One row of a table."""

    image: str
    labels: list[str]
    report: str
    caption: str


def rows(file: Input, settings: Extract, labels: Labels, account: Account) -> Iterator[Labelled]:
    """The rows of a table in order. Raises TableError; rows that cannot be parsed are `bad_row`s."""
    with fsspec.open(file.path, "rb") as opened:
        if file.path.lower().endswith(".parquet"):
            found = _parquet(opened, file, account)
        else:
            found = _text(opened, file, settings, account)
        columns: dict[str, list[str]] | None = None
        for table in found:
            columns = columns or resolve(table.schema.names, labels, file.path)
            wanted = [name for names in columns.values() for name in names]
            for row in table.select(list(dict.fromkeys(wanted))).to_pylist():
                yield _row(row, columns, labels)


def resolve(names: Sequence[str], labels: Labels, where: str) -> dict[str, list[str]]:
    """The columns of a table by what they are to us. Raises TableError."""
    by_name = {name.strip().lower(): name for name in reversed(names)}
    found: dict[str, list[str]] = {}
    for ours, aliases in ALIASES.items():
        given = labels.columns.get(ours)
        if given is not None and given not in names:
            raise TableError(f"{where}: labels.columns takes {given!r} for {ours}: {nearest(given, names)}")
        found[ours] = [given] if given else [by_name[alias] for alias in aliases if alias in by_name][:1]
    for name in labels.label_columns:
        if name not in names:
            raise TableError(f"{where}: labels.label_columns has {name!r}: {nearest(name, names)}")
    found["label"] = list(labels.label_columns) or found["label"]
    if not found["image"] or not (found["label"] or found["report"] or found["caption"]):
        missing = "image" if not found["image"] else "label"
        raise TableError(
            f"{where}: no column is the {missing}; the table has {', '.join(names)}, and known are "
            f"{', '.join(ALIASES[missing])}. Name it in the recipe: labels: {{columns: {{{missing}: ...}}}}"
        )
    return found


def facts_beside(file: Input, labels: Labels, account: Account) -> dict[str, dict[str, list[str]]]:
    """{image: {fact: words}} of the files of facts beside a table (ROCO's keywords.txt, cuis.txt, licences.txt).

    A line is an image and what is said of it, parted by tabs or else commas. They are held in memory; one that is longer than
    MAX_FILE bytes, or not there, is left out, and noted.
    """
    found: dict[str, dict[str, list[str]]] = {}
    for fact, name in sorted(labels.facts.items()):
        data = _beside(file, name)
        account.notes["fact_files_left_out"] += data is None
        for line in (data or b"").decode("utf-8", "replace").splitlines():
            image, *words = line.split("\t" if "\t" in line else ",")
            kept = [word.strip()[:MAX_FACT] for word in words if word.strip()][:MAX_FACTS]
            if kept:
                found.setdefault(image.strip(), {})[fact] = kept
    return found


def marks(file: Input) -> dict[str, str]:
    """What is in the files of facts beside a table, by name: they are part of what comes out."""
    labels = file.source.labels if file.source else None
    held = {name: _beside(file, name) for name in sorted(labels.facts.values())} if labels else {}
    return {
        f"{name} beside {file.name}": f"{len(data)} bytes, {xxhash.xxh3_128_hexdigest(data)}"
        for name, data in held.items()
        if data is not None
    }


def _beside(file: Input, name: str) -> bytes | None:
    """The bytes of a file beside a table; None for one that is not there or longer than MAX_FILE."""
    fs, plain = fsspec.core.url_to_fs(f"{file.path.rpartition('/')[0]}/{name}")
    return bytes(fs.cat_file(plain)) if fs.exists(plain) and fs.size(plain) <= MAX_FILE else None


def _row(row: Mapping[str, Any], columns: Mapping[str, Sequence[str]], labels: Labels) -> Labelled:
    image, report, caption = (
        _string(row[columns[name][0]]) if columns[name] else "" for name in ("image", "report", "caption")
    )
    found: list[str] = []
    for name in columns["label"]:
        value = row[name]
        if isinstance(value, list):
            found += map(_string, value)
        elif not labels.label_columns:
            found += _string(value).split(labels.separator) if labels.separator else [_string(value)]
        elif (word := _string(value).lower()) in ON:
            found.append(name)
        elif word not in OFF:
            found.append(_string(value))
    return Labelled(image, list(dict.fromkeys(label.strip() for label in found if label.strip())), report, caption)


def _string(value: Any) -> str:
    if value is None:
        return ""
    return (value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)).strip()


def _parquet(opened: Any, file: Input, account: Account) -> Iterator[pa.Table]:
    try:
        for batch in pq.ParquetFile(opened).iter_batches(_ROWS):
            yield pa.Table.from_batches([batch])
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and (type(error) is not OSError or error.errno is not None):
            raise
        account.failed["bad_record"] += 1
        account.broken(file.name, 0, f"{type(error).__name__}: {error}")


def _text(opened: Any, file: Input, settings: Extract, account: Account) -> Iterator[pa.Table]:
    head = opened.readline(settings.max_record_bytes).removeprefix(b"\xef\xbb\xbf")
    first = head.decode("utf-8", "replace").rstrip("\r\n")
    delimiter = "\t" if "\t" in first else ";" if ";" in first and "," not in first else ","
    names = [name.strip().strip('"') for name in first.split(delimiter)]
    if not first.strip():
        return
    given = (file.source.labels if file.source else None) or Labels()
    known = {alias for aliases in ALIASES.values() for alias in aliases} | {
        name.lower() for name in given.columns.values()
    }
    held = b""
    if len(names) == 2 and not {name.lower() for name in names} & known:
        names, held = ["image", "caption"], head  # ROCO's captions.txt has no header.
    names = [name if name not in names[:at] else f"{name}.{at}" for at, name in enumerate(names)]
    yield from delimited(held, opened, names, delimiter, settings, account)
