"""Captioners that join what is known with what is seen: fuse, realign, agents; and what becomes of a pair where they fail."""

import pytest

from curate.backends.contract import Answer, Photo
from curate.captions import agents, fuse, realign
from curate.captions.contract import REASON, Row
from tests.captions.workdirs import captioned, own, task_of
from tests.endpoint import endpoint, says

ALT, SEEN = "Harbour of Como, July 1998 - IMG_2034.jpg", "Two white boats lie at a stone pier under a blue sky."
GOOD = "Two white boats lie at a stone pier in the harbour of Como in July 1998"
PHOTO = Photo(b"", "0" * 64)


def row(text=ALT) -> Row:
    return Row("a" * 32, "b" * 32, text, {"captions/describe": {"captions": [SEEN]}}, PHOTO)


def held(captioner, *answers, of=None):
    """A conversation: what was asked, step by step, and its columns."""
    talk, asked = captioner.converse(of or row()), []
    step = next(talk)
    for answer in answers:
        asked += step
        try:
            step = talk.send([Answer(answer) if isinstance(answer, str) else answer])
        except StopIteration as done:
            return asked, done.value
    raise AssertionError("it asks on")


def fuser(**more):
    settings = fuse.Fuse(backend="b", of="describe", **more)
    return fuse.load(settings, "cpu", {})


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (GOOD, None),
        (f"Sentence: {GOOD}\nText: and more", None),
        ("", "empty"),
        ("As an AI language model I cannot fuse", "refusal"),
        ("boats " * 500, "too_long"),
        ("Fishermen repair their nets beside a crowded restaurant", "invents"),
        ("Two white boats lie at a pier in Como in 1997", "invents"),
        (fuse.PROMPT[:200], "copies_prompt"),
        (Answer("Two white boats", finish="length"), "cut_off"),
    ],
)
def test_a_fusion_keeps_to_its_sources_or_the_alt_text_stands(said, why):
    asked, told = held(fuser(), said)
    assert ALT in asked[0].prompt and SEEN in asked[0].prompt and asked[0].photo is None
    assert told[REASON] == why
    assert told.get("captions") == (None if why else [GOOD]) and told.get("rejections") == ([why] if why else None)
    assert (told["new_share"] is None) == (why == "empty")


def test_limits_of_a_fusion_are_settings():
    new = "Two white boats lie at a stone pier while fishermen wait"
    assert held(fuser(), new)[1]["new_share"] == pytest.approx(1 / 3)
    assert held(fuser(most_new=0.3), new)[1][REASON] == "invents"
    assert held(fuser(keep_numbers=True), new)[1][REASON] == "lost_numbers"
    assert held(fuser(keep_names=True), new, of=row("boats in the harbour of Como"))[1][REASON] == "lost_names"
    with pytest.raises(ValueError, match="seen"):
        fuser(prompt="{alt}")


def test_what_a_text_says_in_braces_is_not_filled_in():
    asked, _ = held(fuser(), GOOD, of=row("{seen} and {alt}"))
    assert "Text: {seen} and {alt}\n" in asked[0].prompt and asked[0].prompt.count(SEEN) == 1


def test_realigning_shows_the_image_and_keeps_names():
    captioner = realign.load(realign.Realign(backend="b"), "cpu", {})
    alt = "boats in the harbour of Como, " + "word " * 200
    asked, told = held(captioner, GOOD, of=row(alt))
    how = asked[0].sampling
    assert asked[0].photo is PHOTO and (how.temperature, how.top_p) == (0.2, 0.7) and told["captions"] == [GOOD]
    assert len(asked[0].prompt.partition("Text: ")[2].split()) == realign.MOST_WORDS
    assert held(captioner, "Two boats at a pier", of=row(alt))[1][REASON] == "lost_names"
    assert held(captioner, realign.PROMPT, of=row(alt))[1][REASON] == "copies_prompt"
    assert held(captioner, "I'm unable to see images", of=row(alt))[1][REASON] == "refusal"
    assert held(captioner, Answer(status="undecodable"), of=row(alt))[1] == {REASON: "undecodable"}
    loose = realign.load(realign.Realign(backend="b", keep_names=False, keep_numbers=True), "cpu", {})
    assert held(loose, "Two boats at a pier", of=row(alt))[1][REASON] is None
    assert held(loose, "Two boats at a pier", of=row("in 1998"))[1][REASON] == "lost_numbers"


