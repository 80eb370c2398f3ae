"""The rules' definitions: where blanks are left out, and what can never match."""

import pyarrow as pa
import pytest
from hypothesis import example, given, settings

from curate.concepts import rules
from tests.concepts.reference import ENTRIES, RULES, TEXT, close, entry_table, found, reference, wanted

CHARACTERS = [chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000]
"""All that a string can hold."""


def test_the_second_rule_leaves_blanks_out_beside_the_published_characters_and_no_others():
    assert [char for char in CHARACTERS if rules.stands_close(char)] == [char for char in CHARACTERS if close(char)]


@pytest.mark.parametrize("rule", RULES)
def test_a_list_of_every_character_is_padded_as_they_are_one_by_one(rule):
    padded = rules.padded_all(pa.array(CHARACTERS, pa.large_string()), rule).to_pylist()
    assert padded == [wanted(char, rule) for char in CHARACTERS]
    for entries in ([f"{char}x" for char in CHARACTERS], [f"x{char}" for char in CHARACTERS]):
        padded = rules.padded_all(pa.array(entries, pa.large_string()), rule).to_pylist()
        assert padded == [wanted(entry, rule) for entry in entries]


@pytest.mark.parametrize("rule", RULES)
@given(entry=TEXT, text=TEXT)
@example(entry="a,", text="")
@settings(deadline=None)
def test_an_entry_that_is_not_matchable_stands_in_no_text(rule, entry, text):
    if entry and not rules.matchable(entry, rule):
        assert reference([text + entry + text, entry], [entry], rule) == [[], []]


@pytest.mark.parametrize("rule", RULES)
@given(ENTRIES)
def test_a_list_is_padded_and_checked_as_its_entries_one_by_one(rule, entries):
    array = pa.array(entries, pa.large_string())
    assert (~rules.impossible(array, rule)).tolist() == [rules.matchable(entry, rule) for entry in entries]
    padded = rules.padded_all(array, rule).to_pylist()
    assert [mine for mine, entry in zip(padded, entries, strict=True) if entry] == [
        rules.padded(entry, rule) for entry in entries if entry
    ]


@pytest.mark.parametrize("entry", ["cat", "a , b", "a  ,  b", ",", "\u00a0", "re-", "x\0", "猫", "\U0010ffff"])
@pytest.mark.parametrize("rule", RULES)
def test_matchable_entries_have_a_text(entry, rule):
    assert rules.matchable(entry, rule)
    text = entry
    for mark in ",.;:?!`":
        text = text.replace(f" {mark} ", mark)
    assert reference([text], [entry], rule) == [[0]] == found([text], entry_table([entry]), rule)


@pytest.mark.parametrize("entry", ["", "Ph.D.", "a,b", "a ,b", ", ,", "a\tb", "a\nb", "a\r"])
@pytest.mark.parametrize("rule", RULES)
def test_entries_that_touch_a_mark_are_not_matchable(entry, rule):
    assert not rules.matchable(entry, rule)


def test_the_rules_differ_where_the_second_leaves_blanks_out():
    texts = ["a re-implementation", "写真です", "C++11"]
    table = entry_table(["re-", "写真", "C++", "re", "11"])
    assert found(texts, table, "metaclip1") == [[], [], []]
    assert found(texts, table, "metaclip2") == [[0], [1], [2]]
