import io
import re

from rich.console import Console

from curate.report.summary import READ, print_summary


def said(workdir, recipe, width=160):
    console = Console(file=io.StringIO(), width=width)
    print_summary(workdir, recipe, console)
    return console.file.getvalue()


def test_the_summary_says_rows_worth_and_places(small_workdir, small_recipe):
    text = said(small_workdir, small_recipe)
    assert re.search(r"pairs +67 +60 +5 +2 +repeated 5, bad_url 2", text)
    assert re.search(r"zero-shot top-1 +10\.1 % +15\.3 % +\+5\.2 \[\+1\.1, \+9\.3\] +curated is better", text)
    assert "within the noise" in text and "does not add up" not in text
    assert "better at different things" in text


def test_lines_to_copy_are_never_broken(small_workdir, small_recipe):
    text = said(small_workdir, small_recipe, width=60)
    for line in READ.format(shards=f"{small_workdir}/shards").splitlines():
        assert f"    {line}\n" in text


def test_every_verdict_fits_a_terminal_of_80_columns(small_workdir, small_recipe):
    text = said(small_workdir, small_recipe, width=80)
    assert "…" not in text
    for verdict in ("curated is better", "within the noise", "raw is better"):
        assert verdict in text


def test_nothing_is_claimed_of_an_empty_workdir(tmp_path, small_recipe):
    text = said(str(tmp_path), small_recipe)
    assert "report  " not in text and "better" not in text
