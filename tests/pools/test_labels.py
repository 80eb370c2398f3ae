"""Labelled images as pools: folders of classes, tables of labels, reports, and captions as ROCO has them."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate import recipe, schema
from curate.pools import beside, inputs, readers
from curate.pools.beside import MemberError, read_beside
from curate.pools.candidates import Account
from curate.pools.label_tables import TableError
from curate.recipe import Extract, Labels, RecipeError, Source
from curate.texts import templates
from tests.jats import jpeg

ONE = ("a slide of {label}",)


def read(pattern, limits: dict | None = None, **settings):
    """Reads what a source of labelled images names: (rows with their facts, account)."""
    source = Source(name="set", inputs=(str(pattern),), reader="labels", labels=Labels(**settings))
    extract = Extract(sources=(source,), **(limits or {}))
    account, pairs, rows = Account(), schema.load("pairs"), []
    for file in inputs.expand(extract):
        rows += [row for table in readers.read(file, extract, account) for row in pairs.hold(table).to_pylist()]
    assert account.ledger().check("labels", pairs.dropped, pairs.failed).kept == len(rows)
    return [row | {"facts": json.loads(row["facts"] or "{}")} for row in rows], account


def said(rows) -> list[tuple[str, str, str]]:
    return [(row["member"], row["kind"], row["text"]) for row in rows]


@pytest.fixture
def classes(tmp_path):
    """A folder of two class folders, with things in them that are no images of theirs."""
    for name in ("train/mel/a.jpg", "train/mel/b.png", "train/bcc_x/c.jpg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg())
    (tmp_path / "train" / "mel" / "notes.txt").write_text("x")
    (tmp_path / "train" / "mel" / "link.jpg").symlink_to(tmp_path / "train" / "bcc_x" / "c.jpg")
    (tmp_path / "train" / "again").symlink_to(tmp_path / "train")
    return tmp_path / "train"


@pytest.mark.parametrize("pattern", ["", "/*"])
def test_a_folder_of_classes(classes, pattern):
    rows, account = read(f"{classes}{pattern}", templates=ONE, names={"mel": "melanoma"})
    assert said(rows) == [
        ("c.jpg", "label", "a slide of bcc x"), ("a.jpg", "label", "a slide of melanoma"), ("b.png", "label", "a slide of melanoma"),
    ]  # fmt: skip
    assert [(row["crawl_file"], row["url"], row["record_offset"]) for row in rows] == [
        ("bcc_x", "held:///bcc_x/c.jpg", 0), ("mel", "held:///mel/a.jpg", 0), ("mel", "held:///mel/b.png", 1),
    ]  # fmt: skip
    assert [row["facts"] for row in rows] == [{"labels": ["bcc_x"]}, {"labels": ["mel"]}, {"labels": ["mel"]}]
    assert (account.notes["files"], account.notes["images"]) == (2, 3)


def test_a_glob_of_images_says_the_same_as_their_folders(classes):
    by_folder, _ = read(classes, templates=ONE)
    by_image, _ = read(f"{classes}/[bm]*/*.[jp]*g", templates=ONE)
    assert {(row["member"], row["text"]) for row in by_folder} <= {(row["member"], row["text"]) for row in by_image}


def test_a_folder_is_another_pool_when_it_grows(classes):
    extract = Extract(sources=(Source(name="set", inputs=(str(classes),), reader="labels"),))
    before = inputs.identity(inputs.expand(extract))
    (classes / "mel" / "d.jpg").write_bytes(jpeg())
    assert inputs.identity(inputs.expand(extract)) != before
    with pytest.raises(RecipeError, match="matches no file"):
        inputs.expand(Extract(sources=(Source(name="set", inputs=(str(classes),)),)))


def test_bytes_of_images_beside_and_in_folders(classes, tmp_path):
    assert read_beside(f"{classes}/mel/", "a.jpg") == jpeg()
    assert read_beside(f"{classes}/table.csv", "mel/a.jpg") == jpeg()
    for name in ("link.jpg", "../bcc_x/c.jpg", "/etc/hostname", "none.jpg", "."):
        with pytest.raises(MemberError):
            read_beside(f"{classes}/mel/", name)
    with pytest.raises(MemberError, match="is a link"):
        read_beside(f"{classes}/table.csv", "again/mel/a.jpg")
    assert beside.names_beside(f"{classes}/mel/") == ["a.jpg", "b.png"]


def test_each_label_has_its_ten_captions(tmp_path):
    (tmp_path / "t.csv").write_text("Image Index,Finding Labels\nx/1.png,Edema|Mass\n2,\n")
    rows, account = read(tmp_path / "t.csv")
    assert [row["text"] for row in rows] == [
        t.format(label=name) for name in ("Edema", "Mass") for t in templates.TEMPLATES
    ]
    assert len({row["uid"] for row in rows}) == 20 and len({row["image_uid"] for row in rows}) == 1
    assert {row["kind"] for row in rows} == {"label"} and rows[0]["member"] == "x/1.png"
    assert account.dropped == {"empty_text": 1}


@pytest.mark.parametrize(
    ("report", "kinds"),
    [("prefer", ["report", "caption", "label"]), ("also", ["report", "label", "caption", "label", "label"])],
)  # fmt: skip
def test_what_was_said_of_an_image_is_preferred(tmp_path, report, kinds):
    (tmp_path / "t.csv").write_text(
        'path,label,report,caption\n1.jpg,a,"Heart, normal.",\n2.jpg,b,,Seen here.\n3.jpg,c, ,\n'
    )
    rows, _ = read(tmp_path / "t.csv", templates=ONE, report=report)
    assert [row["kind"] for row in rows] == kinds
    assert rows[0]["text"] == "Heart, normal." and rows[0]["facts"] == {"labels": ["a"]}


def test_columns_that_are_labels(tmp_path):
    (tmp_path / "t.csv").write_text(
        "Path,Sex,Edema,Mass,Grade\n1.jpg,F,1.0,0.0,mild\n2.jpg,M,-1.0,1,\n3.jpg,M,,nan,0\n"
    )
    rows, account = read(tmp_path / "t.csv", templates=("{label}",), label_columns=("Edema", "Mass", "Grade"))
    assert said(rows) == [("1.jpg", "label", "Edema"), ("1.jpg", "label", "mild"), ("2.jpg", "label", "Mass")]
    assert account.dropped == {"empty_text": 1}


def test_parquet_with_lists_of_labels(tmp_path):
    table = pa.table({"id": [1, 2], "class": [["a", "b"], []], "text": [None, "Said."]})
    pq.write_table(table, tmp_path / "t.parquet")
    rows, _ = read(tmp_path / "t.parquet", templates=ONE, images="all", suffix=".png")
    assert said(rows) == [
        ("all/1.png", "label", "a slide of a"), ("all/1.png", "label", "a slide of b"), ("all/2.png", "caption", "Said."),
    ]  # fmt: skip


def roco(folder, captions: str = 'ROCO_00002\t A chest x-ray.\r\nROCO_00003\tAn "open" quote, and commas\n'):
    (folder / "captions.txt").write_text(captions)
    (folder / "keywords.txt").write_text("ROCO_00002\tchest\tx-ray\nROCO_00003\t\n")
    (folder / "cuis.txt").write_text("ROCO_00003\tC0817096\n")
    (folder / "licences.txt").write_text("ROCO_ID,PMC_ID,CC\nROCO_00002,PMC4083729_AMHSR-4-14-g002.jpg,CC BY-NC-SA\n")
    return folder / "captions.txt"


def test_roco(tmp_path):
    facts = {"keywords": "keywords.txt", "cuis": "cuis.txt", "licences": "licences.txt", "semtypes": "none.txt"}
    rows, account = read(roco(tmp_path), images="images", facts=facts)
    assert said(rows) == [
        ("images/ROCO_00002.jpg", "caption", "A chest x-ray."),
        ("images/ROCO_00003.jpg", "caption", 'An "open" quote, and commas'),
    ]
    assert [row["facts"] for row in rows] == [
        {"keywords": ["chest", "x-ray"], "licences": ["PMC4083729_AMHSR-4-14-g002.jpg", "CC BY-NC-SA"]},
        {"cuis": ["C0817096"]},
    ]
    assert account.notes["fact_files_left_out"] == 1
    # As the first edition is handed on: images are called as in the article, and numbered where the recipe says so.
    (tmp_path / "traindata.csv").write_text('id,name,caption\nROCO_00002,PMC4_g002.jpg," Axial view, ""CT"""\n')
    assert said(read(tmp_path / "traindata.csv")[0]) == [("PMC4_g002.jpg", "caption", 'Axial view, "CT"')]
    numbered = read(tmp_path / "traindata.csv", columns={"image": "id"}, images="images")[0]
    assert said(numbered) == [("images/ROCO_00002.jpg", "caption", 'Axial view, "CT"')]
    (tmp_path / "v2.csv").write_text('ID,Caption\nROCOv2_1,"A, CT"\n')  # The second edition has a header, and commas.
    assert said(read(tmp_path / "v2.csv")[0]) == [("ROCOv2_1.jpg", "caption", "A, CT")]


