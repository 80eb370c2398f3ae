"""Reads a table as the stage does, and holds its account to its rows on the way."""

import random

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from curate import schema
from curate.pools import readers
from curate.pools.candidates import Account
from curate.pools.inputs import Input
from curate.recipe import Extract, Source, Table

URL = "http://img.example.com/{}.jpg"


def read(path, data: bytes | pa.Table | None = None, table: Table | None = None, **limits):
    """Writes a file and reads it: rows as dicts, and the account, which has to balance."""
    if isinstance(data, pa.Table):
        pq.write_table(data, path, row_group_size=7)
    elif data is not None:
        path.write_bytes(data)
    source = Source(name="here", inputs=("x",), table=table) if table else None
    account = Account()
    file = Input(str(path), path.name, path.stat().st_size, source)
    rows = [row for found in readers.read(file, Extract(**limits), account) for row in held(found).to_pylist()]
    known = schema.load("pairs")
    ledger = account.ledger().check(str(path), known.dropped, known.failed)
    assert ledger.kept == len(rows)
    return rows, account


def held(table: pa.Table) -> pa.Table:
    assert table.schema.equals(schema.load("pairs").arrow())
    table.validate(full=True)
    return table


def facts(row: dict) -> dict:
    found = orjson.loads(row["facts"])
    assert list(found) == sorted(found)
    return found


def datacomp(n: int = 20) -> pa.Table:
    random.seed(1)
    return pa.table({
        "uid": [f"{random.getrandbits(128):032x}" for _ in range(n)], "url": [URL.format(i) for i in range(n)],
        "text": [f"text {i}" for i in range(n)], "original_width": [640] * n, "original_height": [480] * n,
        "clip_b32_similarity_score": pa.array([0.25] * n, pa.float32()),
        "clip_l14_similarity_score": pa.array([0.5] * n, pa.float32()),
        "face_bboxes": pa.array([[[0.1, 0.2, 0.3, 0.4]]] * n, pa.list_(pa.list_(pa.float64()))),
        "sha256": [f"{i:064X}" for i in range(n)],
    })  # fmt: skip


def msgspec_with(ledger, **notes):
    import msgspec

    return msgspec.structs.replace(ledger, notes=dict(sorted((ledger.notes | notes).items())))
