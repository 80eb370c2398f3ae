"""`curate plan select` on a terminal: presets and kinds of rules, and the account of grids."""

import io
import re

import pytest
from rich.console import Console
from typer.testing import CliRunner

from curate.cli import app
from curate.commands.plan_select import print_account, print_presets
from curate.recipe import RecipeError
from curate.selection.presets import PRESETS
from curate.selection.rules import RULES

ACCOUNT = {
    "workdir": "w", "left_out": ["at most 5 of each clusters.cluster"],
    "entered": {"rows": 10_111_222_333, "images": 9_111_222_333}, "kept": {"rows": 1_011_122_233, "images": 911_122_233},
    "rules": [{"rule": "few_words", "drops": 4_000, "drops_first": 3_999}, {"rule": "x\x1b[31m[red]", "drops": 7, "drops_first": 0}],
    "grids": [
        {"rule": "low_similarity", "limit": "min", "now": 0.3, "points": [
            {"value": value, "threshold": value, "rows": 10**9 + i, "images": 10**8 + i, "rows_with_others": 10**7 + i, "images_with_others": 10**6 + i}
            for i, value in enumerate((0.28, 0.3))]},
        {"rule": "top 30 % of x.y", "limit": "top_fraction", "now": 0.3, "points": [
            {"value": 0.3, "threshold": 0.2761034, "rows": 5, "images": 4, "rows_with_others": 3, "images_with_others": 2}]},
    ],
}  # fmt: skip


def printed(show, *arguments, width: int = 100) -> str:
    out = io.StringIO()
    show(*arguments, Console(file=out, width=width, highlight=False))
    return out.getvalue()


def test_every_preset_and_kind_of_rule_is_listed():
    said = printed(print_presets)
    for name, (_, rules) in PRESETS.items():
        assert re.search(rf"^{name}  ", said, re.MULTILINE)
        assert all((rule.label or rule.rule) in said for rule in rules)
    assert "low_similarity  top_fraction 0.3" in said and "few_bytes  column images.nbytes, min 5000" in said
    assert all(re.search(rf"^{kind} +\w", said, re.MULTILINE) for kind in RULES)
    done = CliRunner().invoke(app, ["plan", "select", "--presets"])
    assert done.exit_code == 0 and "image_based_clip_score" in done.output


def test_the_account_is_told_whole():
    said = printed(print_account, ACCOUNT)
    assert "1,011,122,233 pairs of 911,122,233 images (10.0 %)" in " ".join(said.split())
    assert "Not counted, since it depends on what the others keep: at most 5 of each clusters.cluster" in said
    assert re.search(r"few_words +4,000 +3,999", said)
    assert re.search(r"0\.28 +1,000,000,000 +100,000,000 +10,000,000 +1,000,000 +0\.1 %", said)
    assert re.search(r"0\.3 +0\.276103 +5 +4 +3 +2 +0\.0 %", said)
    assert "\x1b[31m" not in said and "[red]" in said


def test_numbers_are_not_cut_on_a_narrow_terminal():
    said = printed(print_account, ACCOUNT, width=80)
    assert "…" not in said and max(map(len, said.splitlines())) <= 80


def test_no_rows_have_no_share():
    empty = ACCOUNT | {"entered": {"rows": 0, "images": 0}, "kept": {"rows": 0, "images": 0}}
    assert "(-)" in printed(print_account, empty)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--json", "/no/such/folder/x.json"], "there is no folder /no/such/folder"),
        (["select.rules=[{rule: few_word, min: 1}]"], "did you mean 'few_words'"),
    ],
)
def test_bad_settings_stop_before_an_engine_starts(arguments, message):
    found = CliRunner().invoke(app, ["plan", "select", "-c", "demo", "-w", "/no/such/workdir", *arguments])
    assert isinstance(found.exception, RecipeError | ValueError) and message in str(found.exception)
