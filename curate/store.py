"""Datasets on disk or object store: parts, an atomic commit for each, a manifest last, and resume.

A dataset is a folder:

    _plan.json          written first: what is about to be made (stage, settings, inputs, part names)
    part-00000.parquet  a part; its ledger and the plan's hash stand in its footer, so one file is one commit
    _manifest.json      written last; only what it lists exists

Killed anywhere, the same command goes on with the parts that are missing and ends in the same bytes. Nothing in here
holds a rank, a worker count or a time.
"""

import difflib
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from curate import CurateError, __version__, schema, storage
from curate.ledger import KEPT, Ledger, of_states, total
from curate.schema import Schema

ROW_GROUP = 32_768
"""Rows in a row group of a dataset that others annotate; side tables repeat the row groups of what they annotate.

It is the batch that a stage's function gets. A batch costs its start: what it evicts from the processor's caches, and a few
hundred calls into NumPy, Arrow and Parquet. Of 8,192 rows, `match` took 0.2 CPU seconds a million more (of 1.7) than of 32,768."""

PLAN, MANIFEST, FOOTER = "_plan.json", "_manifest.json", b"curate"


class StoreError(CurateError, RuntimeError):
    """A dataset is not what the command expects; the message says what to do."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a dataset is going to be: the identity of its contents. Equal plans make equal bytes."""

    dataset: str
    stage: str
    settings: dict[str, Any]
    inputs: dict[str, str]
    parts: tuple[str, ...]
    code: str = __version__

    @property
    def hash(self) -> str:
        return xxhash.xxh3_128_hexdigest(_json(self))


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One committed part."""

    name: str
    rows: int
    bytes: int
    xxh3: str
    ledger: Ledger


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a committed dataset holds; `ledger` is the sum over its parts, and over what left before any part."""

    plan: Plan
    parts: tuple[Part, ...]
    ledger: Ledger
    extra: dict[str, Any] = msgspec.field(default_factory=dict)


