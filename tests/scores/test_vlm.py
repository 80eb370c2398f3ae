"""MLM-Filter's scores through a loopback endpoint that speaks the protocol, and one that does not."""

import base64
import io
import tempfile
import threading

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from curate import schema
from curate.backends.contract import Answer
from curate.facts.contract import REASON, Picture, columns_of
from curate.scores import vlm
from curate.scores.settings import Vlm
from curate.weights import ModelError
from tests.endpoint import endpoint, says
from tests.scores.pictures import photograph


def png(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def scored(url, texts, images=None, image_of=None, workdir=None, **more) -> dict:
    settings = Vlm(endpoint=url, model="eyes", **{"retry_wait": 0.01, "retries": 1} | more)
    scorer = vlm.load(settings, "cpu", vlm.KIND.identity(settings))
    pictures = images or [Image.new("RGB", (40, 30), "red")]
    places = np.zeros(len(texts), np.int64) if image_of is None else np.array(image_of)
    with tempfile.TemporaryDirectory() as fresh, scorer.at("part-00000", workdir or fresh):
        answers = scorer.answer([scorer.see(Picture(png(picture), picture)) for picture in pictures])
        found = scorer.score(pa.table({"text": pa.array(texts, pa.string())}), answers, places)
    assert set(found) == {*columns_of(schema.load("scores/vlm")), REASON}
    assert {reason for reason in found[REASON] if reason} <= set(schema.load("scores/vlm").failed)
    return {name: list(values) for name, values in found.items()}


def words_of(request) -> str:
    return request["messages"][1]["content"][1]["text"]


def picture_of(request) -> Image.Image:
    url = request["messages"][1]["content"][0]["image_url"]["url"]
    assert url.startswith(("data:image/jpeg;base64,", "data:image/png;base64,"))
    return Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))


def test_each_pair_is_asked_four_questions_about_its_own_image_and_text():
    colours = {"red": (254, 0, 0), "blue": (0, 0, 254)}

    def answer(request, _):
        shade = picture_of(request).resize((1, 1)).getpixel((0, 0))
        colour = min(colours, key=lambda name: sum(abs(a - b) for a, b in zip(colours[name], shade, strict=True)))
        question = [name for name, text in vlm.QUESTIONS.items() if text.split("{text}")[1] in words_of(request)]
        number = {"matching": 10, "detail": 20, "caption_quality": 30, "semantics": 40}[question[0]]
        return says(str(number + (f" a {colour} thing" in words_of(request))))

    images = [Image.new("RGB", (40, 30), colour) for colour in colours]
    with endpoint(answer) as (url, seen):
        found = scored(
            url,
            ["a red thing", "a blue thing", "a blue thing", "text with {braces}"],
            images,
            [0, 0, 1, 1],
            concurrency=3,
        )
    assert (
        found["matching"] == [11, 10, 11, 10] and found["semantics"] == [41, 40, 41, 40] and found[REASON] == [None] * 4
    )
    assert len(seen) == 16 and {request.path for request in seen} == {"/v1/chat/completions"}
    assert {(request["model"], request["temperature"]) for request in seen} == {("eyes", 0)}
    assert any("text with {braces}" in words_of(request) for request in seen)


def test_images_are_sent_no_larger_than_the_recipe_says_and_texts_no_longer_than_is_read():
    with endpoint(lambda request, _: says("5")) as (url, seen):
        scored(url, ["x" * 10_000], [photograph("astronaut.png").resize((900, 300))], side=64)
    assert {picture_of(request).size for request in seen} == {(64, 21)}
    assert max(len(words_of(request)) for request in seen) < 3000


@pytest.mark.parametrize(
    ("text", "value", "status"),
    [
        ("85", 85, None), (" 85.5\nbecause", 85.5, None), ("Score: 85/100", 85, None), ("**70**", 70, None), ("0", 0, None), ("100.", 100, None), ("\n\n42", 42, None),
        ("90%", 90, None), ("101", None, "out_of_range"), ("-3", None, "out_of_range"), ("999999999", None, "out_of_range"), ("", None, "no_score"),
        ("I cannot help with that.", None, "no_score"), ("I would give 85", None, "no_score"), ("85 or 90", None, "no_score"), ("nan", None, "no_score"),
        ("inf", None, "no_score"), ("1e2", None, "no_score"), ("٨٥", 85, None), ("8" * 100_000, None, "no_score"), ("\u200b" * 50_000, None, "no_score"),
    ],
)  # fmt: skip
def test_only_a_number_on_the_first_line_is_a_score(text, value, status):
    found, said = vlm.read(Answer(text))
    assert said == status and (np.isnan(found) if value is None else found == value)


