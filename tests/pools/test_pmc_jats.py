"""JATS of several versions, well-formed and not: figures, captions, mentions, licences, and XML that attacks its reader."""

import time

import pytest

from curate.pools.pages import BadRecord
from curate.pools.pmc import jats, licenses, panels
from tests.jats import CC_BY, DTD, NAMESPACES, article, figure

LIMIT = 64 * 2**20


def articles(xml: str | bytes, limit: int = LIMIT) -> list[jats.Article]:
    return list(jats.articles(xml.encode() if isinstance(xml, str) else xml, limit))


def one(*parts: str, **how) -> jats.Article:
    [found] = articles(article(*parts, **how))
    return found


def caption(inside: str) -> str:
    return one(figure("f1", inside)).figures[0].caption


@pytest.mark.parametrize(
    ("inside", "text"),
    [
        ("<title>Toys.</title><p>Two <bold>red</bold>\n  and <italic>blue</italic>.</p><p>Bar: 1&#160;mm.</p>",
         "Toys. Two red and blue. Bar: 1 mm."),
        ("<p>H<sub>2</sub>O <xref ref-type='bibr' rid='r1'>[1]</xref>&amp; x&lt;y</p>", "H2O [1]& x<y"),
        ("<p>one<list><list-item><p>two</p></list-item></list>three<break/>four</p>", "one two three four"),
        ("<p>a <inline-formula><alternatives><tex-math id='M1'>\\documentclass[12pt]{minimal}\\begin{document}$$\\alpha$$"
         "\\end{document}</tex-math><mml:math id='M2'><mml:mi>α</mml:mi><mml:mo>=</mml:mo></mml:math>"
         "<inline-graphic xlink:href='1.gif'/></alternatives></inline-formula> b</p>", "a α= b"),
        ("<p>a <tex-math>\\usepackage{x}\\begin{document}$$\\beta_1$$\\end{document}</tex-math> b</p>", "a \\beta_1 b"),
        ("<p>seen<!-- not --><?not this?> <alt-text>not</alt-text>well</p>", "seen well"),
    ],
)  # fmt: skip
def test_captions_are_flattened(inside, text):
    assert caption(inside) == text


@pytest.mark.parametrize(
    "xml",
    [
        article(figure("f1")),
        article(figure("f1"), dtd=""),
        article(figure("f1"), dtd="", attributes=f'{NAMESPACES} xmlns="https://jats.nlm.nih.gov/ns/archiving/1.3/"'),
        article(figure("f1"), dtd="", attributes=f'{NAMESPACES} xmlns="http://dtd.nlm.nih.gov/2.0/xsd/archivearticle"'),
        article(figure("f1"), dtd='<!DOCTYPE article SYSTEM "http://127.0.0.1:1/none.dtd">'),
        f"<pmc-articleset>{article(figure('f1'), declaration='', dtd='')}</pmc-articleset>",
        article(figure("f1")).replace("UTF-8", "UTF-16").encode("utf-16"),
        "\ufeff" + article(figure("f1")),
        article(figure("f1")).replace("xlink", "xl"),
        article(floats=figure("f1")),
        article(f"<boxed-text><sec><p>In a box {figure('f1')} as well</p></sec></boxed-text>"),
        article(front=f'<abstract abstract-type="graphical"><p>{figure("f1")}</p></abstract>'),
    ],
)
def test_every_version_says_the_same(xml):
    [found] = articles(xml)
    [image] = found.figures
    assert (image.id, image.label, image.caption, image.graphics) == ("f1", "f1", "A caption.", ["f1"])
    assert (found.meta.pmid, found.meta.pmcid, found.meta.title, found.meta.journal, found.meta.date, found.lang) == (
        "1234", "PMC77", "On toys", "Journal of Toys", "2020-05-03", "en",
    )  # fmt: skip
    assert found.meta.license.code == "CC BY"


def test_groups_lend_their_caption():
    inner = f"<fig-group id='g2'><label>B</label>{figure('f3', '<p>Own.</p>')}</fig-group>"
    group = f"<fig-group id='g1'><label>Figure 1</label><caption><p>All.</p></caption>{figure('f1', '')}{inner}{figure('f4', '')}</fig-group>"
    found = [
        (f.id, f.caption, f.group_label, f.group_caption) for f in one(figure("f0"), group, figure("f5", "")).figures
    ]
    assert found == [
        ("f0", "A caption.", "", ""), ("f1", "All.", "Figure 1", "All."), ("f3", "Own.", "B", ""),
        ("f4", "All.", "Figure 1", "All."), ("f5", "", "", ""),
    ]  # fmt: skip


def test_graphics_are_one_for_each_picture():
    forms = '<alternatives><graphic xlink:href="big"/><graphic xlink:href="small"/></alternatives>'
    found = one(figure("f1", "<p>x</p>", "a", "b", "a"), f'<fig id="f2"><caption><p>x</p></caption>{forms}</fig>')
    assert [image.graphics for image in found.figures] == [["a", "b"], ["big"]]


