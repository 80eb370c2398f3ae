"""Articles of PubMed Central beside their images and in packages: rows, filters, account, bytes."""

import io
import json
import tarfile
from pathlib import Path

import pytest

from curate import recipe, schema
from curate.pools import candidates, pmc, readers
from curate.pools.candidates import Account
from curate.pools.inputs import Input
from curate.pools.pmc import members
from curate.pools.pmc.tables import TableError
from curate.recipe import Extract, Pmc, RecipeError, Source
from curate.uid import image_uid, pair_uid
from tests.jats import CC_BY_NC, add, article, figure, jpeg, package

GENUINE = Path(__file__).parent / "pmc" / "PMC1790863.nxml"


@pytest.fixture
def read(tmp_path):
    """Reads files as a source with these settings: (rows with their facts, account); the account is held to the rows."""

    def read(data: bytes | str, name: str = "PMC77.tar.gz", limits: dict | None = None, **settings):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        source = Source(name="toys", inputs=("x",), reader="pmc", pmc=Pmc(**settings))
        account, pairs = Account(), schema.load("pairs")
        file = Input(str(path), path.name, path.stat().st_size, source)
        found = readers.read(file, Extract(sources=(source,), **(limits or {})), account)
        rows = [row | {"facts": json.loads(row["facts"])} for table in found for row in pairs.hold(table).to_pylist()]
        assert account.ledger().check(name, pairs.dropped, pairs.failed).kept == len(rows)
        return rows, account

    return read


def members_of(rows) -> list[str]:
    return [row["member"] for row in rows]


def test_a_genuine_article_beside_its_images(read, tmp_path):
    for suffix in ("gif", "jpg"):
        (tmp_path / f"pone.0000217.g001.{suffix}").write_bytes(jpeg())
    rows, account = read(GENUINE.read_bytes(), "PMC1790863.nxml")
    [row] = rows
    said = row.pop("facts")
    url = "https://www.ncbi.nlm.nih.gov/pmc/articles/PMC1790863/bin/pone.0000217.g001.jpg"
    text = (
        "Fisher's geometric model in two-dimensional phenotypic space. Fitness varies along two phenotypic axes, with the maximum "
        "fitness located, for convenience, at the origin of these axes. Any individual in a population (black point) can thus be "
        "described by its phenotypic values, which determine the fitness of that organism."
    )
    assert row == {
        "uid": pair_uid(url, text), "image_uid": image_uid(url), "url": url, "text": text, "kind": "caption",
        "page_url": "https://www.ncbi.nlm.nih.gov/pmc/articles/PMC1790863/", "page_robots": None, "page_lang": None,
        "source": "toys", "crawl_file": "PMC1790863.nxml", "record_offset": 0, "member": "pone.0000217.g001.jpg",
        "known_sha256": None,
    }  # fmt: skip
    mentions = said.pop("mentions")
    assert [mention[:27] for mention in mentions] == ["If an organism has only two", "To generate novel genetic v"]
    assert "origin of the axes (Fig. 1). Because" in mentions[0]
    assert "Creative Commons Attribution License" in said.pop("license_text")
    assert said == {
        "pair_id": "17299597_pone-0000217-g001", "pmid": "17299597", "pmcid": "PMC1790863",
        "doi": "10.1371/journal.pone.0000217", "journal": "PLoS ONE", "date": "2007-02-14",
        "title": "Quantifying Organismal Complexity using a Population Genetic Approach",
        "subjects": ["Research Article", "Evolutionary Biology", "Computational Biology/Systems Biology"],
        "license": "CC BY", "license_bucket": "commercial", "license_of": "article",
        "fig_id": "pone-0000217-g001", "fig_label": "Figure 1", "graphic_ref": "pone.0000217.g001",
    }  # fmt: skip
    assert account.notes == {"files": 1, "records": 1, "articles": 1, "images": 1, "other_records": 0}