class Dataset:
    """A dataset of a workdir: `Dataset("workdirs/demo", "pairs")`; the workdir may be any fsspec URL."""

    def __init__(self, workdir: str, name: str):
        self.workdir, self.name = workdir, name
        self.fs, root = storage.located(workdir)
        self.root = f"{root.rstrip('/')}/{name}"

    def __repr__(self) -> str:
        return f"Dataset({self.workdir!r}, {self.name!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Dataset, (self.workdir, self.name)

    def path(self, file: str) -> str:
        return f"{self.root}/{file}"

    @property
    def schema(self) -> Schema:
        """What its columns, reasons and statuses are; of a table of scores its plan says which scorer's."""
        planned = schema.family(self.name) in schema.MAKERS and self.fs.exists(self.path(PLAN))
        return schema.of(self.name, self._decode(PLAN, Plan).settings if planned else {})

    # -- reading

    def manifest(self) -> Manifest | None:
        """The manifest, or None while the dataset is not committed. StoreError when it cannot be read."""
        if not self.fs.exists(self.path(MANIFEST)):
            return None
        return self._decode(MANIFEST, Manifest)

    def require(self) -> Manifest:
        """The manifest of a dataset that must be there; StoreError naming the stage to run otherwise."""
        manifest = self.manifest()
        if manifest is None:
            raise StoreError(
                f"{self.root} is not there or not finished; run the stage {schema.stage_of(self.name)!r} on {self.workdir} first"
            )
        return manifest

    @property
    def fingerprint(self) -> str:
        """xxh3-128 of the manifest: equal for datasets with equal contents that were made in the same way."""
        self.require()
        return xxhash.xxh3_128_hexdigest(self.fs.cat_file(self.path(MANIFEST)))

    def part_names(self) -> list[str]:
        return [part.name for part in self.require().parts]

    @contextmanager
    def open_part(self, part: str) -> Iterator[pq.ParquetFile]:
        with self.fs.open(self.path(f"{part}.parquet"), "rb") as file:
            yield pq.ParquetFile(file)

    def read_part(self, part: str, columns: Sequence[str] | None = None) -> pa.Table:
        with self.open_part(part) as file:
            return file.read(columns=columns)

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """All rows in order, a row group at a time."""
        for part in self.part_names():
            with self.open_part(part) as file:
                for group in range(file.num_row_groups):
                    yield file.read_row_group(group, columns=columns)

    # -- writing

    def begin(self, plan: Plan) -> list[str]:
        """Announces what is to be made and returns the names of the parts that are still missing.

        An empty list with a manifest means that there is nothing to do. Raises StoreError when the dataset was begun
        or finished under another plan, with what differs and what to do about it.
        """
        if self.fs.exists(self.path(PLAN)):
            before = self._decode(PLAN, Plan)
            if before.hash != plan.hash:
                raise StoreError(
                    f"{self.root} was made with other settings or inputs: {difference(before, plan)}. Take another "
                    f"workdir, or replace it and what follows from it with `--redo {plan.stage}`"
                )
        else:
            self.put(PLAN, _json(plan))
        if self.manifest() is not None:
            return []
        return [part for part in plan.parts if self.committed(part, plan.hash) is None]

    def committed(self, part: str, plan_hash: str) -> Part | None:
        """The part's record when it was committed whole under this plan; None otherwise."""
        try:
            with self.open_part(part) as file:
                footer = (file.metadata.metadata or {}).get(FOOTER)
                rows = file.metadata.num_rows
        except (FileNotFoundError, pa.ArrowInvalid):
            return None
        stamp = msgspec.json.decode(footer) if footer else {}
        if stamp.get("plan") != plan_hash:
            return None
        data = self.fs.cat_file(self.path(f"{part}.parquet"))
        ledger = msgspec.convert(stamp["ledger"], Ledger)
        return Part(name=part, rows=rows, bytes=len(data), xxh3=xxhash.xxh3_128_hexdigest(data), ledger=ledger)

    def noted(self, plan: Plan) -> dict[str, int]:
        """The sums of the ledgers' notes over a plan's parts, all of which are there. Reads their footers alone."""
        ledgers = []
        for part in plan.parts:
            with self.open_part(part) as file:
                stamp = msgspec.json.decode((file.metadata.metadata or {})[FOOTER])
                ledgers.append(msgspec.convert(stamp["ledger"], Ledger))
        return total(ledgers).notes

    def commit(
        self,
        plan: Plan,
        parts: Sequence[Part] | None = None,
        extra: Mapping[str, Any] | None = None,
        before: Ledger | None = None,
    ) -> Manifest:
        """Writes the manifest when every part of the plan is there; StoreError naming the first that is not.

        `before` is the account of rows that left the stage before they could fall into any part.
        """
        found = {part.name: part for part in parts or ()}
        records = [found.get(name) or self.committed(name, plan.hash) for name in plan.parts]
        for name, record in zip(plan.parts, records, strict=True):
            if record is None:
                raise StoreError(
                    f"{self.root}/{name}.parquet is missing or from another run; run the same command again"
                )
        done = tuple(record for record in records if record is not None)
        ledger = total([before or Ledger(), *(part.ledger for part in done)])
        manifest = Manifest(plan=plan, parts=done, ledger=ledger, extra=dict(extra or {}))
        self._check(manifest.ledger, self.root)
        self.put(MANIFEST, _json(manifest))
        return manifest

    @contextmanager
    def write_part(self, part: str, plan_hash: str, ledger: Ledger | None = None) -> Iterator["PartWriter"]:
        """A writer for one part. It is committed when the block ends well and leaves nothing otherwise.

        Without a `ledger` the account is taken from the rows' own `state` and `reason`.
        """
        with self._fresh(f"{part}.parquet") as file:
            writer = PartWriter(self, part, file, ledger)
            try:
                yield writer
                writer.finish(plan_hash)
            except BaseException:
                writer.abandon()
                raise

    def put(self, file: str, data: bytes) -> None:
        """Writes a small file whole or not at all."""
        with self._fresh(file) as out:
            out.write(data)

    @contextmanager
    def _fresh(self, file: str) -> Iterator[BinaryIO]:
        final = self.path(file)
        if "file" not in _protocols(self.fs):
            # An object store has no rename, but a PUT is whole: the object appears when the block ends. It does so even
            # when the block fails, since closing is what sends it; then it has to go again.
            try:
                with self.fs.open(final, "wb") as out:
                    yield out
            except BaseException:
                if self.fs.exists(final):
                    self.fs.rm_file(final)
                raise
            return
        os.makedirs(os.path.dirname(final), exist_ok=True)
        temporary = f"{os.path.dirname(final)}/.{os.path.basename(final)}.{uuid.uuid4().hex}.tmp"
        try:
            with open(temporary, "wb") as out:
                yield out
                out.flush()
                os.fsync(out.fileno())
            os.replace(temporary, final)
        except BaseException:
            if os.path.exists(temporary):
                os.unlink(temporary)
            raise

    @contextmanager
    def sidecar(self, file: str) -> Iterator[BinaryIO]:
        """A binary file beside the parts (a tar); it appears whole. Write it before the part that speaks of it."""
        with self._fresh(file) as out:
            yield out

    def sweep(self) -> None:
        """Removes temporary files that a killed run left; only files that no plan names are touched."""
        if self.fs.exists(self.root):
            for path in self.fs.find(self.root):
                if os.path.basename(path).startswith(".") and path.endswith(".tmp"):
                    self.fs.rm_file(path)

    def remove(self) -> None:
        """Deletes the dataset, manifest first, so that a half-deleted one never looks finished."""
        if not self.fs.exists(self.root):
            return
        for first in (MANIFEST, PLAN):
            if self.fs.exists(self.path(first)):
                self.fs.rm_file(self.path(first))
        # On an object store a folder is gone with its last file.
        if self.fs.exists(self.root):
            self.fs.rm(self.root, recursive=True)

    def _check(self, ledger: Ledger, where: str) -> None:
        if schema.family(self.name) in map(schema.family, schema.names()):
            known = self.schema
            ledger.check(where, known.dropped, known.failed)

    def _decode(self, file: str, kind: type) -> Any:
        try:
            return msgspec.json.decode(self.fs.cat_file(self.path(file)), type=kind)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise StoreError(
                f"{self.path(file)} is damaged ({error}); remove {self.root} and run its stage again"
            ) from error


