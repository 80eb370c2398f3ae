"""What tests of archives share."""

import pytest

from curate import schema
from curate.pools import archive as archive_reader
from curate.pools.candidates import Account
from curate.pools.inputs import Input
from curate.recipe import Extract

SETTINGS = Extract(inputs=("x",))


@pytest.fixture
def read(tmp_path):
    """Reads bytes as a file: (rows as dicts, account); holds the account to the rows and to the schema on the way."""

    def read(data: bytes, name: str = "x.warc.gz", settings: Extract = SETTINGS):
        (tmp_path / name).write_bytes(data)
        account, pairs = Account(), schema.load("pairs")
        tables = archive_reader.read(Input(str(tmp_path / name), name, len(data)), settings, account)
        rows = [row for table in tables for row in pairs.hold(table).to_pylist()]
        ledger = account.ledger().check(name, pairs.dropped, pairs.failed)
        assert ledger.kept == len(rows)
        return rows, account

    return read
