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
    assert sorted(wordnet.multilingual(file)) == sorted([*japanese, ("agent secret", "omw", 1.0)])
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
