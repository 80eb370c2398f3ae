"""What pages and servers say against the use of an image: meta robots and X-Robots-Tag."""

from collections.abc import Collection, Iterable

_VALUED = {"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"}
"""Directives that have a colon of their own, so that what stands before it names no robot."""


def directives(names: Iterable[str]) -> frozenset[str]:
    """The recipe's directives in lower case. `none` is short for `noindex, nofollow` and counts where noindex does."""
    plain = frozenset(name.strip().lower() for name in names)
    return plain | {"none"} if "noindex" in plain else plain


def on_page(robots: str | None, against: Collection[str]) -> str | None:
    """The first directive of a page's meta robots (comma-separated) that is in `against`; None where there is none."""
    return next((word for word in _words(robots or "") if word in against), None)


def forbidden(headers: Iterable[str], against: Collection[str], user_agent: str | None) -> str | None:
    """The first directive of X-Robots-Tag headers that is in `against` and meant for all robots or for ours.

    `otherbot: noai, noindex` speaks to otherbot alone. img2dataset takes everything before the first colon for a
    robot's name, so that `noindex, unavailable_after: 1 Jan 2027` would not be heard: hence this check before its own.
    """
    ours = (user_agent or "").strip().lower()
    for header in headers:
        name, colon, rest = header.partition(":")
        name = name.strip().lower()
        addressed = bool(colon) and "," not in name and name not in _VALUED
        if addressed and name != ours:
            continue
        found = on_page(rest if addressed else header, against)
        if found:
            return found
    return None


def _words(text: str) -> list[str]:
    return [word.strip().lower() for word in text.split(",")]