def test_formulas_tables_and_supplements_are_no_figures():
    found = one(
        '<disp-formula><graphic xlink:href="e1"/></disp-formula><table-wrap><graphic xlink:href="t1"/></table-wrap>'
        '<supplementary-material><media xlink:href="s1.zip"><caption><p>Data</p></caption></media></supplementary-material>'
    )
    assert found.figures == []


def test_mentions_are_the_paragraphs_that_refer_to_a_figure():
    reference = '<xref ref-type="fig" rid="f1 f2">Figs 1, 2</xref>'
    many = "".join(f"<p>{n} {reference} {'x' * 2000}</p>" for n in range(9))
    found = one(
        f"<p>Before {reference}.</p>", figure("f1", f"<p>As in {reference}.</p>"), figure("f2"), many,
        '<p>Not <xref ref-type="bibr" rid="f1">1</xref> <xref ref-type="fig" rid="f3">3</xref></p>', figure("f4"),
        front=f"<abstract><p>Abstract {reference}</p></abstract>",
    )  # fmt: skip
    first, second, fourth = found.figures
    assert first.mentions == second.mentions and fourth.mentions == []
    assert first.mentions[0] == "Before Figs 1, 2."
    assert (len(first.mentions), max(map(len, first.mentions))) == (jats.MAX_MENTIONS, jats.MAX_MENTION)


def test_a_paragraph_goes_on_behind_a_figure_inside_it():
    found = one(f'<p>Before <xref ref-type="fig" rid="f1">1</xref>, {figure("f1")} and behind.</p>')
    assert found.figures[0].mentions == ["Before 1, and behind."]


def test_metadata_keywords_and_mesh():
    found = one(front=(
        '<article-categories><subj-group><subject>Toys</subject><subj-group><subject>Wood</subject></subj-group></subj-group>'
        '</article-categories><kwd-group kwd-group-type="author"><kwd>doll</kwd><kwd>doll</kwd></kwd-group>'
        '<kwd-group vocab="mesh"><kwd>Play and Playthings</kwd></kwd-group><kwd-group><title>MeSH terms</title><kwd>Child</kwd>'
        '</kwd-group><pub-date pub-type="ppub"><year>2020</year></pub-date>'
        '<pub-date pub-type="pmc-release"><year>1999</year></pub-date>'
    )).meta  # fmt: skip
    assert (found.keywords, found.mesh_terms, found.subjects) == (
        ("doll",),
        ("Play and Playthings", "Child"),
        ("Toys", "Wood"),
    )
    assert found.date == "2020-05-03"


@pytest.mark.parametrize(
    ("license", "code", "bucket"),
    [
        (CC_BY, "CC BY", "commercial"),
        ('<license xlink:href="http://creativecommons.org/licenses/by-nc-nd/3.0/us/"/>', "CC BY-NC-ND", "noncommercial"),
        ("<license><ali:license_ref>https://creativecommons.org/licenses/by-sa/4.0</ali:license_ref></license>", "CC BY-SA", "commercial"),
        ("<ali:license_ref>https://creativecommons.org/licenses/by-nd/4.0/</ali:license_ref>", "CC BY-ND", "commercial"),
        ('<license><license-p>See <ext-link xlink:href="http://creativecommons.org/licenses/by-nc-sa/2.5/">this</ext-link></license-p></license>', "CC BY-NC-SA", "noncommercial"),
        ("<license><p>Creative Commons Attribution Non-Commercial Share Alike License</p></license>", "CC BY-NC-SA", "noncommercial"),
        ("<license><p>the Creative Commons Attribution–NonCommercial–NoDerivs 3.0</p></license>", "CC BY-NC-ND", "noncommercial"),
        ("<license><p>published under CC-BY-NC 4.0.</p></license>", "CC BY-NC", "noncommercial"),
        ("<license><p>a Creative Commons Attribution License (CC BY).</p></license>", "CC BY", "commercial"),
        ("<license><p>CC BY 4.0; CC0 for its data (http://creativecommons.org/publicdomain/zero/1.0/)</p></license>", "CC BY", "commercial"),
        ('<license xlink:href="https://creativecommons.org/publicdomain/zero/1.0/"/>', "CC0", "commercial"),
        ('<license xlink:href="https://creativecommons.org/licenses/by/4.0/"><p>CC BY-NC</p></license>', "CC BY-NC", "noncommercial"),
        ("<license><p>Open access; free for non-commercial use.</p></license>", "NO-CC CODE", "other"),
        ("<copyright-statement>© 2020 A publisher</copyright-statement>", "NO-CC CODE", "other"),
        ("", "NO-CC CODE", "other"),
    ],
)  # fmt: skip
def test_licences_by_address_and_by_words(license, code, bucket):
    found = one(license=license).meta.license
    assert (found.code, licenses.bucket(found.code)) == (code, bucket)


