"""Rows of `pairs` from figures: which are wanted, what they are called, and where their images are."""

import re
from collections.abc import Iterator, Mapping

import msgspec

from curate.pools import addresses, files
from curate.pools.candidates import Account, Row, repaired
from curate.pools.inputs import Input
from curate.pools.pmc import facts, licenses, meta, tables
from curate.pools.pmc.jats import Article, Figure
from curate.pools.pmc.meta import License
from curate.recipe import Extract, Pmc
from curate.uid import image_uid, pair_uid

_ACCESSION = re.compile(r"PMC\d{1,12}(?!\d)")
MAX_LANG = 64


class Rows:
    """What becomes of the figures of one file. A figure counts once for each of its graphics, and once when it has none."""

    def __init__(self, file: Input, settings: Extract, account: Account):
        self._file, self._settings, self._account = file, settings, account
        self._pmc = (file.source.pmc if file.source else None) or Pmc()
        self._licenses = tables.lookup(self._pmc.license_table, "license_table")
        self._mesh = tables.lookup(self._pmc.mesh_table, "mesh_table")
        self._labels = tables.lookup(self._pmc.label_table, "label_table")
        self._wanted_terms = frozenset(map(_term, self._pmc.mesh_terms))
        self._wanted_labels = frozenset(label.lower() for label in self._pmc.labels)
        self._number = 0

    def of(self, article: Article, name: str, images: Mapping[str, str]) -> Iterator[Row]:
        """The rows of an article that stands in the file `name`, with the images of its folder by `files.index`."""
        found = _ACCESSION.findall(f"{self._file.path.rpartition('/')[2]}/{name}")
        pmcid = article.meta.pmcid or (found[-1] if found else None)
        mesh = article.meta.mesh_terms + (self._mesh(pmcid) if self._mesh and pmcid else ())
        mesh = tuple(dict.fromkeys(mesh))[: meta.MAX_WORDS]
        for figure in article.figures:
            self._account.notes["images"] += 1
            license, said_by = self._license(article, figure, pmcid)
            problem = self._unwanted(license, mesh) or self._refused(figure)
            if problem or not figure.graphics:
                self._account.dropped[problem or "no_url"] += max(len(figure.graphics), 1)
                continue
            for graphic in figure.graphics:
                member = files.resolve(graphic, images)
                labels = self._labels(tables.image_key(pmcid, member or graphic)) if self._labels else ()
                problem = None if member else "no_member"
                if self._wanted_labels and not {label.lower() for label in labels} & self._wanted_labels:
                    problem = "other_label"
                if problem:
                    self._account.dropped[problem] += 1
                    continue
                yield self._row(article, figure, pmcid, str(member), facts.facts(
                    article, figure, pmcid=pmcid, graphic=graphic, license=license, license_of=said_by, mesh_terms=mesh,
                    labels=labels,
                ))  # fmt: skip

    def _row(self, article: Article, figure: Figure, pmcid: str | None, member: str, said: str) -> Row:
        self._account.kept += 1
        self._number += 1
        file = member.rpartition("/")[2]
        url = addresses.absolute(
            facts.image_url(pmcid, file) if pmcid else addresses.held(self._file.name, member), None
        )
        text = repaired(figure.caption)
        return Row(
            uid=pair_uid(url, text),
            image_uid=image_uid(url),
            url=url,
            text=text,
            kind="caption",
            page_url=facts.page_url(pmcid) if pmcid else None,
            page_robots=None,
            page_lang=(article.lang or "")[:MAX_LANG] or None,
            source=self._file.source.name if self._file.source else "pmc",
            crawl_file=self._file.name,
            record_offset=self._number - 1,
            member=member,
            facts=said,
        )

    def _license(self, article: Article, figure: Figure, pmcid: str | None) -> tuple[License, str]:
        """The licence of a figure and who says so: itself, else the table, else its article."""
        if figure.license is not None:
            return figure.license, "figure"
        listed = self._licenses(pmcid) if self._licenses and pmcid else ()
        if listed:
            return msgspec.structs.replace(article.meta.license, code=licenses.listed(listed[0])), "table"
        return article.meta.license, "article"

    def _unwanted(self, license: License, mesh: tuple[str, ...]) -> str | None:
        if self._pmc.licenses and licenses.bucket(license.code) not in self._pmc.licenses:
            return "other_license"
        if self._wanted_terms and not self._wanted_terms & set(map(_term, mesh)):
            return "other_mesh_term"
        return None

    def _refused(self, figure: Figure) -> str | None:
        if not figure.caption:
            return "empty_text"
        return "text_too_long" if len(figure.caption.encode()) > self._settings.max_text_bytes else None


def _term(word: str) -> str:
    """A MeSH descriptor without qualifier, mark of a major topic and case: `Brain/pathology*` is brain."""
    return word.partition("/")[0].strip("* ").lower()
