"""Pages in WAT records, well-formed and not."""

import json

import orjson
import pytest

from curate.pools import wat
from curate.pools.pages import BadRecord, Image
from tests.archives import envelope

URL = "http://a.example/"


def page(html_metadata: object) -> object:
    return wat.page(json.dumps(envelope(html_metadata)).encode(), URL)


def test_links_of_images_become_images():
    found = page(
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
        }
    )
    assert (found.base, found.robots, found.lang, found.source) == ("/b/", "noai,tdm-reservation:0", "ja", "wat")
    assert found.images == [
        Image(("a.jpg",), (("alt", "A"), ("title", "T"), ("data-image-title", "D"))),
        Image(("b.jpg",), ()),
        Image(("d.jpg",), (("alt", "C"),)),
        Image((), (("alt", "nowhere"),)),
    ]


@pytest.mark.parametrize("broken", [b'"half \\ud83d"', b'"half \xe3\x81"', b'"control \x01"'])
def test_one_broken_text_does_not_cost_the_page(broken):
    block = json.dumps(envelope({"Links": [{"path": "IMG@/src", "url": "a.jpg", "alt": "?"}]})).encode()
    block = block.replace(b'"?"', broken)
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(block)
    assert wat.page(block, URL).images[0].addresses == ("a.jpg",)


@pytest.mark.parametrize(
    "odd", [None, [], "x", 1, {"Head": [], "Links": {}}, {"Head": {"Metas": [1, {}]}, "Links": [1, {"path": 2}, None]}]
)
def test_odd_shapes_hold_no_image(odd):
    found = page(odd)
    assert found is None or found.images == []


@pytest.mark.parametrize("tail", [b"", b"[" * 200_000, b"}}}"])
def test_what_is_no_json_is_a_bad_record(tail):
    with pytest.raises(BadRecord):
        wat.page(b'{"HTML-Metadata": [' + tail, URL)


def test_a_record_about_something_else_is_no_page():
    assert wat.page(b'{"Envelope": {"Payload-Metadata": {"HTTP-Request-Metadata": {}}}}', URL) is None
    assert wat.page(b"fetchTimeMs: 12", URL) is None
