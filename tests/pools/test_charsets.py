"""Text of bytes: declared rightly, wrongly, or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.pools.charsets import decode

TEXTS = {
    "utf-8": "Zażółć gęślą jaźń",
    "windows-1252": "Grüße aus München, schöne Straßen und Bäume",
    "windows-1251": "Привет, мир, это страница о кошках и собаках",
    "shift_jis": "日本語のページです。こんにちは、世界",
    "euc-jp": "日本語のページです。こんにちは、世界",
    "gb18030": "中文网页，你好世界，这是一张猫的照片",
    "iso-8859-7": "Καλημέρα κόσμε, αυτή είναι μια σελίδα",
    "iso-2022-jp": "日本語のページです",
}


def body(text: str, charset: str, meta: str = "") -> bytes:
    return f"<html><head>{meta}</head><body><p>{text * 3}</p></body></html>".encode(charset)


@pytest.mark.parametrize("charset", TEXTS)
def test_the_header_names_the_charset(charset):
    assert TEXTS[charset] in decode(body(TEXTS[charset], charset), charset)


@pytest.mark.parametrize("charset", TEXTS)
@pytest.mark.parametrize(
    "meta", ['<meta charset="{}">', '<META http-equiv=content-type content="text/html; charset={}">']
)
def test_the_page_names_its_charset(charset, meta):
    assert TEXTS[charset] in decode(body(TEXTS[charset], charset, meta.format(charset)), None)


@pytest.mark.parametrize("charset", ["windows-1252", "windows-1251", "shift_jis", "gb18030", "iso-8859-7"])
@pytest.mark.parametrize("declared", [None, "utf-8", "no-such-charset"])
def test_bytes_that_are_not_what_is_declared_are_guessed(charset, declared):
    assert TEXTS[charset] in decode(body(TEXTS[charset], charset), declared)


@pytest.mark.parametrize("declared", ["iso-8859-1", "windows-1251", "shift_jis"])
def test_utf8_is_utf8_whatever_the_server_says(declared):
    assert TEXTS["utf-8"] in decode(body(TEXTS["utf-8"], "utf-8"), declared)


def test_half_a_sequence_costs_one_character():
    data = "schöne Bäume ".encode() + b"\xe3\x81 und Stra\xc3\x9fen"
    assert decode(data, "utf-8") == "schöne Bäume \ufffd und Straßen"


@pytest.mark.parametrize("charset", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_decides(charset):
    assert decode("Grüße".encode(charset), "windows-1251") == "Grüße"


def test_latin_1_means_windows_1252_as_on_the_web():
    assert decode(b"\x93quoted\x94 \xe9t\xe9", "iso-8859-1") == "“quoted” été"


@given(st.binary(max_size=200), st.sampled_from([None, "utf-8", "utf-16le", "shift_jis", "big5", "x", "iso-2022-jp"]))
def test_any_bytes_give_text_that_can_be_stored(data, declared):
    decode(data, declared).encode()


@given(st.text(max_size=100))
def test_every_text_survives_as_utf8(text):
    text = text.encode("utf-8", "ignore").decode().lstrip("\ufeff")
    assert decode(text.encode(), None) == text
