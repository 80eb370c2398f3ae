"""What Spark's workers are forked with: compiled once on a machine, by several processes, and nothing again afterwards."""

import os
import subprocess
import sys

from curate.pools import inputs, readers
from curate.recipe import Extract, Source
from jobs import workers
from jobs.attaching import WARM_ALWAYS, Engines
from jobs.workers import Group

READ = """
import importlib, pkgutil, sys
from pathlib import Path
import curate.pools
from curate.pools import archive, inputs
from curate.pools.candidates import Account
from curate.recipe import Extract
from jobs import workers

def compiled():
    found = {}
    for name, module in list(sys.modules.items()):
        for kernel in vars(module).values() if name.startswith("curate.") else ():
            if hasattr(kernel, "enable_caching"):
                found[f"{kernel.__module__}.{kernel.__name__}"] = len(kernel.signatures)
    return found

workers.warm(sys.argv[1].split(","))
before = compiled()
for file in inputs.expand(Extract(inputs=tuple(sys.argv[2:]))):
    print(sum(map(len, archive.read(file, Extract(), Account()))))
print(sorted(name for name, number in compiled().items() if number != before.get(name)))
"""


def read(wanted: str, *files: str) -> list[str]:
    command = [sys.executable, "-c", READ, wanted, *files]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def test_reading_compiles_nothing_that_was_not_made_ready():
    warc, wat = "demo/pool/warc/*.warc.gz", "demo/pool/wat/*.warc.wat.gz"
    assert read("warc,wat", warc, wat) == ["7081", "7048", "[]"]
    # What is not asked for is not there, or this test would see nothing.
    anew = read("warc", wat)[1]
    assert "curate.pools.scanning.scan" in anew and "curate.pools.pairing.pair" not in anew


def test_what_is_made_ready_goes_by_what_is_read(tmp_path):
    for name in ("a.warc.gz", "b.parquet", "c.warc.wat.gz", "d"):
        (tmp_path / name).write_text("x")

    def of(*names: str, **how) -> set[str]:
        source = Source(name="s", inputs=tuple(f"{tmp_path}/{name}" for name in names), **how)
        return readers.warming(inputs.expand(Extract(sources=(source,))))

    assert of("a.warc.gz") == {"warc"} and of("a.warc.gz", "c.warc.wat.gz", "b.parquet") == {"warc", "wat"}
    assert of("b.parquet") == set() and of("d", reader="archive") == {"warc"}
    assert Engines().warm == {WARM_ALWAYS} == set().union(*(g.needed for g in workers.GROUPS)) - {"warc", "wat"}


def test_what_is_not_on_disk_yet_is_compiled_by_a_process_each(tmp_path, monkeypatch):
    def group(name: str, kept: bool) -> Group:
        def run():
            with (tmp_path / name).open("a") as file:
                file.write(f"{os.getpid()}\n")

        return Group(frozenset([name]), run, lambda: kept)

    def ran(*cold: str) -> dict[str, list[int]]:
        monkeypatch.setattr(workers, "GROUPS", [group(name, name not in cold) for name in ("one", "two", "other")])
        workers.warm(["one", "two"])
        found = {file.name: [int(line) for line in file.read_text().split()] for file in tmp_path.iterdir()}
        for file in tmp_path.iterdir():
            file.unlink()
        return found

    here = os.getpid()
    # This process is to be forked: it has to load them too.
    assert ran() == ran("one") == {"one": [here], "two": [here]}
    found = ran("one", "two", "other")
    assert set(found) == {"one", "two"} and len({pids[0] for pids in found.values()} - {here}) == 2
    assert [pids[1:] for pids in found.values()] == [[here], [here]]
