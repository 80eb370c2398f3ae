"""Tables that are broken, hostile or not what they seem cost what is wrong with them."""

import csv
import gzip
import io
import random

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.pools import table_blocks
from curate.pools.candidates import Account
from curate.pools.table_columns import TableError
from curate.recipe import Extract, RecipeError, Table, build
from tests.pools.reading_tables import URL, datacomp, facts, read


def test_bad_rows_cost_themselves(tmp_path):
    lines = [orjson.dumps({"url": URL.format(i), "text": f"t{i}"}) for i in range(6)]
    lines[1:1] = [b"{", b"[1]", b"\xff\xfe", b'{"url": 5, "text": "number"}', b'{"url": ["x"], "text": "list"}']
    lines += [
        b'{"url": "http://a.example/", "text": "half \\ud800 pair"}',
        b'{"url":"http://a.example/","text":"' + b"x" * 3000 + b'"}',
    ]
    lines += [b"[" * 5000, orjson.dumps({"url": URL.format(9), "text": "t9", "more": {"a": 1}})]
    rows, account = read(tmp_path / "t.jsonl", b"\n".join(lines))
    assert [row["text"] for row in rows if len(row["text"]) == 2] == ["t0", "t1", "t2", "t3", "t4", "t5", "t9"]
    assert "half \ufffd pair" in {row["text"] for row in rows}
    assert account.ledger().failed == {"bad_row": 4, "bad_url": 1} and account.ledger().dropped == {"no_url": 1}

    table = b"url,text,n\nhttp://a.example/1,one,1\nhttp://a.example/2,two\nhttp://a.example/3,three,3,3\nh\xff,four,\xff\nhttp://a.example/5,f\xe9,5\n"
    rows, account = read(tmp_path / "t.csv", table)
    assert [row["text"] for row in rows] == ["one", "f\ufffd"] and account.ledger().failed == {
        "bad_row": 2,
        "bad_url": 1,
    }


def test_a_stray_quote_costs_its_line(tmp_path):
    lines = [f'{URL.format(i)},"said ""{i}""\nand more",x' for i in range(4000)]
    lines[1000] = f'{URL.format("stray")},"never closed,x'
    lines[2000] = f'{URL.format("inch")},a 5" pipe,x'
    rows, account = read(tmp_path / "t.csv", ("url,text,more\n" + "\n".join(lines)).encode(), max_text_bytes=100)
    # The stray quote meets the next one; what stands between is one value, which is too wide for its row.
    assert len(rows) >= 3990 and account.failed["bad_row"] >= 1 and 'a 5" pipe' in {row["text"] for row in rows}
    plain = [f"{URL.format(i)},text {i},x" for i in range(4000)]
    plain[1000] = lines[1000]
    rows, account = read(tmp_path / "p.csv", ("url,text,more\n" + "\n".join(plain)).encode(), max_text_bytes=100)
    assert len(rows) == 3999 and account.ledger().failed == {"bad_row": 1}


CELL = st.text(alphabet='ab,"\n\r \t', max_size=6)


@given(st.lists(st.tuples(CELL, CELL), max_size=12), st.integers(1, 30))
def test_csv_in_blocks_is_csv_whole(cells, size):
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(cells)
    data = text.getvalue().encode()

    class Slow(io.BytesIO):
        def read(self, _size=-1):
            return super().read(size)

    account = Account()
    found = list(table_blocks.delimited(b"", Slow(data), ["a", "b"], ",", Extract(), account))
    rows = [(a.decode(), b.decode()) for table in found for a, b in zip(*table.to_pydict().values(), strict=True)]
    assert rows == cells
    assert not account.ledger().failed


def test_blocks_are_small_and_lines_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(table_blocks, "BLOCK", 512)
    lines = [orjson.dumps({"url": URL.format(i), "text": "t" * (5000 if i == 50 else 9)}) for i in range(100)]
    seen = []
    real = table_blocks.lines

    def spied(*args):
        for block in real(*args):
            seen.append(len(block))
            yield block

    monkeypatch.setattr("curate.pools.table_files.lines", spied)
    rows, account = read(tmp_path / "t.jsonl", b"\n".join(lines), max_record_bytes=1000)
    assert len(rows) == 99 and account.failed["bad_row"] == 1 and max(seen) < 1600