class PartWriter:
    """Writes the tables of one part as row groups, held to the dataset's schema, and keeps the account."""

    def __init__(self, dataset: Dataset, part: str, file: BinaryIO, ledger: Ledger | None):
        self._dataset, self._part, self._file = dataset, part, file
        self._schema = dataset.schema
        self._writer: pq.ParquetWriter | None = None
        self.ledger, self._counts_states = ledger or Ledger(), ledger is None

    def write(self, table: pa.Table) -> None:
        """Appends one table as one row group. Raises SchemaError or LedgerError when it is not what it should be."""
        table = self._schema.hold(table, encoded=True)
        if self._counts_states:
            if "state" in table.column_names:
                self.ledger += of_states(table["state"], table["reason"])
            else:
                self.ledger += Ledger(rows_in=len(table), kept=len(table))
        if self._writer is None:
            self._open(table.schema)
        assert self._writer is not None
        if len(table):
            self._writer.write_table(table.cast(self._writer.schema), row_group_size=len(table))

    def note(self, **counts: int) -> None:
        """Adds counts to the ledger's notes."""
        self.ledger += Ledger(notes=counts)

    def _open(self, arrow: pa.Schema) -> None:
        # A reader is to find plain strings, and only embeddings need Arrow's own schema to come back as they were.
        wide = any(pa.types.is_fixed_size_list(column.type) for column in arrow)
        repeating = self._schema.repeating()
        # The least and the greatest of values in no order tell a reader nothing, and finding them is a tenth of writing them.
        self._writer = pq.ParquetWriter(
            self._file,
            arrow,
            compression="zstd",
            use_dictionary=repeating,
            write_statistics=repeating,
            column_encoding=dict.fromkeys(self._schema.uids(), "DELTA_LENGTH_BYTE_ARRAY"),
            store_schema=wide,
        )

    def abandon(self) -> None:
        """Forgets what was written; the file under it is about to be removed."""
        if self._writer is not None:
            self._writer.is_open = False

    def finish(self, plan_hash: str) -> None:
        if self._writer is None:
            self._open(self._schema.arrow(embedding_width=1))
        assert self._writer is not None
        self.ledger.check(f"{self._dataset.root}/{self._part}", self._schema.dropped, self._schema.failed)
        self._writer.add_key_value_metadata({FOOTER: _json({"plan": plan_hash, "ledger": self.ledger})})
        self._writer.close()


def part_name(index: int) -> str:
    return f"part-{index:05d}"


def difference(before: Plan, after: Plan) -> str:
    """What changed between two plans, in words: the first five settings, inputs or parts that differ."""
    one, other = _flat(before), _flat(after)
    changes = [
        f"{key} was {_short(one.get(key))}, is now {_short(other.get(key))}"
        for key in sorted({*one, *other})
        if one.get(key) != other.get(key)
    ]
    more = f" (and {len(changes) - 5} more)" if len(changes) > 5 else ""
    return "; ".join(changes[:5]) + more


def nearest(word: str, known: Sequence[str]) -> str:
    """A hint for a word that is not known: the nearest one, and the list of all."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.4)
    return (f"did you mean {close[0]!r}? " if close else "") + f"known are {', '.join(sorted(known))}"


def _flat(plan: Plan) -> dict[str, Any]:
    flat: dict[str, Any] = {"code version": plan.code, "number of parts": len(plan.parts)}
    flat |= {f"input {name}": mark for name, mark in plan.inputs.items()}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(f"{prefix}.{key}" if prefix else str(key), inner)
        else:
            flat[prefix] = value

    walk("", plan.settings)
    return flat


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _protocols(fs: Any) -> tuple[str, ...]:
    return (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)


def _json(value: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value, order="deterministic"), indent=1)


__all__ = ["KEPT", "Dataset", "Manifest", "Part", "PartWriter", "Plan", "StoreError", "part_name"]