@pytest.mark.parametrize("mode", ["w:gz", "w"])
@pytest.mark.parametrize("last", [True, False])
def test_a_package_is_read_whatever_the_order_of_its_files(read, mode, last):
    images = [
        ("f1.jpg", jpeg(1)),
        ("f1.gif", jpeg(2, format="GIF")),
        ("F2.PNG", jpeg(3, format="PNG")),
        ("x.pdf", b"%PDF"),
    ]
    xml = [("toy.nxml", article(figure("f1"), figure("f2", "<p>Two</p>", "f2.tif"), figure("f3", "<p>None here</p>")))]
    rows, account = read(package(images + xml if last else xml + images, mode=mode), "PMC77.tar.gz")
    assert members_of(rows) == ["PMC77/f1.jpg", "PMC77/F2.PNG"]
    assert [row["url"].rpartition("/bin/")[2] for row in rows] == ["f1.jpg", "F2.PNG"]
    assert account.dropped == {"no_member": 1}
    assert not account.failed and not account.breaks


def test_articles_of_one_package_have_the_images_of_their_own_folders(read):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for number in (1, 2, 3):
            add(tar, f"PMC{number}/a.nxml", article(figure("f1"), pmcid=None, pmid=None))
            add(tar, f"PMC{number}/data.xml", "<supplement>no XML that anybody needs")
            if number == 2:
                add(tar, f"PMC{number}/f1.jpg", jpeg())
    rows, account = read(out.getvalue(), "all.tar.gz")
    assert members_of(rows) == ["PMC2/f1.jpg"]
    assert rows[0]["facts"]["pair_id"] == "PMC2_f1"
    assert account.dropped == {"no_member": 2} and not account.failed
    assert (account.notes["articles"], account.notes["other_records"]) == (3, 3)


def test_many_articles_in_one_folder_do_not_wait_for_each_other(read, monkeypatch):
    monkeypatch.setattr(pmc, "MAX_WAITING", 2)
    several = [(f"PMC{n}.xml", article(figure("f1", f"<p>{n}</p>"), pmcid=f"PMC{n}")) for n in range(5)]
    rows, _ = read(package([("f1.jpg", jpeg()), *several], folder=""))
    assert [row["text"] for row in rows] == ["0", "1", "2", "3", "4"]


def test_an_article_without_a_number_has_an_address_of_its_own(read, tmp_path):
    (tmp_path / "f 1.jpg").write_bytes(jpeg())
    rows, _ = read(article(figure("f1", "<p>x</p>", "f 1"), pmcid=None), "toy.xml")
    assert (rows[0]["url"], rows[0]["page_url"]) == ("held:///toy.xml/f%201.jpg", None)


def test_links_beside_an_article_are_no_images(read, tmp_path):
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "f.jpg").write_bytes(jpeg())
    (tmp_path / "f1.jpg").symlink_to(tmp_path / "secret" / "f.jpg")
    rows, account = read(article(figure("f1"), figure("f2", "<p>x</p>", "secret/f")), "toy.nxml")
    assert not rows and account.dropped == {"no_member": 2}


PLANTED = {"PMC1": ("commercial", "microscopy"), "PMC2": ("commercial", "radiology"), "PMC3": ("noncommercial", "microscopy"),
           "PMC4": ("other", "microscopy"), "PMC5": ("commercial", "microscopy"), "PMC6": ("commercial", None)}  # fmt: skip
LICENSES = {"noncommercial": CC_BY_NC, "other": "<license><license-p>All rights reserved.</license-p></license>"}


def planted(label_table: Path) -> bytes:
    """A tar of PLANTED articles with a figure each, and the table of their labels."""
    out, labels = io.BytesIO(), ["pmcid,file,label,confidence"]
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for pmcid, (bucket, label) in PLANTED.items():
            known = {"license": LICENSES[bucket]} if bucket in LICENSES else {}
            mesh = '<kwd-group kwd-group-type="MeSH"><kwd>Brain/pathology*</kwd></kwd-group>' if pmcid == "PMC5" else ""
            add(tar, f"{pmcid}/a.nxml", article(figure("f1", f"<p>{pmcid}</p>"), pmcid=pmcid, front=mesh, **known))
            add(tar, f"{pmcid}/f1.jpg", jpeg(int(pmcid[3:])))
            labels += [f"{pmcid},f1.jpg,{label},1"] if label else []
    label_table.write_text("\n".join(labels))
    return out.getvalue()