STEPS = ["Two boats lie at a pier, and a dog sits there.", "Two boats lie at a pier in Como.", "Boats in Como."]


def crew(**more):
    settings = agents.Agents(backend="b", **more)
    return agents.load(settings, "cpu", agents.identity(settings))


def test_three_steps_follow_upon_each_other_and_all_stay():
    asked, told = held(crew(), *STEPS)
    assert [request.photo for request in asked] == [PHOTO, PHOTO, None]
    assert ALT not in asked[0].prompt and ALT in asked[1].prompt and STEPS[0] in asked[1].prompt
    assert STEPS[1] in asked[2].prompt and STEPS[0] not in asked[2].prompt
    assert told == dict(zip(agents.STEPS, STEPS, strict=True)) | {"captions": [STEPS[2]], REASON: None}


@pytest.mark.parametrize("step", range(3))
@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("I'm sorry, I can't describe it", "refusal"),
        (Answer(status="no_answer"), "no_answer"),
        (Answer("Two", "length"), "cut_off"),
    ],
)
def test_where_a_step_fails_those_before_it_stay(step, bad, why):
    asked, told = held(crew(), *STEPS[:step], bad)
    assert len(asked) == step + 1 and told[REASON] == why and "captions" not in told
    assert {name: told.get(name) for name in agents.STEPS} == dict.fromkeys(agents.STEPS) | dict(
        zip(agents.STEPS, STEPS[:step], strict=False)
    )


def test_prompts_of_ones_own_have_to_tell_the_step_before():
    asked, _ = held(crew(prompts={"summary": "Short, please: {revision}"}), *STEPS)
    assert asked[2].prompt == f"Short, please: {STEPS[1]}"
    assert agents.identity(agents.Agents(backend="b", prompts={"summary": "Short: {revision}"})) != agents.identity(
        agents.Agents(backend="b")
    )
    for prompts, said in (({"sumary": "{revision}"}, "summary"), ({"summary": "Short"}, "revision")):
        with pytest.raises(ValueError, match=said):
            agents.Agents(backend="b", prompts=prompts)


def test_tables_of_all_three(small_workdir, tmp_path):
    """`fuse` reads what `describe` saw; a pair without that has none; the ledger has a reason for each."""

    def answer(request, _):
        content = request["messages"][-1]["content"]
        text = content if isinstance(content, str) else content[-1]["text"]
        if text.startswith("Describe this image in one"):
            return says(SEEN) if len(seen) % 3 else says("I'm sorry, I can't see it")
        if "Make one short sentence" in text:
            return says("Two white boats at a pier") if text[-20] < "k" else says("")
        return says("Two white boats")

    with endpoint(answer) as (url, seen):
        workdir = own(small_workdir, tmp_path)
        backend = {"backend": "openai", "endpoint": url, "model": "eyes", "retries": 0, "concurrency": 1}
        first = {"captioner": "describe", "backend": "openai"}
        described, _ = captioned(task_of(workdir, [backend], first))
        fused, _ = captioned(
            task_of(workdir, [backend], first, {"captioner": "fuse", "backend": "openai", "of": "describe"})
        )
        stepped, _ = captioned(task_of(workdir, [backend], {"captioner": "agents", "backend": "openai"}))
        edited, _ = captioned(
            task_of(workdir, [backend], {"captioner": "realign", "backend": "openai", "keep_names": False})
        )
    pairs = list(zip(described.to_pylist(), fused.to_pylist(), strict=True))
    left = {one["reason"] for one, _ in pairs if one["state"] == "dropped"}
    assert left == {"refusal"} and {two["reason"] for one, two in pairs if one["reason"] == "refusal"} == {"no_caption"}
    for one, two in pairs:
        assert (two["state"] == "kept") == (two["captions"] is not None)
        assert two["state"] != "kept" or (one["captions"] and two["new_share"] == 0)
    kept = [one for one in stepped.to_pylist() if one["state"] == "kept"]
    assert kept and all(one["requests"] == 3 and one["summary"] == one["captions"][0] for one in kept)
    assert {one["state"] for one in edited.to_pylist()} == {"kept", "gone"}
