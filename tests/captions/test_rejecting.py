"""A model's words: what is a caption is tidied, what is none has a reason, and hostile text costs no more than its length."""

import time

import pytest

from curate import schema
from curate.backends.contract import Answer
from curate.captions import keeping, rejecting
from curate.captions.rejecting import judged, judged_line, reason, tidy

LONG = 100_000
PIECES = [
    "a ,", "word ", "a", "{", "<a ", "https://", "%", "@", "a.b@", "1,", "1 234 ", "I can't ", "Here is ", " ", "*", "<|", "\u0301", "猫",
    "A1-", "sure, ", "<think>", "a-", "no image ", "\n", "I am ", "9", "please provide ", "Caption: ", "\u202e", "ab ab, ",
]  # fmt: skip


@pytest.mark.parametrize("piece", PIECES)
def test_hostile_text_takes_no_longer_than_its_length(piece):
    text = (piece * LONG)[:LONG] + "x"
    start = time.process_time()
    judged(Answer(text)), judged_line(Answer(text)), reason(text), rejecting.repeats(text)
    keeping.lost_numbers(text, text), keeping.lost_names(text, text), keeping.lost_placeholders(text, text)
    keeping.new_share(text, text), keeping.kept_share(text, text), keeping.has_words(text)
    assert time.process_time() - start < 3  # what is quadratic takes minutes


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ('Sure! Here is a rewritten caption: "A dog runs."', "A dog runs."),
        ("Sure thing! Here’s the revised version:\n\nA dog runs", "A dog runs"),
        ("**Caption:** a cat here", "a cat here"),
        ("Rewritten caption 1: a cat here", "a cat here"),
        ("<think>what do they want?</think>\n\na cat here", "a cat here"),
        ("a cat here<|im_end|>\n<|im_start|>user", "a cat here"),
        ("“a cat here”", "a cat here"),
        ("a\u202e cat\u200b he\u00adre\x00 now\ufeff", "a cat here now"),
        ("```a cat here```", "a cat here"),
        # What only looks like an opening stays.
        ("Sure-footed goat on rocks, 2020", "Sure-footed goat on rocks, 2020"),
        ("OK Corral, Tombstone: a view", "OK Corral, Tombstone: a view"),
        ("Here's Johnny: a portrait", "Here's Johnny: a portrait"),
        # Joiners are letters.
        ("می\u200cخواهم بروم", "می\u200cخواهم بروم"),
        ("a 👩\u200d🔧 at work", "a 👩\u200d🔧 at work"),
    ],
)
def test_what_surrounds_a_caption_goes(said, text):
    assert tidy(said) == text and reason(text) is None


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("", "empty"),
        ("!!! ... \u200b\u200d", "empty"),
        ("I'm sorry, but I can't help with that.", "refusal"),
        ("I’m just an AI and see nothing", "refusal"),
        ("I can't really describe it", "refusal"),
        ("As an AI language model, I have no eyes", "refusal"),
        ("No image was provided here", "refusal"),
        ("Please provide the image", "refusal"),
        ("You are a helpful AI assistant", "refusal"),
        ("cat", "few_words"),
        ("猫", "few_words"),
        ("word " * 401, "too_long"),
        ("cat food" + " " * 70_000 + "b", "too_long"),
        ("big red big red big red big red big red", "repeats_itself"),
        ("a cat a cat a cat, a cat. A CAT", "repeats_itself"),
        ("猫在这里" * 6, "repeats_itself"),
        ("猫と犬", None),
        ("hahahahaha, a good one", None),
        ("Nooooooo way", None),
        ("I can't stop loving you, a poster", None),
        ("No image border on the card", None),
        ("Sorry seems to be the hardest word", None),
        ("big red, big red, big red, big red", None),
    ],
)
def test_a_reason_is_what_it_says(said, why):
    assert judged(Answer(said)).reason == why


def test_the_first_line_that_says_something_is_read():
    assert judged_line(Answer("\n--\nA dog runs.\nCaption: another", finish="length")) == ("A dog runs.", None)
    assert judged_line(Answer("A dog runs and", finish="length")).reason == "cut_off"
    assert judged_line(Answer("A dog runs", finish="content_filter")).reason == "refusal"
    assert judged_line(Answer("\n\n")).reason == "empty"


def test_every_schemas_reasons_are_known():
    own = {"not_drawn", "no_caption"}
    asking = ("agents", "describe", "fuse", "realign", "rewrite", "translate")
    for word in (word for word in asking if f"captions/{word}" in schema.names()):
        assert set(schema.load(f"captions/{word}").dropped) <= set(rejecting.REASONS) | own


@pytest.mark.parametrize(
    ("source", "made", "lost"),
    [
        ("1,234.50 for 2 of 12 May 1999", "1.234,50 for two of 12 May", ["1999"]),
        ("10 000 people", "10.000 Menschen", []),
        ("size ٣٨ boots", "boots of size 38", []),
        ("the 3rd of 21", "the third of some", ["21"]),
        ("room 007", "room 7", ["007"]),
        ("64 GB", "6 and 4 GB", ["64"]),
        ("12:30", "at 12 and 30", []),
    ],
)
def test_numbers_are_kept_in_any_way_of_writing_them(source, made, lost):
    assert keeping.lost_numbers(source, made) == lost


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("New iPhone 12 case by Apple in New York for NASA", ["iPhone", "Apple", "New", "York", "NASA"]),
        ("Best Western Hotel In Old Town", []),
        ("THE BEST CAR IN TOWN", []),
        ("the A320 lands. It is late", ["A320"]),
        ("фото из Москвы и Киева", ["Москвы", "Киева"]),
        ("a brown dog", []),
    ],
)
def test_names_are_told_by_capitals(source, names):
    assert keeping.names(source) == names
    assert keeping.lost_names(source, "nothing of it") == names
    assert keeping.lost_names(source, source.lower()) == []


def test_placeholders_stay_letter_for_letter():
    source = "Hi {0} {name} %s %2$d <b>x</b> https://a.b/c?d=1 me@a.org @me #tag 50%discount"
    assert keeping.lost_placeholders(source, source) == []
    assert keeping.lost_placeholders(source, "") == [
        "{0}", "{name}", "%s", "%2$d", "<b>", "</b>", "https://a.b/c?d=1", "me@a.org", "@me", "#tag"
    ]  # fmt: skip
    assert keeping.lost_placeholders("{0} and {0}", "{0}") == ["{0}"]


def test_shares_of_words_that_are_kept_and_new():
    alt, seen = "boats in Como harbour", "two white boats near a stone pier"
    assert keeping.new_share("White boats in the harbours of Como, near a pier", alt, seen) == 0
    assert keeping.new_share("Fishermen repair boats", alt, seen) == pytest.approx(2 / 3)
    assert keeping.new_share("three boats in 1999", alt, seen) == 1
    assert keeping.kept_share("a brown dog running", "the dog runs fast") == pytest.approx(1 / 3)
    assert keeping.kept_share("猫在这里", "那里有猫") == 0.5
    assert keeping.kept_share("42", "anything") == 1
    assert (
        not keeping.has_words("Toyota Corolla 2012 {0}") and keeping.has_words("Toyota car") and keeping.has_words("猫")
    )
