"""Whole files, in every state that archives are found in: rows, account and broken places."""

import gzip
from collections import Counter

import pytest

from curate.pools import archive as archive_reader
from curate.pools.candidates import Account
from curate.pools.inputs import Input
from curate.recipe import Extract
from curate.store import ROW_GROUP
from curate.uid import image_uid, pair_uid
from tests.archives import PAGE, archive, html, http, links, members, page, record

SETTINGS = Extract(inputs=("x",))
THREE = [page(f'<img src="/{i}.jpg" alt="number {i}">', url=f"http://news.example/{i}") for i in range(3)]


def texts(rows) -> list[str]:
    return [row["text"] for row in rows]


def test_a_row_says_where_it_is_from(read):
    first = record(b"software: x", "warcinfo")
    data = page(
        '<img src="b.jpg#top" alt=" A cat. " title="Tom">',
        head='<base href="/c/"><meta name=robots content=NoAI>',
        attributes='lang="en-GB"',
        url=f"<{PAGE}>",
    )
    rows, account = read(archive(first, data))
    url = "http://news.example/c/b.jpg"
    about = {
        "image_uid": image_uid(url), "url": url, "page_url": PAGE, "page_robots": "noai", "page_lang": "en-GB",
        "source": "warc", "crawl_file": "x.warc.gz", "record_offset": len(members([first])[0]),
        "member": None, "known_sha256": None, "facts": None,
    }  # fmt: skip
    assert rows == [
        {"uid": pair_uid(url, "A cat."), "text": "A cat.", "kind": "alt", **about},
        {"uid": pair_uid(url, "Tom"), "text": "Tom", "kind": "title", **about},
    ]
    notes = {"files": 1, "records": 2, "other_records": 1, "pages": 1, "images": 1}
    assert account.notes == notes
    assert account.breaks == []


def test_the_same_page_in_both_formats_gives_the_same_pairs(read):
    images = ['<img src="a.jpg" alt="A" title="T">', '<img src="//cdn.example/b.jpg" alt="B">', "<img src=c.jpg>"]
    head = '<base href="http://news.example/base/"><meta name=robots content=none>'
    warc, _ = read(archive(page(*images, head=head, attributes="lang=fr")))
    wat, _ = read(
        archive(
            links(
                {"path": "IMG@/src", "url": "a.jpg", "alt": "A", "title": "T"},
                {"path": "IMG@/src", "url": "//cdn.example/b.jpg", "alt": "B"},
                {"path": "IMG@/src", "url": "c.jpg"},
                Base="http://news.example/base/",
                Metas=[{"name": "HTML@/lang", "content": "fr"}, {"name": "robots", "content": "none"}],
            )
        )
    )
    assert [row | {"source": "wat"} for row in warc] == wat
    assert len(wat) == 3


def test_every_image_is_accounted_for(read):
    long = "x" * (SETTINGS.max_text_bytes + 1)
    rows, account = read(
        archive(
            page(
                '<img src="a.jpg" alt="kept" title="also kept" data-image-title="kept">',
                '<img src="a.jpg" alt="kept">',
                '<img src="data:image/gif;base64,R0" data-src="lazy.jpg" alt="lazy">',
                '<img src="b.jpg" srcset="b.jpg 1x, b2.jpg 2x" alt="two">',
                '<img src="a.jpg">', '<img src="a.jpg" alt="  " title="">',
                f'<img src="a.jpg" alt="{long}" title="short">',
                '<img alt="no address">', '<img src="" alt="none">',
                '<img src="data:image/png;base64,AAAA" alt="inline">', '<img src="javascript:x()" alt="script">',
                f'<img src="/{"y" * 3000}.jpg" alt="far">',
                '<img src="http://[::1/x.jpg" alt="bad" title="worse">',
            )
        )
    )  # fmt: skip
    assert texts(rows) == ["kept", "also kept", "kept", "lazy", "two", "two", "short"]
    assert account.dropped == {"empty_text": 2, "text_too_long": 1, "no_url": 2, "url_not_http": 2, "url_too_long": 1}
    assert account.failed == {"bad_url": 2}
    assert account.notes["images"] == 13


