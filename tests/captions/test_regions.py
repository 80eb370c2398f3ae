"""Regions: phrases of captions, drawn by hash where there are many, boxes above the floor, and a reason where there are none."""

import json

import pytest

from curate import recipe
from curate.backends.contract import Answer
from curate.captions.contract import REASON, Row
from curate.captions.features import Features, Lister, listed
from curate.captions.regions import Finder, Regions, chosen
from curate.texts.phrases import phrases
from tests.backends.small_owl import small_owl  # noqa: F401
from tests.captions.workdirs import captioned, own, task_of
from tests.small_captions import captions_of, write_captions


def row(text="a red apple on a wooden table", **tables) -> Row:
    return Row("0" * 32, "1" * 32, text, {f"captions/{name}": value for name, value in tables.items()}, None)


def talk(captioner, one: Row, *answers: Answer) -> dict:
    conversation = captioner.converse(one)
    try:
        asked = [next(conversation)]
        for answer in answers:
            asked.append(conversation.send([answer]))
    except StopIteration as done:
        return done.value | {"asked": asked if answers else []}
    raise AssertionError("the conversation did not end")


def boxes(*found) -> Answer:
    return Answer(json.dumps(found))


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("A red apple on a wooden table", ["red apple", "wooden table"]),
        ("a man riding a horse in front of a large swimming pool", ["man", "horse", "large swimming pool"]),
        ("Two dogs running across the green grass, with a blue frisbee.", ["dogs", "green grass", "blue frisbee"]),
        ("IMG_1234.jpg", []),
        ("very beautiful, so blue", []),
        ("", []),
        ("the woman's bicycle and the bicycle", ["woman bicycle", "bicycle"]),
    ],
)
def test_phrases_are_of_things(caption, expected):
    assert phrases(caption) == expected


def test_hostile_captions_take_no_time():
    for text in ("a" * 200_000, "apple " * 100_000, "'" * 100_000, "-".join(["ab"] * 50_000)):
        assert len(phrases(text)) <= 2


def test_boxes_above_the_floor_have_their_phrase():
    found = talk(
        Finder(Regions(backend="owl")),
        row(),
        boxes([1, 0.9, 0, 0, 0.5, 1], [0, 0.11, 0, 0, 1, 1], [0, 0.1, 0, 0, 1, 1]),
    )
    assert found["asked"][0][0].prompt == "red apple\nwooden table"
    assert (
        found["regions"] == ["wooden table", "red apple"]
        and found["box_scores"] == [0.9, 0.11]
        and found[REASON] is None
    )
    assert found["boxes"] == [[0, 0, 0.5, 1], [0, 0, 1, 1]] and found["phrases"] == ["red apple", "wooden table"]


@pytest.mark.parametrize(
    ("one", "answer", "reason"),
    [
        (row("so very blue"), None, "no_phrase"),
        (row(), boxes([0, 0.05, 0, 0, 1, 1]), "no_box"),
        (row(), boxes(), "no_box"),
        (row(), boxes([7, 0.9, 0, 0, 1, 1]), "bad_answer"),
        (row(), boxes([0, 0.9, 0, 0, 1.2, 1]), "bad_answer"),
        (row(), Answer("Sure! Here are the boxes"), "bad_answer"),
        (row(), Answer(status="undecodable"), "undecodable"),
    ],
)
def test_what_gives_no_region_has_a_reason(one, answer, reason):
    assert talk(Finder(Regions(backend="owl")), one, *([answer] if answer else []))[REASON] == reason


def test_at_most_twenty_phrases_are_drawn_by_hash():
    settings = Regions(backend="owl", features="listed")
    many = [f"thing {number}" for number in range(60)]
    first = chosen(many, "1" * 32, settings)
    assert len(first) == 20 and first == chosen(many, "1" * 32, settings) == sorted(first, key=many.index)
    assert first != chosen(many, "2" * 32, settings)
    # A phrase's draw does not hang on the others.
    fewer = chosen([phrase for phrase in many if phrase != first[0]], "1" * 32, settings)
    assert set(first) - {first[0]} <= set(fewer)
    assert chosen(many[:20], "1" * 32, settings) == many[:20]


def test_phrases_of_another_captioner():
    finder = Finder(Regions(backend="owl", features="listed"))
    found = talk(finder, row(listed={"features": ["a red hat", "two dogs"]}), boxes([1, 0.9, 0, 0, 1, 1]))
    assert found["regions"] == ["two dogs"]
    seen = talk(
        Finder(Regions(backend="owl", of="seen")),
        row(seen={"captions": ["a cat", "a cat, a dog"]}),
        boxes([1, 0.9, 0, 0, 1, 1]),
    )
    assert seen["phrases"] == ["cat", "dog"]
    with pytest.raises(ValueError, match="both given"):
        Regions(backend="owl", features="a", of="b")


def test_a_list_is_read_a_line_at_a_time():
    text = "Here is the list:\n1. A red hat.\n- two dogs!\n* two dogs\n\n• the man who stands on the left side of the very long road\n---\n3) 42\nGrass"
    found, left = listed(text, Features(backend="x"))
    assert found == ["a red hat", "two dogs", "grass"] and len(left) == 2
    assert listed("\n".join(map(str, "abcdefghijklmnop")), Features(backend="x"))[0] == list("abcdefghij")
    lister = Lister(Features(backend="x"))
    assert talk(lister, row(), Answer("a hat\na d", "length"))["features"] == ["a hat", "a d"]
    assert talk(lister, row(), Answer("I'm sorry, I can't help with that image."))[REASON] == "refusal"
    assert talk(lister, row(), Answer(""))[REASON] == "empty"
    assert talk(lister, row(), Answer(status="no_answer"))[REASON] == "no_answer"


def test_a_real_detector_fills_the_table(small_workdir, small_owl, tmp_path):  # noqa: F811
    workdir = own(small_workdir, tmp_path)
    write_captions(workdir, "seen", "describe", lambda uid: {"captions": ["a red disc"]} if captions_of(uid) else None)
    backend = {"backend": "owl", "model": str(small_owl), "floor": 0.0}
    seen = {"captioner": "describe", "backend": "owl", "name": "seen"}
    table, _ = captioned(task_of(workdir, [backend], seen, {"captioner": "regions", "backend": "owl", "of": "seen"}))
    states = {(r["state"], r["reason"]) for r in table.to_pylist()}
    assert ("kept", None) in states and ("dropped", "no_caption") in states and ("gone", None) in states
    for one in table.to_pylist():
        if one["state"] == "kept":
            assert one["regions"] and set(one["regions"]) == {"red disc"} and min(one["box_scores"]) > 0.1
            assert all(0 <= b[0] < b[2] <= 1 and 0 <= b[1] < b[3] <= 1 for b in one["boxes"])


def test_a_detector_that_is_not_here_is_said_before_anything_is_asked(small_workdir, tmp_path):
    with pytest.raises(recipe.RecipeError, match=r"'owls'.*did you mean 'owl'"):
        task_of(
            own(small_workdir, tmp_path),
            [{"backend": "owl", "model": "x"}],
            {"captioner": "regions", "backend": "owls"},
        )
