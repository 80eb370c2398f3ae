"""What a row's `facts` say of a figure from PubMed Central: the one list of their keys.

| key | value |
|---|---|
| pair_id | `<pmid>_<fig_id>`, as PMC-15M names a pair; the pmcid stands in for a missing pmid |
| pmid, pmcid, doi, title, journal, date | of the article; the date is that of publication, ISO 8601, as exact as given |
| keywords, subjects, mesh_terms | lists of words, at most 50 of each |
| license | code as PMC's file lists write it: CC0, CC BY, CC BY-NC-SA ..., NO-CC CODE |
| license_bucket | commercial, noncommercial, other |
| license_url, license_text | as the figure, else the article, gives them; at most 1,000 characters |
| license_of | figure, table (of licences) or article: who says so |
| fig_id, fig_label | of the figure (`F1`, `Figure 1`) |
| graphic_ref | the reference to its image, as the article writes it |
| group_label, group_caption | of the group of figures that it stands in |
| panels | [{label, start, end}]: panels that the caption marks; characters of the caption, where it says where each begins |
| mentions | paragraphs that refer to the figure, at most 5, at most 1,000 characters each |
| labels | cluster labels of the image, by the table of labels |

Keys without a value are left out.
"""

from typing import Any
from urllib.parse import quote

import orjson

from curate.pools.pmc import licenses, panels
from curate.pools.pmc.jats import Article, Figure
from curate.pools.pmc.meta import License

SITE = "https://www.ncbi.nlm.nih.gov/pmc/articles"


def page_url(pmcid: str) -> str:
    """The article's page."""
    return f"{SITE}/{pmcid}/"


def image_url(pmcid: str, file: str) -> str:
    """The address of a figure's image in PMC: the form that its pages have long used, without a version or a hash."""
    return f"{SITE}/{pmcid}/bin/{quote(file)}"


def facts(
    article: Article,
    figure: Figure,
    *,
    pmcid: str | None,
    graphic: str,
    license: License,
    license_of: str,
    mesh_terms: tuple[str, ...],
    labels: tuple[str, ...],
) -> str:
    """The facts of one image of a figure as JSON."""
    meta = article.meta
    values: dict[str, Any] = {
        "pair_id": "_".join(word for word in (meta.pmid or pmcid, figure.id) if word),
        "pmid": meta.pmid,
        "pmcid": pmcid,
        "doi": meta.doi,
        "title": meta.title,
        "journal": meta.journal,
        "date": meta.date,
        "keywords": meta.keywords,
        "subjects": meta.subjects,
        "mesh_terms": mesh_terms,
        "license": license.code,
        "license_bucket": licenses.bucket(license.code),
        "license_url": license.url,
        "license_text": license.statement,
        "license_of": license_of,
        "fig_id": figure.id,
        "fig_label": figure.label,
        "graphic_ref": graphic,
        "group_label": figure.group_label,
        "group_caption": figure.group_caption if figure.group_caption != figure.caption else "",
        "panels": panels.panels(figure.caption),
        "mentions": figure.mentions,
        "labels": labels,
    }
    return orjson.dumps({key: value for key, value in values.items() if value}, option=orjson.OPT_SORT_KEYS).decode()
