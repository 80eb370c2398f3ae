"""What an article says of itself in its `front`: names, dates, subjects, licence."""

import re
from typing import Any

import msgspec

from curate.pools.pmc import licenses
from curate.pools.pmc.text import attribute, child, children, descendants, flat, local

MAX_WORDS, MAX_WORD, MAX_STATEMENT = 50, 200, 1000
"""Terms of a kind that are kept, characters of a term, and of a licence statement; they are repeated with each figure."""
_NOT_PUBLISHED = frozenset(["pmc-release", "nihms-submitted", "received", "accepted", "retracted"])
_NUMBER = re.compile(r"\d+")


class License(msgspec.Struct, frozen=True):
    """A licence: its code, the address that names it, and its words."""

    code: str = licenses.NO_CODE
    url: str | None = None
    statement: str = ""


class Meta(msgspec.Struct, frozen=True):
    """An article's metadata; what it does not say is None or empty."""

    pmid: str | None = None
    pmcid: str | None = None
    """With its letters: PMC1234567."""
    doi: str | None = None
    title: str = ""
    journal: str = ""
    date: str | None = None
    """Of publication, ISO 8601, as exact as it is given: 2020, 2020-05, 2020-05-17."""
    keywords: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    mesh_terms: tuple[str, ...] = ()
    license: License = License()


def read(front: Any) -> Meta:
    """The metadata of a `front` element (journal-meta and article-meta inside it)."""
    about = child(front, "article-meta")
    about = front if about is None else about
    ids = {str(node.get("pub-id-type")).lower(): flat(node) for node in children(about, "article-id")}
    mesh, keywords = _keywords(about)
    title = next(descendants(child(about, "title-group"), "article-title"), None)
    return Meta(
        pmid=_digits(ids.get("pmid")),
        pmcid=pmcid(ids.get("pmcid") or ids.get("pmc")),
        doi=(ids.get("doi") or "")[:MAX_WORD] or None,
        title=flat(title)[:MAX_STATEMENT],
        journal=flat(next(descendants(child(front, "journal-meta"), "journal-title"), None))[:MAX_WORD],
        date=_date(about),
        keywords=keywords,
        subjects=_some(flat(node) for node in descendants(child(about, "article-categories"), "subject")),
        mesh_terms=mesh,
        license=license_of(about) or License(),
    )


def pmcid(word: str | None) -> str | None:
    """`PMC123` for what writes an accession with or without its letters; None for anything else."""
    found = re.fullmatch(r"\s*(?:PMC)?(\d{1,12})(?:\.\d+)?\s*", word or "", re.IGNORECASE)
    return f"PMC{int(found[1])}" if found else None


def license_of(node: Any) -> License | None:
    """The licence of an `article-meta` or `fig`: of its `permissions`, or as NLM 2 has it right inside; None without any.

    A copyright without a licence, or a licence with words of its own, has the code NO_CODE.
    """
    inside = child(node, "permissions")
    parts = list(children(node if inside is None else inside, "license", "license_ref", "copyright-statement"))
    if not parts:
        return None if inside is None else License()
    addresses = []
    for part in parts:
        for found in descendants(part, "license", "license_ref", "ext-link", "uri"):
            address = attribute(found, "href") or (flat(found) if local(found) in ("license_ref", "uri") else None)
            addresses += [address] if address else []
    licensed = [part for part in parts if local(part) != "copyright-statement"]
    statement = " ".join(text for text in map(flat, licensed or parts) if text)
    code = licenses.code(addresses, statement)
    url = next((address for address in addresses if licenses.code((address,), "") == code != licenses.NO_CODE), None)
    return License(code, url or (addresses[0][:MAX_STATEMENT] if addresses else None), statement[:MAX_STATEMENT])


def _keywords(about: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(MeSH terms, other keywords). JATS has no element for MeSH: a group of keywords says that it is."""
    mesh: list[str] = []
    others: list[str] = []
    for group in children(about, "kwd-group"):
        kind = " ".join(str(group.get(name) or "") for name in ("kwd-group-type", "vocab", "vocab-identifier"))
        found = [flat(node) for node in descendants(group, "kwd", "compound-kwd")]
        (mesh if "mesh" in kind.lower() or "mesh" in flat(child(group, "title")).lower() else others).extend(found)
    return _some(mesh), _some(others)


def _date(about: Any) -> str | None:
    """The earliest date of publication."""
    dates = []
    for node in children(about, "pub-date"):
        kinds = {node.get("pub-type"), node.get("date-type")}
        parts = [_digits(flat(child(node, name))) for name in ("year", "month", "day")]
        if kinds & _NOT_PUBLISHED or not parts[0] or len(parts[0]) != 4:
            continue
        known = parts[: parts.index(None)] if None in parts else parts
        dates.append("-".join(part.zfill(2) for part in known if part is not None))
    # A bare year is less than any day in it, and says less.
    return min(dates, key=lambda date: (date[:4], -len(date), date), default=None)


def _some(words: Any) -> tuple[str, ...]:
    found = dict.fromkeys(word[:MAX_WORD] for word in words if word)
    return tuple(found)[:MAX_WORDS]


def _digits(word: str | None) -> str | None:
    found = _NUMBER.fullmatch((word or "").strip())
    return found[0][:12] if found else None
