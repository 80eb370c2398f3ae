"""URLs as WHATWG writes them."""

from urllib.parse import urlsplit

import ada_url

from curate.images.status import FetchError


def canonical(url: str, base: str | None = None) -> str:
    """A URL, perhaps relative to another, as WHATWG writes it: numbers as dotted addresses, no user, no fragment.

    Raises FetchError: refused_scheme for one that is not http or https, unexpected for one that is none.
    """
    try:
        parsed = ada_url.URL(url.encode("utf-8", "replace").decode("utf-8"), base=base)
    except ValueError as error:
        raise FetchError("unexpected", "the URL cannot be parsed") from error
    if parsed.protocol not in ("http:", "https:"):
        raise FetchError("refused_scheme", f"leads to {parsed.protocol} and not to http or https")
    if "@" in parsed.href or "#" in parsed.href:  # each of these parses anew
        parsed.username = parsed.password = parsed.hash = ""
    return parsed.href


def host_of(url: str) -> str:
    """The host of a canonical URL, without port."""
    return urlsplit(url).hostname or ""
