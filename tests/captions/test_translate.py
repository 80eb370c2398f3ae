"""Translations: what can be checked without knowing the language, and what stays of several."""

import pytest

from curate.backends.contract import Answer
from curate.captions import translate
from curate.captions.contract import REASON, Row
from curate.captions.translate import in_language, in_script, length
from curate.settings import RecipeError
from tests.captions.workdirs import captioned, own, task_of
from tests.endpoint import endpoint, says

ALT = "a brown dog runs on the beach with {0} and 12 red balls"
SAID = {
    "pt": "um cachorro marrom corre na praia com {0} e 12 bolas vermelhas",
    "es": "un perro marrón corre por la playa con {0} y 12 pelotas rojas",
    "fr": "un chien brun court sur la plage avec {0} et 12 ballons rouges",
    "de": "ein brauner Hund rennt am Strand mit {0} und 12 roten Bällen",
    "nl": "een bruine hond rent op het strand met {0} en 12 rode ballen",
    "it": "un cane marrone corre sulla spiaggia con {0} e 12 palle rosse",
    "zh": "一只棕色的狗带着{0}和12个红球在海滩上奔跑",
    "ko": "갈색 개가 {0} 및 12개의 빨간 공과 함께 해변에서 달립니다",
    "ru": "коричневая собака бежит по пляжу с {0} и 12 красными мячами",
}


def translator(**more) -> translate.Translator:
    settings = translate.Translate(backend="b", **more)
    return translate.load(settings, "cpu", translate.identity(settings))


def held(captioner, answers, text=ALT, tables=None):
    talk = captioner.converse(Row("a" * 32, "b" * 32, text, tables or {}, None))
    asked = next(talk)
    with pytest.raises(StopIteration) as done:
        talk.send([Answer(one) if isinstance(one, str) else one for one in answers])
    return asked, done.value.value


def test_nine_languages_come_with_their_tags():
    asked, told = held(translator(), SAID.values())
    assert [request.prompt.split(".")[0] for request in asked][-3:] == [
        f"Translate the caption into {name}" for name in ("Chinese", "Korean", "Russian")
    ]
    assert told[REASON] is None and told["rejected"] is None
    assert dict(zip(told["langs"], told["captions"], strict=True)) == SAID


@pytest.mark.parametrize(
    ("code", "said", "why"),
    [
        ("de", "", "empty"),
        ("de", "Es tut mir leid. I'm sorry, I cannot translate this", "refusal"),
        ("de", ALT.upper(), "same"),
        ("de", SAID["de"].replace("12", "einige"), "lost_numbers"),
        ("de", SAID["de"].replace("{0}", "{ 0 }") + " 0", "lost_placeholders"),
        ("de", SAID["fr"], "wrong_language"),
        ("de", SAID["ru"], "wrong_language"),
        ("ru", SAID["de"], "wrong_script"),
        ("zh", SAID["ko"], "wrong_script"),
        ("ko", SAID["zh"], "wrong_script"),
        ("de", "Hund {0} 12", "off_length"),
        ("de", f"{SAID['de']}, {SAID['de'].replace('Hund', 'Esel')}, und dann rennt er zurück, weil es so schön am Meer ist und keiner ihn ruft", "off_length"),
        ("de", Answer("ein brauner Hund", finish="length"), "cut_off"),
        ("de", f"Here is the translation:\n{SAID['de']}\n\n(I kept the placeholder.)", None),
    ],
)  # fmt: skip
def test_an_answer_is_a_translation_or_has_a_reason(code, said, why):
    _, told = held(translator(languages=(code,)), [said])
    assert told[REASON] == why, told
    assert told["rejections"] == ([why] if why else None)


def test_those_that_passed_stay_and_the_others_say_why():
    _, told = held(translator(languages=("de", "fr", "ru")), [SAID["de"], ALT, SAID["de"]])
    assert (told["captions"], told["langs"], told[REASON]) == ([SAID["de"]], ["de"], None)
    assert (told["rejections"], told["rejected_langs"]) == (["same", "wrong_script"], ["fr", "ru"])
    assert held(translator(languages=("de", "fr")), [SAID["de"], Answer(status="no_answer")])[1] == {
        REASON: "no_answer"
    }


def test_what_has_no_words_may_stay_as_it_is():
    _, told = held(
        translator(languages=("ru", "de")), ["Toyota Corolla 2012", "Toyota Corolla 2012"], "Toyota Corolla 2012"
    )
    assert told["langs"] == ["ru", "de"]
    _, told = held(translator(languages=("de", "zh")), ["Hund", "狗"], "dog")
    assert told["captions"] == ["Hund", "狗"]


def test_checks_can_be_switched_off():
    loose = translator(languages=("de",), keep_numbers=False, keep_placeholders=False, check_language=False)
    assert held(loose, ["un chien brun court sur la plage avec les ballons"])[1][REASON] is None


def test_a_captioners_caption_is_translated():
    captioner = translator(of="describe", languages=("de",))
    asked, _ = held(captioner, [SAID["de"]], tables={"captions/describe": {"captions": [ALT, "other"]}}, text="alt")
    assert asked[0].prompt.endswith(ALT)


def test_what_languages_are_written_in_and_how_long_they_are():
    assert (
        in_script("Toyota 红色汽车很好看的", "zh")
        and not in_script("red Toyota car 车", "zh")
        and in_script("abc", "de")
    )
    assert length("红车 ab") == 8
    assert in_language("Bild", "fr", "lid.176.ftz")  # too short to tell
    assert not in_language(SAID["de"], "fr", "lid.176.ftz") and in_language(SAID["de"], "xx", "lid.176.ftz")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"languages": ("de", "de")}, "twice"),
        ({"languages": ("dee",)}, "no name to ask by"),
        ({"prompt": "Translate {text}"}, "language"),
    ],
)
def test_settings_that_cannot_be_stop_at_once(more, said):
    with pytest.raises(ValueError, match=said):
        translate.Translate(backend="b", **more)
    assert translate.Translate(backend="b", languages=("xx",), names={"xx": "Klingon"})


def test_another_language_model_is_another_table(tmp_path):
    settings = translate.Translate(backend="b")
    with pytest.raises(RecipeError, match="not the language model"):
        translate.load(settings, "cpu", translate.identity(settings) | {"language_model": "0" * 32})
    with pytest.raises(RecipeError, match="no file"):
        translate.identity(translate.Translate(backend="b", language_model="none.ftz"))


def test_a_table_of_translations(small_workdir, tmp_path):
    def answer(request, _):
        text = request["messages"][-1]["content"]
        return says("" if "into French" in text else "это перевод: " + text.rpartition("Caption: ")[2])

    with endpoint(answer) as (url, _):
        backend = {"backend": "openai", "endpoint": url, "model": "words", "retries": 0}
        told = {"captioner": "translate", "backend": "openai", "languages": ["ru", "fr"], "check_language": False}
        table, _ = captioned(task_of(own(small_workdir, tmp_path), [backend], told))
    rows = [one for one in table.to_pylist() if one["state"] != "gone"]
    kept = [one for one in rows if one["state"] == "kept"]
    assert kept and all(
        (one["langs"], one["rejected_langs"], one["rejections"]) == (["ru"], ["fr"], ["empty"]) for one in kept
    )
    assert all(one["state"] == "dropped" and one["captions"] is None for one in rows if one not in kept)