def test_files_of_facts_are_part_of_the_pool(tmp_path):
    path = roco(tmp_path)
    source = Source(name="set", inputs=(str(path),), reader="labels", labels=Labels(facts={"cuis": "cuis.txt"}))
    extract = Extract(sources=(source,))
    before = readers.check(inputs.expand(extract))
    (tmp_path / "cuis.txt").write_text("ROCO_00003\tC1\n")
    assert list(before) == ["cuis.txt beside captions.txt"] and readers.check(inputs.expand(extract)) != before


def test_hostile_rows_have_reasons(tmp_path):
    (tmp_path / "t.csv").write_bytes(
        b"path,label\n../x.jpg,a\n/etc/passwd,a\n,a\nhttp://[,a\nhttp://a.example/i.jpg#top,a\nfine.jpg,caf\xe9\x00\n"
        b'too,many,values\n"open,a\n' + b"long.jpg," + b"x" * 100 + b"\n"
    )
    rows, account = read(tmp_path / "t.csv", {"max_text_bytes": 60}, templates=ONE)
    assert [(row["url"], row["member"], row["text"]) for row in rows] == [
        ("http://a.example/i.jpg", None, "a slide of a"), ("held:///t.csv/fine.jpg", "fine.jpg", "a slide of caf\ufffd\ufffd"),
    ]  # fmt: skip
    assert account.dropped == {"no_member": 3, "no_url": 1, "text_too_long": 1, "empty_text": 0}
    assert account.failed == {"bad_row": 2}
    (tmp_path / "t.parquet").write_bytes(b"PAR1 is what it begins with, PAR1")
    rows, account = read(tmp_path / "t.parquet")
    assert not rows and account.failed == {"bad_record": 1} and account.breaks[0].file == "t.parquet"


