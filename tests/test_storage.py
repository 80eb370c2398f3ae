"""Places that this installation cannot reach are named before anything runs, with what to install."""

import sys

import pytest

from curate import storage
from curate.pools import inputs, readers
from curate.recipe import Extract, Source
from curate.storage import StorageError
from curate.store import Dataset


@pytest.fixture
def without_s3fs(monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)  # as if it were not installed, wherever it is
    for name in ("s3", "s3a"):
        monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, name, raising=False)
    storage._problem.cache_clear()
    yield
    storage._problem.cache_clear()


def test_a_pool_a_list_and_a_workdir_on_s3_name_the_extra(without_s3fs, tmp_path):
    said = r"s3:// needs a package that is not installed; pip install 'curate-pairs\[s3\]'"
    with pytest.raises(StorageError, match=rf"s3://bucket/x.warc.gz: {said}"):
        inputs.expand(Extract(inputs=("s3://bucket/x.warc.gz",)))
    with pytest.raises(StorageError, match=rf"s3://commoncrawl/.*wat.paths.gz: {said}"):
        source = Source(name="crawl", inputs=("CC-MAIN-2024-10/wat",), base="s3://commoncrawl/")
        inputs.expand(Extract(sources=(source,)))
    (tmp_path / "wat.paths").write_text("a.wat.gz\n")
    with pytest.raises(StorageError, match=rf"s3://commoncrawl/a.wat.gz: {said}"):
        source = Source(name="crawl", inputs=(f"{tmp_path}/wat.paths",), base="s3://commoncrawl/")
        readers.check(inputs.expand(Extract(sources=(source,))))
    with pytest.raises(StorageError, match=rf"s3a://bucket/run: {said.replace('s3://', 's3a://')}"):
        Dataset("s3a://bucket/run", "pairs")


def test_a_place_that_nobody_knows_is_named_with_those_that_are(tmp_path):
    with pytest.raises(StorageError, match=r"no storage 's33': did you mean 's3'\?"):
        Dataset("s33://bucket/run", "pairs")
    assert Dataset(str(tmp_path), "pairs").manifest() is None
    assert Dataset(tmp_path.as_uri(), "pairs").manifest() is None