BROKEN = {
    b"": "bad_answer", b"<html>": "bad_answer", b"{}": "bad_answer", b'{"choices": []}': "bad_answer", b'{"choices": [{"message": {"content": null}}]}': "bad_answer",
    b'{"choices": {"a": 1}}': "bad_answer", b"[" * 100_000: "bad_answer", b'{"choices": [{"message": {"content": [1]}}]}': "bad_answer", says("50")[2] + b" " * 2**21: "bad_answer",
}  # fmt: skip


@pytest.mark.parametrize("body", BROKEN, ids=range(len(BROKEN)))
def test_answers_that_are_not_of_the_protocol_are_a_status(body):
    with endpoint(lambda request, _: (200, {}, body)) as (url, _):
        assert scored(url, ["one"])[REASON] == [BROKEN[body]]


def test_one_bad_answer_fails_its_own_pair_alone():
    def answer(request, _):
        return says("I will not" if "second" in words_of(request) and "grammar" in words_of(request) else "50")

    with endpoint(answer) as (url, _):
        found = scored(url, ["first", "second", "third"])
    assert found[REASON] == [None, "no_score", None] and found["matching"][2] == 50


def test_what_may_pass_is_asked_again_and_what_does_not_is_a_status():
    with endpoint(lambda request, n: says("7") if n > 2 else (429, {"Retry-After": "0"}, b"")) as (url, seen):
        assert scored(url, ["one"], concurrency=1, retries=2)["matching"] == [7]
        assert len(seen) == 6
    for said in (None, (500, {}, b""), (429, {"Retry-After": "0"}, b"")):
        with endpoint(lambda request, n, said=said: said) as (url, seen):
            assert scored(url, ["one"])[REASON] == ["no_answer"]
            assert len(seen) == 8
    for status in (400, 413, 302):
        with endpoint(lambda request, n, status=status: (status, {"Location": "http://127.0.0.1:1/"}, b"")) as (
            url,
            seen,
        ):
            assert scored(url, ["one"])[REASON] == ["rejected"]
            assert len(seen) == 4


def test_a_slow_endpoint_ends_at_the_timeout():
    waiting = threading.Event()
    with endpoint(lambda request, n: waiting.wait(5) and None) as (url, _):
        assert scored(url, ["one"], timeout=0.2, retries=0)[REASON] == ["no_answer"]
        waiting.set()


@pytest.mark.parametrize(("status", "message"), [(401, "does not take the key"), (404, "no such path or model")])
def test_an_endpoint_that_refuses_everything_stops_the_run(status, message, monkeypatch):
    monkeypatch.setenv("EYES_KEY", "secret-of-mine")
    with endpoint(lambda request, n: (status, {}, b'{"error": "no such model eyes"}')) as (url, seen):
        with pytest.raises(ModelError, match=message) as caught:
            scored(url, ["one"], key_variable="EYES_KEY")
    assert seen[0].headers["Authorization"] == "Bearer secret-of-mine"
    assert "secret-of-mine" not in str(caught.value) and "no such model eyes" in str(caught.value)


def test_nobody_at_the_endpoint_stops_the_run():
    with endpoint(lambda request, n: None) as (url, _):
        pass
    with pytest.raises(ModelError, match=r"nobody answers at http://127\.0\.0\.1"):
        scored(url, ["one"])


def test_the_key_comes_from_the_environment_and_is_part_of_nothing(monkeypatch):
    settings = Vlm(endpoint="http://localhost/v1", model="eyes", key_variable="EYES_KEY")
    monkeypatch.delenv("EYES_KEY", raising=False)
    with pytest.raises(ModelError, match="environment variable EYES_KEY"):
        vlm.load(settings, "cpu", {})
    monkeypatch.setenv("EYES_KEY", "secret-of-mine")
    scorer = vlm.load(settings, "cpu", {})
    identity = vlm.KIND.identity(settings)
    assert "secret" not in repr(scorer._endpoint) + repr(identity) and not {"endpoint", "key_variable"} & set(identity)
    assert identity["questions"] == vlm.QUESTIONS and identity["model"] == "eyes"


def test_no_rows_are_no_questions():
    with endpoint(lambda request, n: says("1")) as (url, seen):
        assert scored(url, [])["matching"] == [] and not seen


def test_what_was_answered_is_not_asked_again_by_a_part_that_is_made_again(tmp_path):
    def answer(request, count):
        return says("50") if count <= 5 else (401, {}, b"no more")

    with endpoint(answer) as (url, seen):
        with pytest.raises(ModelError, match="401"):
            scored(url, ["one", "two", "three"], workdir=tmp_path, concurrency=1)
    with endpoint(lambda request, _: says("50")) as (url, again):
        found = scored(url, ["one", "two", "three"], workdir=tmp_path, concurrency=1)
    assert found[REASON] == [None] * 3
    told = [words_of(request) for request in seen[:5]] + [words_of(request) for request in again]
    assert len(told) == len(set(told)) == 12
