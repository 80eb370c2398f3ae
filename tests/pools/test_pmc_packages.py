"""Packages that attack their reader, or are broken: what stands before the break is kept, and nothing is believed."""

import gzip
import io
import tarfile
import time
import zlib

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFile, MemoryFileSystem

from curate.pools import files, pmc
from curate.pools.candidates import Account
from curate.pools.inputs import Input
from curate.pools.pmc import members, package
from curate.recipe import Extract
from tests.jats import add, article, figure, jpeg
from tests.jats import package as packed

SETTINGS = Extract(inputs=("x",), max_record_bytes=2**20)
WHOLE = [("a.nxml", article(figure("f1"))), ("f1.jpg", jpeg())]


def read(path, data: bytes) -> tuple[list[str], Account]:
    path.write_bytes(data)
    account = Account()
    tables = pmc.read(Input(str(path), path.name, len(data)), SETTINGS, account)
    return [member for table in tables for member in table["member"].to_pylist()], account


@pytest.fixture
def path(tmp_path):
    return tmp_path / "PMC77.tar.gz"


def tar(*members_: tuple[str, bytes | str, dict], compress: bool = True) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz" if compress else "w") as opened:
        for name, data in WHOLE:
            add(opened, f"PMC77/{name}", data)
        for name, body, changes in members_:
            add(opened, name, body, **changes)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "changes", "note"),
    [
        ("../f1.jpg", {}, "unsafe_members"),
        ("/etc/f1.jpg", {}, "unsafe_members"),
        ("PMC77/../../f1.jpg", {}, "unsafe_members"),
        ("PMC77\\f1.jpg", {}, "unsafe_members"),
        (f"PMC77/{'x' * 600}.jpg", {}, "unsafe_members"),
        ("PMC77/f2.jpg", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd", "size": 0}, "other_members"),
        ("PMC77/f2.jpg", {"type": tarfile.LNKTYPE, "linkname": "PMC77/f1.jpg", "size": 0}, "other_members"),
        ("PMC77/f2.jpg", {"type": tarfile.FIFOTYPE, "size": 0}, "other_members"),
        ("PMC77/f2.jpg", {"type": tarfile.CHRTYPE, "size": 0}, "other_members"),
    ],
)  # fmt: skip
def test_links_and_names_that_lead_elsewhere_are_passed_over(path, name, changes, note):
    found, account = read(path, tar((name, b"", changes)))
    assert found == ["PMC77/f1.jpg"]
    assert account.notes[note] == 1 and not account.breaks