@pytest.mark.parametrize(
    ("settings", "kept", "dropped"),
    [
        ({}, "123456", {}),
        ({"licenses": ("commercial",), "labels": ("Microscopy",)}, "15", {"other_license": 2, "other_label": 2}),
        ({"licenses": ("noncommercial", "other")}, "34", {"other_license": 4}),
        ({"mesh_terms": ("brain",)}, "5", {"other_mesh_term": 5}),
        ({"labels": ("radiology", "none such")}, "2", {"other_label": 5}),
    ],
)
def test_filters_yield_exactly_the_planted_rows(read, tmp_path, settings, kept, dropped):
    data = planted(tmp_path / "labels.csv")
    rows, account = read(data, "all.tar.gz", label_table=str(tmp_path / "labels.csv"), **settings)
    assert [row["text"] for row in rows] == [f"PMC{number}" for number in kept]
    assert account.dropped == dropped
    for row in rows:
        bucket, label = PLANTED[row["text"]]
        assert (row["facts"]["license_bucket"], row["facts"].get("labels")) == (bucket, [label] if label else None)


def test_tables_override_licences_and_add_terms(read, tmp_path):
    # The head of PMC's own list, and its words.
    (tmp_path / "list.csv").write_text(
        "File,Article Citation,Accession ID,Last Updated (YYYY-MM-DD HH:MM:SS),PMID,License\n"
        'oa_package/08/e0/PMC1.tar.gz,"Breast, Cancer Res. 2001",PMC1,2019-11-05 11:56:12,11250746,NO-CC CODE\n'
        "one,comma,too,many,PMC2,2019,1,CC BY-NC\n"
        "oa_package/x.tar.gz,Toys,PMC3,2019-11-05 11:56:12,,CC BY-ND\n"
    )
    (tmp_path / "mesh.csv").write_text("pmcid,mesh_terms\n1,Mice; Brain\nPMC1,Retina\n")
    found, _ = read(planted(tmp_path / "labels.csv"), "all.tar.gz", license_table=str(tmp_path / "list.csv"),
                    mesh_table=str(tmp_path / "mesh.csv"))  # fmt: skip
    said = {row["text"]: row["facts"] for row in found}
    assert [(said[p]["license"], said[p]["license_of"]) for p in ("PMC1", "PMC2", "PMC3")] == [
        ("NO-CC CODE", "table"), ("CC BY", "article"), ("CC BY-ND", "table"),
    ]  # fmt: skip
    assert (said["PMC1"]["mesh_terms"], said["PMC5"]["mesh_terms"]) == (
        ["Mice", "Brain", "Retina"],
        ["Brain/pathology*"],
    )


def test_a_figure_that_was_taken_from_elsewhere_keeps_its_own_licence(read, tmp_path):
    (tmp_path / "f1.jpg").write_bytes(jpeg())
    taken = "<permissions><copyright-statement>Reproduced with permission from a publisher.</copyright-statement></permissions>"
    rows, _ = read(article(figure("f1", inside=taken)), "toy.nxml")
    assert (rows[0]["facts"]["license_bucket"], rows[0]["facts"]["license_of"]) == ("other", "figure")


def test_tables_that_cannot_be_used_are_said_before_anything_is_read(tmp_path):
    def marks(**settings):
        source = Source(name="toys", inputs=("x",), pmc=Pmc(**settings))
        return readers.check([Input("x.nxml", "x.nxml", 0, source)])

    with pytest.raises(TableError, match=r"pmc\.license_table: there is no file at .*none\.csv"):
        marks(license_table=str(tmp_path / "none.csv"))
    (tmp_path / "t.csv").write_text("pmcid,licens\n1,x\n")
    with pytest.raises(TableError, match=r"t\.csv needs the columns pmcid and license; did you mean 'licens'"):
        marks(license_table=str(tmp_path / "t.csv"))
    (tmp_path / "t.csv").write_text("pmcid,license\n1,x\n")
    first = marks(license_table=str(tmp_path / "t.csv"))
    (tmp_path / "t.csv").write_text("pmcid,license\n1,y\n")
    assert list(first) == ["license_table of toys"] and marks(license_table=str(tmp_path / "t.csv")) != first


