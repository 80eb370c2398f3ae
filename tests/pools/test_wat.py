"""Pages in WAT records, well-formed and not."""

import json
from itertools import pairwise

import orjson
import pytest

from curate.pools import wat
from curate.pools.pages import KINDS, BadRecord, Found, Page
from curate.pools.records import Record
from tests.archives import envelope, images_of


def read(block: bytes, how: str):
    """(the page, its images) of a record, by the scan of a batch or the patient way; None and none for one of something else."""
    if how == "patient":
        found = Found()
        return wat.read(block, 0, found), images_of(found)
    batch = wat.batch([Record(False, "http://a.example/", 7, block)])
    if batch.bad:
        raise BadRecord("counted")
    assert batch.read + batch.others == 1
    images = [pair for images in batch.images for pair in pairs_of(images)]
    said = (said.get(0) for said in (batch.pages.bases, batch.pages.robots, batch.pages.langs))
    return (Page(*said) if batch.read else None), images


def pairs_of(images):
    texts = [(KINDS[kind], images.texts.text(i)) for i, kind in enumerate(images.kinds)]
    addresses = [images.addresses.text(i) for i in range(len(images.addresses.starts))]
    cut = zip(pairwise(images.address_of), pairwise(images.text_of), strict=True)
    return [(tuple(addresses[a:b]), tuple(texts[c:d])) for (a, b), (c, d) in cut]


def page(html_metadata: object, how: str):
    return read(json.dumps(envelope(html_metadata)).encode(), how)


both = pytest.mark.parametrize("how", ["patient", "scan"])


@both
def test_links_of_images_become_images(how):
    found, images = page(
        {
            "Head": {
                "Base": "/b/",
                "Metas": [
                    {"name": "HTML@/lang", "content": "ja"},
                    {"name": "Robots", "content": "NoAI"},
                    {"name": "tdm-reservation", "content": "0"},
                    {"http-equiv": "refresh", "content": "1"},
                ],
            },
            "Links": [
                {"path": "IMG@/src", "url": "a.jpg", "alt": "A", "title": "T", "data-image-title": "D"},
                {"path": "IMG@/data-src", "url": "b.jpg"},
                {"path": "IMG@/srcset", "url": "c.jpg 1x, d.jpg 2x", "alt": "C"},
                {"path": "A@/href", "url": "/page", "text": "x"},
                {"path": "IMG@/longdesc", "url": "/why"},
                {"path": "IMG@/src", "alt": "nowhere"},
            ],
        },
        how,
    )
    assert (found.base, found.robots, found.lang) == ("/b/", "noai,tdm-reservation:0", "ja")
    assert images == [
        (("a.jpg",), (("alt", "A"), ("title", "T"), ("data-image-title", "D"))),
        (("b.jpg",), ()),
        (("d.jpg",), (("alt", "C"),)),
        ((), (("alt", "nowhere"),)),
    ]


@pytest.mark.parametrize("broken", [b'"half \\ud83d"', b'"half \xe3\x81"', b'"control \x01"'])
@both
def test_one_broken_text_does_not_cost_the_page(broken, how):
    block = json.dumps(envelope({"Links": [{"path": "IMG@/src", "url": "a.jpg", "alt": "?"}]})).encode()
    block = block.replace(b'"?"', broken)
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(block)
    assert read(block, how)[1][0][0] == ("a.jpg",)


@pytest.mark.parametrize(
    "odd", [None, [], "x", 1, {"Head": [], "Links": {}}, {"Head": {"Metas": [1, {}]}, "Links": [1, {"path": 2}, None]}]
)
@both
def test_odd_shapes_hold_no_image(odd, how):
    found, images = page(odd, how)
    assert (found is None) == (odd is None)
    assert images == []


@pytest.mark.parametrize("tail", [b"", b"[" * 200_000, b"}}}"])
@both
def test_what_is_no_json_is_a_bad_record(tail, how):
    with pytest.raises(BadRecord):
        read(b'{"HTML-Metadata": [' + tail, how)


@both
def test_a_record_about_something_else_is_no_page(how):
    assert read(b'{"Envelope": {"Payload-Metadata": {"HTTP-Request-Metadata": {}}}}', how) == (None, [])
    assert read(b"fetchTimeMs: 12", how) == (None, [])
    assert read(b'{"Envelope": {"Payload-Metadata": {"X": {"HTML-Metadata": {"Links": [1]}}}}}', how) == (None, [])
