import base64
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from curate.report.untrusted import SIDE, UNSAFE, clip, link, thumbnail


@given(st.text(max_size=2000), st.integers(2, 50))
def test_clipped_texts_are_short_and_hold_nothing_unsafe(text, limit):
    short = clip(text, limit)
    assert len(short) <= limit
    assert not UNSAFE.search(short)
    short.encode()


def test_clip_says_that_it_cut_and_leaves_good_text_alone():
    assert clip("x" * 10_000) == "x" * 199 + "…"
    assert clip(" " * 10_000 + "x", 10).endswith("…")
    assert clip("قطة على  السجادة\n") == "قطة على السجادة"
    assert clip("evil \u202egnp.exe") == "evil \ufffdgnp.exe"
    assert clip("a\x00b\ud800c") == "a\ufffdb\ufffdc"


@pytest.mark.parametrize("url", [
    "javascript:alert(1)", "JavaScript:alert(1)", "data:text/html,x", "//host/x", "http://", "http://[::1", "ftp://host/x",
    "java\nscript:alert(1)", "http://host/\u202egnp.exe", "http://host/\x00", "http://host/" + "x" * 3000, "",
])  # fmt: skip
def test_no_link_for(url):
    assert link(url) is None


def test_links_for_the_web():
    for url in ("http://host.example/a.png", "https://host.example:8080/a?b=c&d"):
        assert link(url) == url


def test_thumbnails_are_new_small_jpegs_without_the_bytes_of_the_web():
    out = io.BytesIO()
    image = Image.new("RGBA", (500, 300), (200, 30, 30, 255))
    image.save(out, "PNG", pnginfo=None, exif=b"Exif\x00\x00secret")
    uri = thumbnail(out.getvalue())
    data = base64.b64decode(uri.removeprefix("data:image/jpeg;base64,"))
    small = Image.open(io.BytesIO(data))
    assert small.format == "JPEG" and max(small.size) == SIDE and b"secret" not in data
    assert thumbnail(b"<script>alert(1)</script>") is None
    assert thumbnail(b"") is None
