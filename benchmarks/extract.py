"""WARC and WAT files read to candidate rows, against the floor: the same files through fastwarc's bare record loop.

python benchmarks/extract.py [FOLDER]     # a folder with warc/ and wat/; the demo's pool by default
"""

import sys
from pathlib import Path

from fastwarc.warc import ArchiveIterator
from harness import measure, report, row

from curate.pools import archive
from curate.pools.candidates import Account
from curate.pools.inputs import Input
from curate.recipe import Extract

ROOT = Path(__file__).resolve().parent.parent


def bare(files: list[Path]) -> int:
    """Decompression and record borders alone: bytes of all records."""
    total = 0
    for file in files:
        with file.open("rb") as stream:
            total += sum(len(record.reader.read()) for record in ArchiveIterator(stream, parse_http=False))
    return total


def read(files: list[Path], settings: Extract) -> int:
    inputs = [Input(str(file), file.name, file.stat().st_size) for file in files]
    return sum(len(table) for file in inputs for table in archive.read(file, settings, Account()))


def main() -> None:
    pool = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "demo" / "pool"
    settings = Extract(inputs=("unused",))
    rows = []
    for kind in ("warc", "wat"):
        files = sorted((pool / kind).glob("*.gz"))
        ours, memory, found = measure(lambda files=files: read(files, settings), runs=2)
        floor, _, size = measure(lambda files=files: bare(files), runs=2)
        print(f"{kind}: {found:,} rows of {size / 1e6:.1f} MB in {len(files)} files")
        rows.append(row(f"{kind}_vs_bare_read", size / 1e6 / ours, size / 1e6 / floor, "MB unpacked / CPU s", memory))
    report("extract", pool.name, rows)


if __name__ == "__main__":
    main()