def test_tables_without_the_columns_are_said(tmp_path):
    (tmp_path / "t.csv").write_text("picture,labl,x\n1,2,3\n")
    with pytest.raises(
        TableError, match=r"t\.csv: no column is the image; the table has picture, labl, x, and known are image"
    ):
        read(tmp_path / "t.csv")
    with pytest.raises(TableError, match=r"no column is the label; .* labels: \{columns: \{label: \.\.\.\}\}"):
        read(tmp_path / "t.csv", columns={"image": "picture"})
    with pytest.raises(TableError, match=r"labels\.columns takes 'label' for label: did you mean 'labl'"):
        read(tmp_path / "t.csv", columns={"image": "picture", "label": "label"})
    with pytest.raises(TableError, match=r"labels\.label_columns has 'y'"):
        read(tmp_path / "t.csv", columns={"image": "picture"}, label_columns=("y",))
    assert len(read(tmp_path / "t.csv", columns={"image": "picture", "label": "labl"}, templates=ONE)[0]) == 1


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ({"templates": ["a slide"]}, r"'a slide' says nothing of the label; write \{label\}"),
        ({"templates": ["a {lable}"]}, r"has the field 'lable'; known is 'label' alone"),
        ({"templates": ["{label} {label.x}"]}, r"has the field 'label\.x'"),
        ({"templates": ["{label!r}"]}, "has the field 'label'; known is 'label' alone, plain"),
        ({"templates": ["{label:>9999999}"]}, "plain"),
        ({"templates": ["{}{label}"]}, "has the field ''"),
        ({"templates": ["{label"]}, "write braces that are text twice"),
        ({"columns": {"lable": "x"}}, "labels.columns: 'lable' is none of ours: did you mean 'label'"),
        ({"report": "never"}, "never"),
        ({"template": []}, "did you mean 'templates'"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_at_load(labels, says):
    source = {"name": "a", "inputs": ["x"], "reader": "labels", "labels": labels}
    with pytest.raises(RecipeError, match=says):
        recipe.build({"name": "x", "score": {"models": []}, "extract": {"sources": [source]}})


def test_the_templates_that_ship():
    templates.check(templates.TEMPLATES)
    assert len(set(templates.captions(["x"], (), {}))) == 10
    assert templates.captions(["a", "b"], ("{{{label}}}",), {"a": "A {x}"}) == ["{A {x}}", "{b}"]
