"""The two rules as they read, in a few lines, and texts and entries made of everything that could part matching from them."""

import string

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from curate.concepts import index

PIECES = [
    *" \t\n\r\0,.;:?!`'-_\u00a0\u200b\u3000", "  ", "\r\n", "cat", "cat house", "house", "Cat", "a", "a a", "a\0", "re-", "re", "implementation",
    "-ing", "C++", "(b)", "1234567", "12345678", "x" * 15, "x" * 16, "x" * 17, "y" * 300, "y" * 299 + "z", "é", "e\u0301", "ñandú", "кот",
    "猫", "猫の写真", "の", "写真", "猫 写", "한국", "고양이", "قطة", "बिल्ली", "แมว", "ແມວ", "ကြောင်", "ឆ្មា", "ཞི་མི་", "γάτα", "חתול", "🐈", "🐈\u200d⬛",
    "𠀀", "\U0002ebef", "\U0002ebf0", "\U00030000", "\U0010ffff", "Ph.D.", ", ,", "99", "“", "”", "—", "。", "、", "・", "～", "¿", "«",
]  # fmt: skip
PHRASE = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
TEXT = st.one_of(PHRASE, st.text(st.characters(exclude_categories=["Cs"])))
ENTRIES = st.lists(st.one_of(st.sampled_from(PIECES), PHRASE, TEXT), max_size=12, unique=True)
RULES = ["metaclip1", "metaclip2"]


def close(char: str) -> bool:
    """Whether rule 2 leaves the blank out beside a character: the published ranges and marks."""
    point = ord(char)
    han = [(0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F), (0x2B820, 0x2CEAF),
           (0x2CEB0, 0x2EBEF), (0xF900, 0xFAFF), (0x2E80, 0x2EFF), (0x2F00, 0x2FDF), (0x2FF0, 0x2FFF)]  # fmt: skip
    others = [(0x0E00, 0x0E7F), (0x0E80, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x0F00, 0x0FFF)]
    marks = string.punctuation + "，。、；：？！“”‘’（）【】《》〈〉「」『』～—"
    return char in marks or any(low <= point <= high for low, high in han + others)


def as_read(text: str) -> str:
    """The text as both rules space it."""
    text = f" {text} "
    for mark in ",.;:?!`":
        text = text.replace(mark, f" {mark} ")
    return text.replace("\t", " ").replace("\n", " ").replace("\r", " ")


def wanted(entry: str, rule: str) -> str:
    """The substring that a rule looks for."""
    if rule == "metaclip1":
        return f" {entry} "
    return ("" if close(entry[0]) else " ") + entry + ("" if close(entry[-1]) else " ")


def reference(texts: list[str], entries: list[str], rule: str) -> list[list[int]]:
    """The numbers of the entries that stand in each text."""
    padded = [(number, wanted(entry, rule)) for number, entry in enumerate(entries) if entry]
    return [[number for number, entry in padded if entry in read] for read in map(as_read, texts)]


def entry_table(texts: list[str], ids: list[int] | None = None) -> pa.Table:
    count = len(texts)
    return pa.table({
        "id": pa.array(range(count) if ids is None else ids, pa.int32()), "text": pa.array(texts, pa.string()),
        "source": pa.array(["words"] * count, pa.string()), "statistic": pa.array([None] * count, pa.float64()),
    })  # fmt: skip


def found(texts: pa.Array | list[str], table: pa.Table, rule: str, rows: list[int] | None = None) -> list[list[int]]:
    array = pa.array(texts, pa.string()) if isinstance(texts, list) else texts
    chosen = np.arange(len(array)) if rows is None else np.array(rows)
    ids, counts = index.build(table, rule).match(array, chosen)
    return [part.tolist() for part in np.split(ids, np.cumsum(counts)[:-1])] if len(chosen) else []


def of_bytes(texts: list[bytes]) -> pa.Array:
    """An array of strings that nobody checked, as from a Parquet file; no byte behind its last is readable for sure."""
    offsets = np.cumsum([0, *map(len, texts)]).astype(np.int32)
    return pa.Array.from_buffers(pa.string(), len(texts), [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(texts))])