@pytest.mark.parametrize("code", licenses.BUCKETS)
def test_codes_of_lists_are_themselves(code):
    assert licenses.listed(code) == licenses.listed(code.replace(" ", "-").lower() + " 4.0") == code
    assert licenses.listed("NO-CC CODE") == licenses.NO_CODE


@pytest.mark.parametrize(
    ("text", "labels", "spans"),
    [
        ("Toys. (A) A doll. (B) A bear.", "AB", ["(A) A doll.", "(B) A bear."]),
        ("(a) One; (b, c) two. (d–f) Three (a).", "abcdef", ["(a) One;", "(b, c) two.", "(b, c) two.", *["(d–f) Three (a)."] * 3]),
        ("Brain (A) and liver (B).", "AB", None),
        ("(A and B) Both. (C) One.", "ABC", ["(A and B) Both."] * 2 + ["(C) One."]),
        ("(B) First. (C) Second.", "", []),
        ("Vitamin (A) alone.", "", []),
        ("(A) One. (b) Two.", "", []),
        ("(n = 3), (p < 0.05), (SEM)", "", []),
    ],
)  # fmt: skip
def test_panels_are_those_that_the_caption_marks(text, labels, spans):
    found = panels.panels(text)
    assert "".join(panel["label"] for panel in found) == labels
    if spans is None:
        assert all(set(panel) == {"label"} for panel in found)
    else:
        assert [text[panel["start"] : panel["end"]] for panel in found] == spans


BOMB = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    "xml",
    [
        article(figure("f1"))[:-1],
        article(figure("f1") + "<p>"),
        article("<p>&undefined;</p>", dtd=""),
        article(f"<p>{'<b>' * 5000}{'</b>' * 5000}</p>"),
        article(figure("f1", "<p>&l9;</p>"), dtd=f'<!DOCTYPE article [<!ENTITY l0 "lol">{BOMB}]>'),
        article('<p id="&l9;"/>', dtd=f'<!DOCTYPE article [<!ENTITY l0 "lol">{BOMB}]>'),
        article(figure("f1"), dtd=f'<!DOCTYPE article [<!ENTITY l0 "lol">{BOMB}]>'),
        article(figure("f1", "<p>caf\xe9</p>")).encode("latin-1"),
        article(figure("f1")).encode().replace(b"A caption", b"A \xff\xfe caption"),
        article("<p>\x01</p>"),
        "", "\n", "no XML at all", "<article", b"\x1f\x8b\x08", b"\0" * 100,
    ],
)  # fmt: skip
def test_what_is_no_xml_is_a_bad_record(xml):
    began = time.process_time()
    with pytest.raises(BadRecord, match="XML: "):
        articles(xml)
    assert time.process_time() - began < 2


def test_the_limits_of_a_file():
    with pytest.raises(BadRecord, match=r"more than extract\.max_record_bytes=10"):
        articles(article(), limit=10)
    with pytest.raises(BadRecord, match="tags and attributes are more than"):
        articles(article("<p/>" * jats.MAX_NODES))


def test_entities_are_never_read_from_files(tmp_path):
    (tmp_path / "secret").write_text("secret")
    dtd = f'<!DOCTYPE article [<!ENTITY x SYSTEM "file://{tmp_path}/secret"><!ENTITY y "plain">]>'
    assert caption("<p>x</p>") == "x"
    [found] = articles(article(figure("f1", "<p>a &x;&y;&amp; b</p>"), dtd=dtd))
    assert found.figures[0].caption == "a & b"
    # Names that the DTD of JATS declares, which is not read.
    [found] = articles(article(figure("f1", "<p>&alpha;&nbsp;&ndash; &micro;m &unheardof;</p>"), dtd=DTD))
    assert found.figures[0].caption == "α – µm"


def test_bytes_count_for_more_than_their_declaration():
    xml = article(figure("f1", "<p>Größe µ</p>"), declaration='<?xml version="1.0" encoding="ISO-8859-1"?>')
    assert articles(xml)[0].figures[0].caption == "Größe µ"
    assert articles(xml.encode("latin-1"))[0].figures[0].caption == "Größe µ"


def test_sets_of_articles_keep_theirs_apart():
    first, second = (article(figure("f1"), pmcid=f"PMC{n}", pmid=None, declaration="", dtd="") for n in (1, 2))
    found = articles(f"<pmc-articleset>{first}{second}</pmc-articleset>")
    assert [(a.meta.pmcid, a.meta.pmid, len(a.figures)) for a in found] == [("PMC1", None, 1), ("PMC2", None, 1)]
    assert articles("<mets><fig/></mets>") == []


def test_many_groups_and_paragraphs_take_no_time():
    part = "<fig-group>" + figure("f1", "") + "</fig-group>" + '<p><xref ref-type="fig" rid="f1"/>x</p>'
    began = time.process_time()
    assert len(one(part * 20_000).figures) == 20_000
    assert time.process_time() - began < 8