def test_limits_count_bytes(read):
    settings = Extract(inputs=("x",), max_text_bytes=4, max_url_bytes=len("http://a.example/b"))
    tags = ['<img src="http://a.example/b" alt="éé">', '<img src="http://a.example/b" alt="ééé">',
            '<img src="http://a.example/bc" alt="x">']  # fmt: skip
    rows, account = read(archive(page(*tags)), settings=settings)
    assert texts(rows) == ["éé"]
    assert account.dropped == {"text_too_long": 1, "url_too_long": 1}


def test_what_cannot_be_stored_as_text_is_repaired_and_counted(read):
    body = b'<img src=1 alt="nul \x00 here"><img src=2 alt="half \xe3\x81 of it"><img src=3 alt="bell\x07 esc\x1b!"><img src=4 alt="tab\tand\nline">'
    rows, account = read(archive(record(http(body, "Content-Type: text/html; charset=utf-8"))))
    assert texts(rows) == ["nul \ufffd here", "half \ufffd of it", "bell\ufffd esc\ufffd!", "tab\tand\nline"]
    assert account.notes["texts_repaired"] == 3


def test_a_caption_of_a_megabyte_is_dropped_alone(read):
    rows, account = read(
        archive(page('<img src=a alt="before">', f'<img src=b alt="{"long " * 200_000}">', "<img src=c alt=after>"))
    )
    assert texts(rows) == ["before", "after"]
    assert account.dropped == {"text_too_long": 1}


def places(account) -> list[int]:
    return [place.offset for place in account.breaks]


def test_a_corrupt_member_costs_itself(read):
    parts = members(THREE)
    for spoil in (
        lambda m: m[:40] + bytes(20) + m[60:],
        lambda m: m[:-6] + b"\xff" + m[-5:],
        lambda m: b"\0\0" + m[2:],
    ):
        rows, account = read(parts[0] + spoil(parts[1]) + parts[2])
        assert texts(rows) == ["number 0", "number 2"]
        assert account.failed == {"bad_record": 1}
        assert len(parts[0]) <= places(account)[0] <= len(parts[0] + parts[1])
        assert account.breaks[0].file == "x.warc.gz" and account.breaks[0].error
        assert account.notes["broken_files"] == account.notes["broken_places"] == 1


