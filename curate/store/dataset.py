"""A dataset of a workdir: its parts and its manifest, read, begun, written and committed."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from curate import CurateError, schema, storage
from curate.ledger import Ledger, total
from curate.schema import Schema
from curate.store.plan import Manifest, Part, Plan, difference, encoded
from curate.store.whole import fresh
from curate.store.writing import FOOTER, PartWriter

PLAN, MANIFEST = "_plan.json", "_manifest.json"


class StoreError(CurateError, RuntimeError):
    """A dataset is not what the command expects; the message says what to do."""


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
            self.put(PLAN, encoded(plan))
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
        self.put(MANIFEST, encoded(manifest))
        return manifest

    @contextmanager
    def write_part(self, part: str, plan_hash: str, ledger: Ledger | None = None) -> Iterator[PartWriter]:
        """A writer for one part. It is committed when the block ends well and leaves nothing otherwise.

        Without a `ledger` the account is taken from the rows' own `state` and `reason`.
        """
        with fresh(self.fs, self.path(f"{part}.parquet")) as file:
            writer = PartWriter(self.schema, f"{self.root}/{part}", file, ledger)
            try:
                yield writer
                writer.finish(plan_hash)
            except BaseException:
                writer.abandon()
                raise

    def put(self, file: str, data: bytes) -> None:
        """Writes a small file whole or not at all."""
        with fresh(self.fs, self.path(file)) as out:
            out.write(data)

    @contextmanager
    def sidecar(self, file: str) -> Iterator[BinaryIO]:
        """A binary file beside the parts (a tar); it appears whole. Write it before the part that speaks of it."""
        with fresh(self.fs, self.path(file)) as out:
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
