"""Addresses of images: the WHATWG URL that a browser would ask for, and the largest candidate of a `srcset`."""

import re
from collections.abc import Iterable
from urllib.parse import quote

import ada_url

# HTML's own blanks; `\s` would also split at a no-break space, which may stand in an address.
_CANDIDATE = re.compile(r"[ \t\n\f\r,]*+([^ \t\n\f\r]++)")
_DESCRIPTORS = re.compile(r"(?:\([^)]*+\)?|[^,(])*+")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)[wx]")


def absolute(address: str, base: str | None) -> str:
    """The URL that `address` means on a page with that base, in WHATWG form (ASCII), without fragment.

    Fragments are never sent to a server, so two addresses that differ in one are one image. Raises ValueError.
    """
    url = ada_url.join_url(base, address) if base else ada_url.normalize_url(address)
    return url.partition("#")[0]


def held(file: str, member: str) -> str:
    """The URL of an image that is at hand and has none: `held:///<file>/<member>`."""
    return f"held:///{quote(file)}/{quote(member)}"


def candidates(srcset: str) -> list[tuple[str, float]]:
    """The (address, size) pairs of a `srcset`, in order; size is its width or density, 1 without a descriptor.

    Follows the steps of HTML's "parse a srcset attribute": an address ends at a blank, so it may hold commas, and
    descriptors may hold commas in parentheses. Linear in the length, whatever the text.
    """
    found, at = [], 0
    while match := _CANDIDATE.match(srcset, at):
        address, at, size = match[1], match.end(), 1.0
        if address.endswith(","):
            address = address.rstrip(",")
        else:
            descriptors = _DESCRIPTORS.match(srcset, at)
            assert descriptors is not None
            at = descriptors.end()
            sizes = [_SIZE.fullmatch(word) for word in descriptors[0].split()]
            size = max((float(m[1]) for m in sizes if m), default=1.0)
        if address:
            found.append((address, size))
    return found


def largest(srcsets: Iterable[str]) -> str | None:
    """The address of the largest candidate of all the sets; the first of several; None where there is none."""
    every = [candidate for srcset in srcsets for candidate in candidates(srcset)]
    return max(every, key=lambda candidate: candidate[1])[0] if every else None
