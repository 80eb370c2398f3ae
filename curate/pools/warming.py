"""The compiled functions of extract, run once over next to nothing, so that a process has them before it is forked."""

from curate.kernels import kept
from curate.pools import batches, looking, pairing, scanning, warc, wat
from curate.pools.candidates import Account
from curate.pools.records import Record
from curate.recipe import Extract

_URL = "http://a.example/"
_PAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html><body><img src=/b.jpg alt='\xc3\xa9 c'></body></html>"


def pages() -> None:
    """What looks at pages, resolves addresses and writes candidates, for WARC and WAT alike."""
    found = warc.batch([Record(True, _URL, 0, _PAGE)], len(_PAGE))
    for _ in batches.tables(found, "warc", "warming", Extract(), Account()):
        pass
    # Asked of pages with many tags alone.
    looking.steps(_PAGE, looking.names(["p"]), looking.names(["br"]))


def links() -> None:
    """What scans the links of WAT."""
    wat.batch([Record(False, _URL, 0, b"{%s: {}}" % wat.ABOUT_HTML)])


def pages_kept() -> bool:
    """Whether `pages` finds its functions on disk."""
    return kept(pairing.pair)


def links_kept() -> bool:
    """Whether `links` finds its functions on disk."""
    return kept(scanning.scan)
