"""Articles of PubMed Central made in code: JATS of several versions, figures in every place they stand in, and packages."""

import io
import tarfile
from collections.abc import Iterable

from PIL import Image

DTD = (
    '<!DOCTYPE article PUBLIC "-//NLM//DTD JATS (Z39.96) Journal Archiving and Interchange DTD v1.2 20190208//EN" '
    '"JATS-archivearticle1.dtd">'
)
NAMESPACES = (
    'xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:mml="http://www.w3.org/1998/Math/MathML" '
    'xmlns:ali="http://www.niso.org/schemas/ali/1.0/"'
)
CC_BY = (
    '<license license-type="open-access" xlink:href="https://creativecommons.org/licenses/by/4.0/">'
    "<license-p>Open access.</license-p></license>"
)
CC_BY_NC = "<license><license-p>Distributed under the Creative Commons Attribution-NonCommercial 4.0 licence.</license-p></license>"


def figure(name: str, caption: str = "<p>A caption.</p>", *graphics: str, label: str = "", inside: str = "") -> str:
    """A `fig` with the id `name`; its graphic is called like it unless others are given."""
    references = "".join(f'<graphic xlink:href="{graphic}"/>' for graphic in graphics or (name,))
    about = f"<label>{label or name}</label><caption>{caption}</caption>" if caption else f"<label>{label}</label>"
    return f'<fig id="{name}" position="float">{about}{inside}{references}</fig>'


def article(
    *parts: str,
    pmcid: str | None = "PMC77",
    pmid: str | None = "1234",
    license: str = CC_BY,
    front: str = "",
    floats: str = "",
    attributes: str = NAMESPACES,
    dtd: str = DTD,
    declaration: str = '<?xml version="1.0" encoding="UTF-8"?>',
) -> str:
    """The XML of an article with these parts in its body."""
    ids = f'<article-id pub-id-type="pmid">{pmid}</article-id>' if pmid else ""
    ids += f'<article-id pub-id-type="pmcid">{pmcid}</article-id>' if pmcid else ""
    return (
        f'{declaration}{dtd}<article {attributes} article-type="research-article" xml:lang="en"><front><journal-meta>'
        "<journal-title-group><journal-title>Journal of Toys</journal-title></journal-title-group></journal-meta>"
        f'<article-meta>{ids}<article-id pub-id-type="doi">10.1/toy</article-id><title-group><article-title>On <italic>toys</italic>'
        '</article-title></title-group><pub-date pub-type="epub"><day>3</day><month>5</month><year>2020</year></pub-date>'
        f"<permissions>{license}</permissions>{front}</article-meta></front><body><sec><title>Results</title>{''.join(parts)}"
        f"</sec></body>{f'<floats-group>{floats}</floats-group>' if floats else ''}</article>"
    )


def jpeg(color: int = 0, size: int = 32, format: str = "JPEG") -> bytes:
    """A small picture of one colour."""
    out = io.BytesIO()
    Image.new("RGB", (size, size), (color % 256, 40, 90)).save(out, format)
    return out.getvalue()


def package(files: Iterable[tuple[str, bytes | str]], folder: str = "PMC77", mode: str = "w:gz") -> bytes:
    """An OA package: the files in one folder of a tar, in order."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as tar:
        for name, data in files:
            add(tar, f"{folder}/{name}" if folder else name, data)
    return out.getvalue()


def add(tar: tarfile.TarFile, name: str, data: bytes | str, **changes: object) -> None:
    """Adds one file to an open tar; `changes` are fields of its header."""
    body = data.encode() if isinstance(data, str) else data
    info = tarfile.TarInfo(name)
    info.size = len(body)
    for field, value in changes.items():
        setattr(info, field, value)
    tar.addfile(info, io.BytesIO(body))
