"""WAT and WARC files read to candidate rows, against cc2dataset, against decompression alone, and against an HTML parser alone.

python benchmarks/extract.py [FOLDER]     # a folder with warc/ and wat/; the demo's pool by default

Ours ends in Arrow tables of `pairs`: URLs in WHATWG form, texts cleaned, two hashes a row, reasons counted. cc2dataset ends in
dicts of its `image` documents (uid, url, alt, file, page; links with path `IMG@/src` and an alt, joined by urllib, an MD5 each).
Decompression is fastwarc's loop over all records, each read to its end. The parsers read the same pages: fastwarc, a tree of the bytes
as UTF-8, and a selector for `img`; nothing is taken from the elements.
"""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from fastwarc.warc import ArchiveIterator, WarcRecordType
from harness import measure, report, row

from curate.pools import archive
from curate.pools.candidates import Account
from curate.pools.inputs import Input
from curate.recipe import Extract

ROOT = Path(__file__).resolve().parent.parent
RUNS = 5


def bare(files: list[Path]) -> int:
    """Decompression and record borders alone: bytes of all records."""
    total = 0
    for file in files:
        with file.open("rb") as stream:
            total += sum(len(record.reader.read()) for record in ArchiveIterator(stream, parse_http=False))
    return total


def ours(files: list[Path]) -> tuple[int, int]:
    """(rows, pages) of the files, read as the stage reads them."""
    settings, rows, pages = Extract(), 0, 0
    for file in files:
        account = Account()
        rows += sum(map(len, archive.read(Input(str(file), file.name, file.stat().st_size), settings, account)))
        pages += account.notes["pages"]
    return rows, pages


def cc2dataset(files: list[Path]) -> int:
    from cc2dataset.main import extract_documents_from_wat

    found = 0
    for file in files:
        with file.open("rb") as stream:
            found += len(extract_documents_from_wat(stream, "image"))
    return found


def parsed(find: Callable[[bytes], int], files: list[Path]) -> tuple[int, int]:
    """(images, pages) of the HTML responses of the files, by a parser."""
    images = pages = 0
    for file in files:
        with file.open("rb") as stream:
            for record in ArchiveIterator(stream, parse_http=True, record_types=WarcRecordType.response):
                if record.http_content_type == "text/html":
                    images += find(record.reader.read())
                    pages += 1
    return images, pages


def lexbor(html: bytes) -> int:
    from selectolax.lexbor import LexborHTMLParser

    return len(LexborHTMLParser(html).css("img"))


def resiliparse(html: bytes) -> int:
    from resiliparse.parse.html import HTMLTree

    return len(HTMLTree.parse_from_bytes(html, "utf-8").document.query_selector_all("img"))


def of_wat(files: list[Path]) -> list[dict[str, Any]]:
    seconds, memory, (rows, pages) = measure(partial(ours, files), runs=RUNS)
    peer, _, links = measure(partial(cc2dataset, files), runs=RUNS)
    floor, _, size = measure(partial(bare, files), runs=RUNS)
    print(
        f"wat: {rows:,} rows of {pages:,} pages, cc2dataset {links:,} links, {size / 1e6:.1f} MB in {len(files)} files"
    )
    megabytes = size / 1e6
    return [
        row("wat_vs_cc2dataset", megabytes / seconds, megabytes / peer, "MB unpacked / CPU s", memory),
        row("wat_vs_decompression", seconds, floor, "CPU s (less is better)", memory),
    ]


def of_warc(files: list[Path]) -> list[dict[str, Any]]:
    seconds, memory, (rows, pages) = measure(partial(ours, files), runs=RUNS)
    rates = {}
    for parser in (lexbor, resiliparse):
        peer, _, (images, read) = measure(partial(parsed, parser, files), runs=RUNS)
        rates[parser.__name__] = read / peer
        print(f"warc: {parser.__name__} {read / peer:,.0f} pages / CPU s, {images:,} images")
    print(f"warc: {rows:,} rows of {pages:,} pages in {len(files)} files")
    return [row("warc_vs_parser", pages / seconds, max(rates.values()), "pages / CPU s", memory)]


def main() -> None:
    pool = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "demo" / "pool"
    wat, warc = (sorted((pool / kind).glob("*.gz")) for kind in ("wat", "warc"))
    report("extract", pool.name, of_wat(wat) + of_warc(warc))


if __name__ == "__main__":
    main()
