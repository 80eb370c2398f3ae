"""WordNets in their own formats, and documents that are meant to hurt."""

import gzip

import pytest

from curate.concepts.building import wordnet
from curate.concepts.building.assembling import BuildError

TAB = """\
# Japanese Wordnet\tjpn\thttp://compling.example/wnja/\twordnet
00001740-a\tjpn:lemma\tできる
02084071-n\tjpn:lemma\t犬
02084071-n\tjpn:lemma\tドッグ
02084071-n\tjpn:def\t0\t犬という動物
10114209-n\tjpn:lemma\t犬
10114209-n\tfra:lemma\tagent_secret
"""
LMF = """\
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE LexicalResource SYSTEM "http://globalwordnet.example/schemas/WN-LMF-1.1.dtd">
<LexicalResource xmlns:dc="http://purl.org/dc/elements/1.1/">
  <Lexicon id="xx" label="A small one" language="de" email="a@b.example" license="https://creativecommons.org/licenses/by/4.0/" version="1">
    <LexicalEntry id="w1"><Lemma writtenForm="Hund" partOfSpeech="n"/><Form writtenForm="Hunde"/>
      <Sense id="s1" synset="a"/><Sense id="s2" synset="b"/></LexicalEntry>
    <LexicalEntry id="w2"><Lemma writtenForm="K&#xFC;hler Schrank" partOfSpeech="n"/><Sense id="s3" synset="c"/></LexicalEntry>
    <LexicalEntry id="w3"><Lemma writtenForm="auf+machen" partOfSpeech="v"><Pronunciation>x</Pronunciation></Lemma></LexicalEntry>
    <Synset id="a" ili="i1" partOfSpeech="n"><Definition>ein Tier</Definition></Synset>
  </Lexicon>
</LexicalResource>
"""
BOMB = """<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<LexicalResource><LexicalEntry><Lemma writtenForm="&b;"/></LexicalEntry></LexicalResource>"""


def test_synset_names_are_first_lemmas_with_blanks_and_without_markers(princeton):
    assert list(wordnet.princeton(princeton)) == [
        ("entity", "wordnet", 2.0),
        ("physical entity", "wordnet", 1.0),
        ("outback", "wordnet", 1.0),
        ("et al.", "wordnet", 1.0),
    ]


@pytest.mark.parametrize("packed", [False, True])
def test_a_table_gives_lemmas_with_their_synsets(tmp_path, packed):
    file = tmp_path / ("wn-data-jpn.tab.gz" if packed else "wn-data-jpn.tab")
    file.write_bytes(gzip.compress(TAB.encode()) if packed else TAB.encode())
    japanese = [("犬", "omw", 2.0), ("できる", "omw", 1.0), ("ドッグ", "omw", 1.0)]
    assert list(wordnet.multilingual(file, "jpn")) == japanese
    assert list(wordnet.multilingual(file, "fra")) == [("agent secret", "omw", 1.0)]
    with pytest.raises(BuildError, match="lemmas of fra and jpn; say which with --omw-language"):
        list(wordnet.multilingual(file))
    with pytest.raises(BuildError, match="no lemma in it of language 'deu'"):
        list(wordnet.multilingual(file, "deu"))


def test_lmf_gives_lemmas_with_their_senses_and_not_their_forms(tmp_path):
    (tmp_path / "wn.xml").write_text(LMF)
    found = list(wordnet.multilingual(tmp_path / "wn.xml"))
    assert found == [("Hund", "omw", 2.0), ("Kühler Schrank", "omw", 1.0), ("aufmachen", "omw", 1.0)]


def test_a_long_document_is_read_in_pieces(tmp_path):
    entry = '<LexicalEntry id="{0}"><Lemma writtenForm="wort{0}" partOfSpeech="n"/><Sense id="s{0}"/></LexicalEntry>\n'
    (tmp_path / "wn.xml").write_text(
        "<LexicalResource>" + "".join(entry.format(i) for i in range(20_000)) + "</LexicalResource>"
    )
    assert {text for text, _, _ in wordnet.multilingual(tmp_path / "wn.xml")} == {f"wort{i}" for i in range(20_000)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, "defines the entity 'a'"),
        (LMF[:400], "not XML"),
        ("# only a header\n", "no lemma"),
        ("00001740-a jpn:lemma\tx\n", "line 1: 2 fields"),
        ("", "no lemma"),
    ],
)
def test_what_is_no_wordnet_says_so(tmp_path, text, message):
    (tmp_path / "bad").write_text(text)
    with pytest.raises(BuildError, match=message):
        list(wordnet.multilingual(tmp_path / "bad"))


def test_tables_of_windows_with_a_mark_of_byte_order(tmp_path):
    (tmp_path / "x.tab").write_bytes(b"\xef\xbb\xbf0-n\tlemma\tauf+gehen\r\n0-n\tlemma\tC++\r\n1-n\texe\t0\tauf\r\n")
    # Lemmas without a language are of the one that is asked for.
    for language in (None, "deu"):
        assert [text for text, _, _ in wordnet.multilingual(tmp_path / "x.tab", language)] == ["C++", "aufgehen"]
    (tmp_path / "x.xml").write_bytes(b"\xef\xbb\xbf" + LMF.encode())
    assert len(list(wordnet.multilingual(tmp_path / "x.xml"))) == 3


@pytest.mark.parametrize("data", [gzip.compress(TAB.encode() * 100)[:-20], TAB.encode()])
def test_a_packed_table_that_cannot_be_read_says_so(tmp_path, data):
    (tmp_path / "x.tab.gz").write_bytes(data)
    with pytest.raises(BuildError, match=r"x.tab.gz: it cannot be read to its end .*; fetch it anew"):
        list(wordnet.multilingual(tmp_path / "x.tab.gz", "jpn"))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"no synset\n", "data.noun, line 1: not a synset: 'no synset'"),
        (b"entity n 1 0 1 0 00001740\n", "line 1: not a synset"),  # a line of index.noun
        (b"", "no synset in data.noun, data.verb"),
    ],
)
def test_files_that_are_no_database_of_wordnet_say_so(tmp_path, data, message):
    for file in wordnet.DATA_FILES:
        (tmp_path / file).write_bytes(data)
    with pytest.raises(BuildError, match=message):
        list(wordnet.princeton(tmp_path))


def test_markers_of_all_kinds_and_letters_beyond_ascii(tmp_path):
    words = {"noun": "caf\xe9", "verb": "go_(up)", "adj": "galore(ip)", "adv": "ahead(p)"}
    for kind, word in words.items():
        line = f"00001740 00 {kind[0].replace('a', 'r')} 0a {word} 0 other 1 000 | x  \r\n"
        (tmp_path / f"data.{kind}").write_bytes(line.encode("latin-1"))
    assert [text for text, _, _ in wordnet.princeton(tmp_path)] == ["caf\ufffd", "go (up)", "galore", "ahead"]
