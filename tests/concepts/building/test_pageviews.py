"""Page-view files: lines as they are served, and lines that are not."""

import gzip

import pyarrow as pa
import pytest

from curate.concepts.building import pageviews
from curate.concepts.building.presets import Preset, preset

LINES = [
    "en Cat 120 0", "en Cat 49 0", "en.m Cat 500 0", "en Talk:Cat 900 0", "en New_York_City 60 0", "de Katze 75 0", "en.b Cat 80 0",
    "en Caf%C3%A9 55 0", "en 100%_wool 51 0", "en Half%FFescape 50 0", '"" - 7 0', "en Cat many 0", "en Cat", "", "en  60 0", "en Cat ٣ 0",
]  # fmt: skip


def counted(lines: list[str], language: str, wanted: Preset) -> tuple[dict[str, int], dict[str, int]]:
    table = pageviews.count_lines(pa.table({"line": lines}), language, wanted)
    assert table.schema == pageviews.COUNTS
    titles = {row["title"]: row["views"] for row in table.to_pylist() if row["kind"] == "title"}
    return titles, pageviews.lines_of(table)


def test_the_first_preset_counts_the_domain_alone_and_hours_from_fifty_views():
    titles, fates = counted(LINES, "en", preset("metaclip1"))
    assert titles == {"Cat": 120, "New York City": 60, "Café": 55, "100% wool": 51, "Half%FFescape": 50}
    assert fates == {"colon": 1, "counted": 5, "few_views": 1, "malformed": 5, "other_domain": 4}
    assert sum(fates.values()) == len(LINES)


def test_the_second_preset_counts_the_mobile_site_and_every_view():
    titles, _ = counted(LINES, "en", preset("metaclip2"))
    assert titles["Cat"] == 120 + 49 + 500
    assert counted(LINES, "de", preset("metaclip2"))[0] == {"Katze": 75}


def test_hours_are_added_up_and_titles_taken_from_seventy_views(tmp_path):
    for hour, lines in enumerate((["en Cat 50 0", "en Dog 69 0"], ["en Cat 50 0", "en Owl 70 0", "en Dog 1 0"])):
        (tmp_path / f"pageviews-20180419-0{hour}0000.gz").write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))
    counts = pageviews.count_files([str(file) for file in sorted(tmp_path.glob("*.gz"))], "en", preset("metaclip1"))
    assert pageviews.select(counts, preset("metaclip1")) == [
        ("Cat", "wikipedia-titles", 100.0),
        ("Owl", "wikipedia-titles", 70.0),
    ]
    assert pageviews.lines_of(counts) == {"counted": 4, "few_views": 1}


def test_shares_and_caps(tmp_path):
    counts = pageviews.count_lines(
        pa.table({"line": [f"en T{i} {100 + i} 0" for i in range(10)]}), "en", preset("metaclip2")
    )
    assert len(pageviews.select(counts, preset("metaclip2"))) == 7  # 76 % of ten
    assert [text for text, _, _ in pageviews.select(counts, Preset(titles=2))] == ["T9", "T8"]


@pytest.mark.parametrize("cut", [20, 200])
def test_what_was_read_before_a_file_breaks_off_is_counted(tmp_path, cut):
    whole = gzip.compress("".join(f"en Title_{i} {i + 60} 0\n" for i in range(500)).encode())
    (tmp_path / "cut.gz").write_bytes(whole[:cut])
    fates = pageviews.lines_of(pageviews.count_files([str(tmp_path / "cut.gz")], "en", preset("metaclip1")))
    assert fates.pop("cut_off") == 1 and fates.keys() <= {"counted"} and (cut == 20 or 0 < fates["counted"] < 500)


def test_a_line_without_end_is_read_in_pieces(tmp_path):
    (tmp_path / "long").write_bytes(b"en " + b"x" * 1_000_000 + b" 60 0\nen Cat 60 0\n")
    titles = pageviews.select(pageviews.count_files([str(tmp_path / "long")], "en", preset("metaclip1")), Preset())
    assert ("Cat", "wikipedia-titles", 60.0) in titles
