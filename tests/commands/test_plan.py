"""`curate plan` on a terminal: the account of any number of thresholds and languages, whole at any width."""

import io
import re

import pytest
from rich.console import Console

from curate.commands import plan
from curate.concepts import planning


def figures(pairs: int, t: int, **more) -> dict:
    """The account of one threshold at the size of the web; all numbers differ."""
    classes = {
        name: {"pairs": pairs // (3 + i), "expected": pairs / (5 + i), "keeps": pairs / 4.0}
        for i, name in enumerate(planning.CLASSES)
    }
    return {
        "t": t, "pairs": pairs, "expected": sum(one["expected"] for one in classes.values()), "sigma": 1234.5,
        "share": 0.1234, "classes": classes, "keeps": pairs * 1.5, "keeps_of_counts": pairs, "keeps_a_pair": 1.75,
        "matches": pairs * 4, "tail_matches": pairs, "tail_share_of_matches": 0.25, "expected_matches": pairs * 2.0,
        "expected_tail_share": 0.5, "matches_a_pair": 2.5, "tail_entries": 400_001, "head_entries": 16_002, "tail_share": None,
    } | more  # fmt: skip


def account(ts: list[int], languages: int = 1, **more) -> dict:
    names = ["en", *(f"x{i:02}" for i in range(1, languages))]
    plans = [
        figures(10_111_222_333, t, languages={name: figures(10**9 - i, t + i) for i, name in enumerate(names)})
        for t in ts
    ]
    curve = [{"entries": share, "count": 7 + i, "matches": share**8} for i, share in enumerate(planning.CURVE)]
    how = {"workdir": "w", "matched": 12_111_222_333, "one_text_per_image": False, "online": False, "seed": 3}
    return how | {"thresholds": plans, "curves": dict.fromkeys(names, curve)} | more


def printed(told: dict, width: int = 80) -> str:
    out = io.StringIO()
    plan.print_account(told, Console(file=out, width=width, highlight=False))
    return out.getvalue()


def cells(said: str, label: str) -> list[str]:
    """All numbers of a row, over the tables that it stands in."""
    return [
        cell for line in said.splitlines() if line.strip().startswith(label) for cell in re.findall(r"\d[\d,.]*", line)
    ]


@pytest.mark.parametrize("width", [70, 80, 100, 300])
def test_numbers_are_never_cut_however_many_thresholds_are_asked_for(width):
    ts = [1000, 5000, 20_000, 35_000, 70_000, 100_000, 170_000, 1_000_000, 10**17]
    said = printed(account(ts, languages=3), width)
    assert "…" not in said and max(map(len, said.splitlines())) <= width
    assert cells(said, "t of English") == [f"{t:,}" for t in ts]
    assert len(cells(said, "pairs kept, expected")) == len(ts)
    one = account(ts)["thresholds"][0]["classes"]["several_head_entries"]
    words = f"{round(one['expected']):,} of {one['pairs']:,}"
    assert said.count(words) == len(ts)
    assert sum(line.count(": 509,52") for line in said.splitlines() if line.startswith("en ")) == len(ts)


def test_a_wide_terminal_has_one_table():
    said = printed(account([1, 2, 3]), 200)
    assert said.count("t of English") == 1


def test_the_rules_tail_share_stands_beside_the_tails():
    told = account([20_000], languages=2)
    assert "sets others' t" not in printed(told)
    told["thresholds"][0]["tail_share"] = 0.0612
    said = printed(told)
    assert re.search(r"tail share that sets others' t +6.1 %", said)
    assert re.search(r"tail's share of matches, of all pairs +25.0 %", said)
    assert re.search(r"  of the pairs kept +50.0 %", said)


def test_languages_beyond_the_table_are_counted_and_the_largest_come_first():
    said = printed(account([1], languages=plan.MOST_LANGUAGES + 5))
    rows = re.findall(r"(?m)^(en|x\d\d) +9[\d,]+ +|^(en|x\d\d) +1,000,000,000", said)
    assert [a or b for a, b in rows] == ["en", *(f"x{i:02}" for i in range(1, plan.MOST_LANGUAGES))]
    assert "and 5 more: --json FILE" in said


def test_what_the_settings_leave_out_is_said():
    said = printed(account([1], one_text_per_image=True, online=True), 200)
    assert "One text an image: 2,000,000,000 of 12,111,222,333 matched pairs are left out first" in said
    assert "balance.online: all pairs that balance draws for are fetched" in said


def test_the_curve_is_that_of_english_or_of_the_largest_language():
    told = account([1], languages=3)
    assert "Head and tail of en" in printed(told)
    del told["curves"]["en"]
    assert "Head and tail of x01" in printed(told)
    assert len(re.findall(r"(?m)^[\d.]+ % +[\d.]+ % +\d+ *$", printed(told))) == len(planning.CURVE)


def test_a_language_is_named_by_others_and_cannot_steer_the_terminal():
    told = account([1], languages=2)
    evil = "[red]\x1b[31m\u202e"
    for one in (told["curves"], told["thresholds"][0]["languages"]):
        one[evil] = one.pop("x01")
    told["curves"]["de"] = told["curves"].pop("en")
    told["thresholds"][0]["languages"]["de"] = figures(5, 1)
    said = printed(told)
    assert not re.search("[\x1b\u202e]", said) and said.count("[red]") == 2


def test_an_account_of_nothing_is_printed():
    nothing = figures(
        0, 5, share=None, keeps_a_pair=None, matches_a_pair=None, tail_share_of_matches=None, expected_tail_share=None
    )
    said = printed(account([]) | {"thresholds": [nothing | {"languages": {}}], "curves": {}})
    assert re.search(r"share of the pairs +- *\n", said) and "Head and tail" not in said