def test_labels_without_a_table_are_refused_at_load():
    with pytest.raises(RecipeError, match=r"pmc\.labels wants microscopy, and pmc\.label_table names no table"):
        recipe.build({
            "name": "x", "score": {"models": []},
            "extract": {"sources": [{"name": "a", "inputs": ["x"], "pmc": {"labels": ["microscopy"]}}]},
        })  # fmt: skip


def test_malformed_xml_is_counted_and_the_rest_is_read(read):
    good = article(figure("f1"), pmcid="PMC1")
    files = [("a.nxml", article(figure("f1"))[:-30]), ("b.nxml", good), ("f1.jpg", jpeg()), ("c.nxml", b"\0\1\2")]
    rows, account = read(package(files))
    assert [row["facts"]["pmcid"] for row in rows] == ["PMC1"]
    assert account.failed == {"bad_record": 2}
    assert [(place.file, place.error[:18]) for place in account.breaks] == [
        ("PMC77.tar.gz", "PMC77/a.nxml: XML:"), ("PMC77.tar.gz", "PMC77/c.nxml: XML:"),
    ]  # fmt: skip


def test_other_files_and_figures_without_text_or_picture_have_reasons(read, tmp_path):
    (tmp_path / "f1.jpg").write_bytes(jpeg())
    bare = '<fig id="f2"><caption><p>No graphic at all</p></caption></fig>'
    rows, account = read(
        article(figure("f1", ""), bare, figure("f3", "<p>long</p>")), "toy.nxml", {"max_text_bytes": 18}
    )
    assert not rows
    assert account.dropped == {"empty_text": 1, "no_url": 1, "no_member": 1}
    _, account = read(article(figure("f1", f"<p>{'x' * 40}</p>")), "toy.nxml", {"max_text_bytes": 18})
    assert account.dropped == {"text_too_long": 1}
    _, account = read(jpeg(), "f1.jpg")
    assert account.notes == {"files": 1, "other_files": 1}


def test_tables_are_cut_where_facts_are_long(read, tmp_path, monkeypatch):
    (tmp_path / "f1.jpg").write_bytes(jpeg())
    monkeypatch.setattr(candidates, "MAX_FACTS", 1500)
    (tmp_path / "toy.nxml").write_text(article(*[figure("f1", f"<p>{n}</p>") for n in range(9)]))
    file = Input(str(tmp_path / "toy.nxml"), "toy.nxml", 0)
    sizes = [len(table) for table in pmc.read(file, Extract(inputs=("x",)), Account())]
    assert sum(sizes) == 9 and max(sizes) < 9


def one_of(path: str, member: str, **how) -> bytes:
    ((name, data),) = members.read_members(path, [member], **how)
    assert name == member
    if isinstance(data, Exception):
        raise data
    return data


def test_bytes_of_members(read, tmp_path):
    images = {f"f{n}.jpg": jpeg(n) for n in range(3)}
    (tmp_path / "p.tar.gz").write_bytes(package([("a.nxml", article()), *images.items()]))
    path = str(tmp_path / "p.tar.gz")
    wanted = ["PMC77/f2.jpg", "PMC77/none.jpg", "PMC77/f0.jpg"]
    found = dict(members.read_members(path, wanted))
    assert (found["PMC77/f0.jpg"], found["PMC77/f2.jpg"]) == (images["f0.jpg"], images["f2.jpg"])
    assert "no such member" in str(found["PMC77/none.jpg"])
    assert one_of(path, "PMC77/f1.jpg") == images["f1.jpg"]
    with pytest.raises(members.MemberError, match="more than the limit of 10"):
        one_of(path, "PMC77/f1.jpg", limit=10)
    (tmp_path / "toy.nxml").write_text(article())
    (tmp_path / "f1.jpg").write_bytes(images["f1.jpg"])
    (tmp_path / "link.jpg").symlink_to("/etc/hostname")
    beside = str(tmp_path / "toy.nxml")
    assert one_of(beside, "f1.jpg") == images["f1.jpg"]
    for name in ("../f1.jpg", "/etc/hostname", "link.jpg", "x/f1.jpg", "none.jpg", ".", "a\0b"):
        with pytest.raises(members.MemberError):
            one_of(beside, name)
    with pytest.raises(members.MemberError, match="more than 10 bytes"):
        one_of(beside, "f1.jpg", limit=10)
