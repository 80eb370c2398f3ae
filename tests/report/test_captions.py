"""Captions on the page: beside their alt texts, with their scores, refusals by reason, tokens and cost; hostile words stay words."""

import io
import re

import msgspec
import pytest
from rich.console import Console

from curate.recipe import Recaption
from curate.report import page
from curate.report.captions import captions
from curate.report.collect import collect
from curate.report.funnel import funnel
from curate.report.summary import print_summary
from curate.store import Dataset
from tests.captions.workdirs import captioned, own, task_of
from tests.endpoint import endpoint, says

BAD = "<script>alert(1)</script> {{ 7 * 7 }}"


@pytest.fixture(scope="module")
def here(small_workdir, small_recipe, tmp_path_factory):
    """A workdir with one table of captions by a model that refuses some images and speaks HTML of others; its recipe, with prices."""
    workdir = own(small_workdir, tmp_path_factory.mktemp("captioned"))

    def answer(request, count):
        return (
            says("I'm sorry, I cannot help with that.")
            if count % 5 == 0
            else says(BAD if count % 2 else "a thing that is seen")
        )

    with endpoint(answer) as (url, _):
        backend = {"backend": "openai", "endpoint": url, "model": "eyes", "input_price": 2.0, "output_price": 8.0}
        describe = {"captioner": "describe", "backend": "openai", "name": "seen"}
        task = task_of(workdir, [backend], describe)
        table, _ = captioned(task)
    # What the job writes when all parts are there.
    rows = [row for row in table.to_pylist() if row["requests"]]
    took = {name: sum(row[name] for row in rows) for name in ("requests", "prompt_tokens", "completion_tokens")}
    manifest = Dataset(workdir, "captions/seen").require()
    done = msgspec.structs.replace(manifest, extra={"took": took})
    Dataset(workdir, "captions/seen").put("_manifest.json", msgspec.json.encode(done))
    recaption = msgspec.convert({"backends": [backend], "captioners": [describe]}, Recaption)
    return workdir, msgspec.structs.replace(small_recipe, recaption=recaption), took


def test_the_account_of_a_captioner(here):
    workdir, recipe, took = here
    facts, _ = captions(workdir, recipe)
    (table,) = facts["tables"]
    ledger = Dataset(workdir, "captions/seen").require().ledger
    assert (table["rows_in"], table["kept"]) == (ledger.rows_in, ledger.kept)
    assert {row["reason"]: row["pairs"] for row in table["dropped"]} == {"refusal": ledger.dropped["refusal"]}
    assert table["requests"] == took["requests"] > 20
    assert table["cost"] == pytest.approx((2 * took["prompt_tokens"] + 8 * took["completion_tokens"]) / 1e6)
    assert (table["name"], table["captioner"], table["backend"]) == ("seen", "describe", "openai")


def test_the_end_of_a_run_says_what_captions_took_and_why_some_are_missing(here):
    workdir, recipe, took = here
    ledger = Dataset(workdir, "captions/seen").require().ledger
    console = Console(file=io.StringIO(), width=120)
    print_summary(workdir, recipe, console)
    text = console.file.getvalue()
    line = rf"seen +{ledger.rows_in} +{ledger.kept} +{took['requests']} +{took['completion_tokens']} +refusal {ledger.dropped['refusal']} *\n"
    assert re.search(line, text.replace(",", "")) and "does not add up" not in text
    assert f"prices in the recipe: {(2 * took['prompt_tokens'] + 8 * took['completion_tokens']) / 1e6:,.2f}" in text
    (check,) = [check for check in funnel(workdir, recipe)["checks"] if check["text"].startswith("captions/seen")]
    assert check["holds"] and check["left"] == ledger.rows_in


def test_pairs_stand_beside_their_alt_texts_and_nothing_of_them_runs(here, small_rows):
    workdir, recipe, _ = here
    facts, thumbnails = collect(workdir, recipe)
    alts = {row.uid: row.text for row in small_rows}
    assert 0 < len(facts["captions"]["pairs"]) <= 12
    for pair in facts["captions"]["pairs"]:
        assert alts[pair["uid"]].startswith(pair["text"][:20].rstrip("…")) or "\ufffd" in pair["text"]
        said = pair["said"]["seen"]
        assert bool(said["texts"]) != bool(said["refused"]) and pair["image_uid"] in thumbnails
    html = page.render(facts, thumbnails)
    section = html[html.index('<section id="captions">') :]
    section = section[: section.index("</section>")]
    assert "a thing that is seen" in section and "refusal" in section and "<script" not in section and "{{" in section
    assert '<a href="#captions">' in html


def test_without_captions_the_section_says_so(small_workdir, small_recipe):
    facts, thumbnails = collect(small_workdir, small_recipe)
    assert facts["captions"] is None
    assert "recaption has not run" in page.render(facts, thumbnails)


def test_a_table_is_among_the_inputs_of_the_report(here):
    from curate.report.collect import present

    workdir, recipe, _ = here
    assert "captions/seen" in present(workdir, recipe)