def test_a_large_corrupt_member_costs_itself(read):
    noise = "".join(f"<p>{image_uid(str(i))}</p>" for i in range(20_000))
    parts = members([THREE[0], page(noise), THREE[2]])
    spoilt = bytearray(parts[1])
    spoilt[len(spoilt) // 2 :] = bytes(len(spoilt) - len(spoilt) // 2)
    rows, account = read(parts[0] + bytes(spoilt) + parts[2])
    assert texts(rows) == ["number 0", "number 2"]
    assert account.failed == {"bad_record": 1}
    assert places(account) == [len(parts[0])]


def test_notes_of_records_before_and_behind_a_break_are_all_there(read):
    parts = members([record(b"software: x", "warcinfo"), THREE[0], record(b"GET /", "request"), THREE[1], THREE[2]])
    parts[3] = parts[3][:40] + bytes(20) + parts[3][60:]
    rows, account = read(b"".join(parts))
    assert texts(rows) == ["number 0", "number 2"]
    assert account.failed == {"bad_record": 1}
    notes = {"records": 4, "other_records": 2, "pages": 2, "images": 2}
    assert account.notes == {"files": 1, **notes, "broken_files": 1, "broken_places": 1}


def test_a_record_cut_off_counts_as_one_that_was_seen(read):
    parts = [record(b"x", "warcinfo"), THREE[0], THREE[1][:-50]]
    rows, account = read(b"".join(parts), "x.warc")
    assert texts(rows) == ["number 0"]
    assert account.failed == {"bad_record": 1}
    notes = {
        "files": 1,
        "records": 3,
        "other_records": 1,
        "pages": 1,
        "images": 1,
        "broken_files": 1,
        "broken_places": 1,
    }
    assert account.notes == notes


def test_metadata_about_other_things_is_counted_and_read_no_further(read):
    about = [
        b"fetchTimeMs: 12",
        b"{",
        b"",
        b'{"Envelope":{"Payload-Metadata":{"HTTP-Request-Metadata":{}}}}',
        b"\xff" * 99,
    ]
    link = links({"path": "IMG@/src", "url": "a.jpg", "alt": "A"})
    rows, account = read(archive(*(record(block, "metadata") for block in about), link))
    assert texts(rows) == ["A"]
    assert account.notes == {"files": 1, "records": 6, "other_records": 5, "pages": 1, "images": 1}
    assert not account.failed


def test_junk_between_members_is_stepped_over(read):
    parts = members(THREE)
    rows, account = read(parts[0] + b"junk" * 500 + parts[1] + parts[2])
    assert texts(rows) == ["number 0", "number 1", "number 2"]
    assert len(account.breaks) == 1


@pytest.mark.parametrize("cut", [1, 5, 12, 100])
def test_a_file_cut_inside_its_last_member_says_so(read, cut):
    parts = members(THREE)
    start = len(parts[0] + parts[1])
    rows, account = read((parts[0] + parts[1] + parts[2])[: start + cut])
    assert texts(rows) == ["number 0", "number 1"]
    assert account.failed == {"bad_record": 1}
    assert places(account) == [start]


def test_a_file_without_the_end_of_its_trailer_keeps_every_row(read):
    rows, account = read(archive(*THREE)[:-3])
    assert texts(rows) == ["number 0", "number 1", "number 2"]
    assert not account.failed
    assert len(account.breaks) == 1


@pytest.mark.parametrize("length", [7, 10_000])
def test_a_record_that_lies_about_its_length_does_not_take_others_with_it(read, length):
    lying = record(http(html("<img src=a.jpg alt=lying>")), length=length)
    rows, account = read(archive(THREE[0], lying, THREE[1], THREE[2]))
    assert Counter(texts(rows)) >= Counter(["number 0", "number 1", "number 2"])
    assert len(account.breaks) == 1


def test_plain_files_are_read_and_found_again_as_well(read):
    whole = b"".join(THREE)
    assert len(read(whole, "x.warc")[0]) == 3
    spoilt = THREE[0] + THREE[1].replace(b"Content-Length", b"Content-Strength") + THREE[2]
    rows, account = read(spoilt, "x.warc")
    assert texts(rows) == ["number 0", "number 2"]
    assert places(account) == [len(THREE[0])]
    rows, account = read(whole[: -len(THREE[2]) // 2], "x.warc")
    assert texts(rows) == ["number 0", "number 1"]
    assert account.failed == {"bad_record": 1}


@pytest.mark.parametrize(
    "data",
    [b"", b"\x1f", b"\x1f\x8b\x08", b"<html>not an archive</html>" * 1000, gzip.compress(b"text" * 1000), bytes(5000)],
    # By name: the time stands in a gzip header, and processes that test collect at times of their own.
    ids=["empty", "a_byte", "a_head", "html", "gzip", "zeros"],
)
@pytest.mark.parametrize("name", ["x.warc.gz", "x.warc"])
def test_what_is_no_archive_is_said_to_be_broken(read, data, name):
    rows, account = read(data, name)
    assert rows == []
    assert places(account) == [0]


@pytest.mark.timeout(60)
def test_a_file_full_of_false_starts_is_given_up(read):
    rows, account = read(archive(THREE[0]) + b"\x1f\x8b\x08" * 200_000)
    assert texts(rows) == ["number 0"]
    assert len(account.breaks) == 1


def test_a_lost_connection_is_no_fault_of_the_data(read, tmp_path):
    import fsspec
    from fsspec.implementations.memory import MemoryFile, MemoryFileSystem

    class Flaky(MemoryFile):
        lost = False

        def read(self, size=-1):
            if self.tell() > 0 and not self.lost:
                self.lost = True
                raise ConnectionResetError("gone")
            return super().read(100 if size > 100 else size)

    class FlakyFileSystem(MemoryFileSystem):
        protocol = "flaky"

        def _open(self, path, mode="rb", **options):
            return Flaky(self, path, archive(*THREE))

    fsspec.register_implementation("flaky", FlakyFileSystem, clobber=True)
    with pytest.raises(ConnectionResetError, match="gone"):
        list(archive_reader.read(Input("flaky://x.warc.gz", "x.warc.gz", 0), SETTINGS, Account()))


def test_batches_are_bounded(tmp_path):
    images = "".join(f"<img src=/{i} alt=x>" for i in range(40_000))
    (tmp_path / "x.warc.gz").write_bytes(archive(page(images)))
    file = Input(str(tmp_path / "x.warc.gz"), "x", 0)
    sizes = [len(table) for table in archive_reader.read(file, SETTINGS, Account())]
    assert max(sizes) <= ROW_GROUP and sum(sizes) == 40_000