def test_broken_files_keep_what_stood_before(tmp_path):
    data = gzip.compress(
        b"".join(
            orjson.dumps({"url": URL.format(i), "text": random.randbytes(9).hex()}) + b"\n" for i in range(200_000)
        )
    )
    rows, account = read(tmp_path / "t.jsonl.gz", data[: len(data) // 2])
    assert 50_000 < len(rows) < 150_000 and account.failed["bad_record"] == 1
    assert account.breaks[0].file == "t.jsonl.gz" and account.breaks[0].offset > 0

    path = tmp_path / "t.parquet"
    pq.write_table(datacomp(21), path, row_group_size=7, compression="gzip", use_dictionary=False)
    damaged = bytearray(path.read_bytes())
    column = pq.ParquetFile(path).metadata.row_group(1).column(1)
    damaged[column.data_page_offset : column.data_page_offset + column.total_compressed_size] = (
        b"\xff" * column.total_compressed_size
    )
    rows, account = read(path, bytes(damaged))
    assert [row["record_offset"] for row in rows] == [*range(7), *range(14, 21)]
    assert account.ledger().failed == {"bad_record": 1, "bad_row": 7} and account.breaks[0].offset == 7
    rows, account = read(path, b"PAR1 is no table")
    assert not rows and account.ledger().failed == {"bad_record": 1}


def test_parquet_strings_are_not_trusted(tmp_path):
    bad = pa.array([b"caf\xe9", b"fine"], pa.binary())
    binary = pa.StringArray.from_buffers(2, *bad.buffers()[1:])
    rows, account = read(
        tmp_path / "t.parquet", pa.table({"url": [URL.format(1), URL.format(2)], "text": binary, "n": binary})
    )
    assert [row["text"] for row in rows] == ["caf\ufffd", "fine"] and account.notes["texts_repaired"] == 1
    encoded = pa.table(
        {"url": pa.array([URL.format(1)] * 3).dictionary_encode(), "text": pa.array(list("abc"), pa.large_string())}
    )
    assert len(read(tmp_path / "d.parquet", encoded)[0]) == 3


def test_columns_that_are_not_known_are_an_error_at_once_or_named(tmp_path):
    table = pa.table({"link": [URL.format(1)], "my_captions": ["one"], "alt2": ["two"]})
    with pytest.raises(
        TableError, match=r"no column for url; it has link, my_captions, alt2.*columns: \{url: <column>\}"
    ):
        read(tmp_path / "t.parquet", table)
    with pytest.raises(TableError, match=r"no column for text.*Did you mean .*'my_captions'"):
        read(tmp_path / "t.parquet", table, table=Table(columns={"url": "link"}))
    with pytest.raises(TableError, match=r"table.columns.url: no column 'lnk': did you mean 'link'"):
        read(tmp_path / "t.parquet", table, table=Table(columns={"url": "lnk"}))
    (row,), _ = read(tmp_path / "t.parquet", table, table=Table(columns={"url": "link", "text": "my_captions"}))
    assert (row["text"], row["source"], facts(row)) == ("one", "here", {"alt2": "two"})
    rows, _ = read(
        tmp_path / "t.parquet", table, table=Table(columns={"url": "link", "figcaption": "my_captions", "alt": "alt2"})
    )
    assert {(row["kind"], row["text"]) for row in rows} == {("figcaption", "one"), ("alt", "two")}
    with pytest.raises(TableError, match="no column for url"):
        read(tmp_path / "t.csv", b"link;my_captions\nx;y\n")
    rows, _ = read(
        tmp_path / "n.tsv", b"7\thttp://a.example/\tsaid\n", table=Table(columns={"url": "f1", "text": "f2"})
    )
    assert [(row["text"], facts(row)) for row in rows] == [("said", {"f0": 7})]
    with pytest.raises(RecipeError, match=r"'txt' is no column that is taken: did you mean 'text'"):
        build({"name": "t", "score": {"models": []}, "extract": {"sources": [
            {"name": "a", "inputs": ["x"], "table": {"columns": {"txt": "b"}}}]}})  # fmt: skip
