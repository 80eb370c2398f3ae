"""Candidates of a page the plain way, one object after the other: what the readers of whole batches are held against."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from curate.pools.addresses import absolute
from curate.pools.candidates import MAX_LANG, MAX_ROBOTS, Account, Row, repaired
from curate.recipe import Extract
from curate.uid import image_uid, pair_uid


class Image(NamedTuple):
    """One image of a page, as the page writes it: its addresses, and its texts with their kinds."""

    addresses: tuple[str, ...]
    texts: tuple[tuple[str, str], ...]


class Page(NamedTuple):
    """One page of a crawl."""

    url: str
    base: str | None
    robots: str | None
    lang: str | None
    images: list[Image]
    source: str


def rows(page: Page, file: str, offset: int, settings: Extract, account: Account) -> Iterator[Row]:
    """The candidates of a page that stands at `offset` of `file`; what yields none goes to the account.

    An image counts once for each of its addresses and distinct texts, and once when it has no text.
    """
    url, base = _located(page)
    lang = repaired(page.lang or "").strip()[:MAX_LANG] or None
    about = (url, repaired(page.robots or "")[:MAX_ROBOTS] or None, lang, page.source, file, offset)
    for image in page.images:
        account.notes["images"] += 1
        urls, problem = _resolved(image, base, settings)
        for kind, text in _texts(image):
            reason = problem or _refused(text, settings)
            if reason:
                (account.failed if reason == "bad_url" else account.dropped)[reason] += max(len(urls), 1)
                continue
            account.kept += len(urls)
            if "\ufffd" in text:
                account.notes["texts_repaired"] += 1
            for address in urls:
                yield Row(pair_uid(address, text), image_uid(address), address, text, kind, *about)


def _located(page: Page) -> tuple[str, str | None]:
    """(URL of the page, base that its addresses count from; None when it has no usable one)."""
    try:
        url = base = absolute(page.url, None)
    except ValueError:
        return repaired(page.url), None
    if page.base is not None:
        try:
            base = absolute(page.base, url)
        except ValueError:
            base = url
    # HTML passes over a base that nothing can be relative to.
    return url, url if base.startswith(("data:", "javascript:")) else base


def _resolved(image: Image, base: str | None, settings: Extract) -> tuple[list[str], str | None]:
    """The distinct usable URLs of an image; or none, and the reason why its last address is not usable."""
    found: list[str] = []
    problem: str | None = "no_url"
    for address in image.addresses:
        try:
            url = absolute(address, base)
        except ValueError:
            problem = "bad_url"
            continue
        if not url.startswith(("http://", "https://")):
            problem = "url_not_http"
        elif len(url) > settings.max_url_bytes:
            problem = "url_too_long"
        elif url not in found:
            found.append(url)
    if found:
        return found, None
    return found, problem


def _texts(image: Image) -> Iterable[tuple[str, str]]:
    """Distinct texts of an image without the blanks at their ends, each with the first kind that gives it."""
    first: dict[str, str] = {}
    for kind, raw in image.texts:
        text = repaired(raw).strip()
        if text:
            first.setdefault(text, kind)
    return [(kind, text) for text, kind in first.items()] or [("alt", "")]


def _refused(text: str, settings: Extract) -> str | None:
    if not text:
        return "empty_text"
    return "text_too_long" if len(text.encode()) > settings.max_text_bytes else None