def test_what_stands_before_a_break_is_kept(path):
    plain = packed([*WHOLE, ("z.nxml", article(figure("f1"), pmcid="PMC9"))], mode="w")
    whole = gzip.compress(plain)
    for data in (plain[:-12_000], whole[:-40], whole[: len(whole) // 2], whole[:-8] + b"\0" * 8, whole + b"garbage"):
        found, account = read(path, data)
        assert account.failed["bad_record"] >= 1 and account.breaks[0].file == "PMC77.tar.gz"
        assert set(found) <= {"PMC77/f1.jpg"}
    found, account = read(path, whole + b"garbage")
    assert len(found) == 2
    at = plain.index(b"PMC77/z.nxml") + 148
    found, account = read(path, plain[:at] + b"\0not a sum" + plain[at + 10 :])
    assert found == ["PMC77/f1.jpg"] and account.failed == {"bad_record": 1}


def test_a_broken_package_at_many_places_never_raises(path):
    plain = packed(WHOLE, mode="w")
    for cut in range(0, len(plain.rstrip(b"\0")), 61):
        found, account = read(path, plain[:cut])
        assert account.failed["bad_record"] == 1
        damaged = bytearray(plain)
        damaged[cut] ^= 0xFF
        found, account = read(path, bytes(damaged))
        assert len(found) <= 1


def test_sizes_are_not_believed(path):
    # A member of a terabyte; and a long name of a gigabyte, which tarfile would read whole.
    huge = tarfile.TarInfo("PMC77/z.jpg")
    huge.size = 2**40
    plain = packed(WHOLE, mode="w")
    head = plain[: -(-len(plain.rstrip(b"\0")) // 512) * 512]
    for info, said in (
        (huge, "unexpected end of data"),
        (_long_name(2**30), "a piece of 1073741824 bytes is more than"),
    ):
        data = head + info.tobuf(tarfile.GNU_FORMAT) + b"\0" * 5000
        began = time.process_time()
        found, account = read(path, gzip.compress(data))
        assert found == ["PMC77/f1.jpg"] and account.failed == {"bad_record": 1}
        assert said in account.breaks[0].error
        assert time.process_time() - began < 2


def _long_name(size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, size
    return info


def test_what_unfolds_without_end_is_given_up(path, monkeypatch):
    monkeypatch.setattr(package, "ALLOWANCE", 2**20)
    found, account = read(path, tar(("PMC77/z.bin", b"\0" * 30 * 2**20, {})))
    assert found == ["PMC77/f1.jpg"]
    assert "unfolds to more than" in account.breaks[0].error


def test_an_article_over_the_limit_is_a_bad_record(path):
    found, account = read(path, packed([*WHOLE, ("z.nxml", " " * (2**20 + 1))]))
    assert found == ["PMC77/f1.jpg"]
    assert account.failed == {"bad_record": 1} and "more than the limit of 1048576" in account.breaks[0].error


def test_chains_of_long_names_end(path):
    chain = b"".join(_long_name(1).tobuf(tarfile.GNU_FORMAT) + b"x".ljust(512, b"\0") for _ in range(5000))
    found, account = read(path, gzip.compress(chain))
    assert not found and account.failed == {"bad_record": 1}


def test_no_package_at_all(path):
    for data in (b"", b"\0" * 20_000, b"not a tar" * 100, gzip.compress(b""), zlib.compress(b"x"), b"\x1f\x8b"):
        found, account = read(path, data)
        assert not found and account.notes["files"] == 1


def test_a_lost_connection_is_no_fault_of_the_data():
    class Flaky(MemoryFile):
        def read(self, size=-1):
            if self.tell() > 100:
                raise ConnectionResetError("gone")
            return super().read(min(size, 200) if size > 0 else 200)

    class FlakyFileSystem(MemoryFileSystem):
        protocol = "flakypmc"

        def _open(self, path, mode="rb", **options):
            return Flaky(self, path, packed(WHOLE))

    fsspec.register_implementation("flakypmc", FlakyFileSystem, clobber=True)
    with pytest.raises(ConnectionResetError, match="gone"):
        list(pmc.read(Input("flakypmc://x.tar.gz", "x.tar.gz", 0), SETTINGS, Account()))


def test_a_package_is_unfolded_once_and_no_further_than_needed(path, monkeypatch):
    images = [(f"f{n:02}.jpg", bytes([n]) * 5000) for n in range(40)]
    path.write_bytes(packed(images))
    taken = 0
    take = package._Forward._take

    def counted(self, size):
        nonlocal taken
        data = take(self, size)
        taken += len(data)
        return data

    monkeypatch.setattr(package._Forward, "_take", counted)
    wanted = [f"PMC77/f{n:02}.jpg" for n in range(20)]
    assert dict(members.read_members(str(path), reversed(wanted))) == {
        f"PMC77/{name}": data for name, data in images[:20]
    }
    assert taken < 20 * 6000 + 1024


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        ("pone.1.g001", "pone.1.g001.jpg"), ("pone.1.g001.tif", "pone.1.g001.jpg"), ("GR1", "x/gr1.JPEG"), ("only.gif", "only.gif"),
        ("f.png", "f.png"), ("none", None), ("", None), ("dir/gr1", "x/gr1.JPEG"), ("f.eps", "f.png"),
    ],
)  # fmt: skip
def test_references_find_the_best_of_their_files(reference, found):
    names = ["pone.1.g001.gif", "pone.1.g001.jpg", "x/gr1.JPEG", "x/gr1.gif", "only.gif", "f.png", "f.gif", "none.pdf"]
    assert files.resolve(reference, files.index(names)) == found
