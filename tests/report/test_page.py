import json
import re
from collections import Counter

import pytest
from msgspec import to_builtins
from selectolax.lexbor import LexborHTMLParser

from curate.recipe import build
from curate.report.collect import collect
from curate.report.columns import columns
from curate.report.disclosures import card
from curate.report.page import SECTIONS, number, percent, points, render, short, size


@pytest.fixture(scope="module")
def made(small_workdir, small_recipe):
    facts, thumbnails = collect(small_workdir, small_recipe)
    return facts, thumbnails, render(facts, thumbnails)


def test_the_page_is_made_from_the_twin_alone(made):
    facts, thumbnails, page = made
    # So every number on the page is in report.json or follows from it.
    assert render(json.loads(json.dumps(facts)), thumbnails) == page


def test_nothing_is_fetched_and_nothing_runs(made):
    tree = LexborHTMLParser(made[2])
    policy = tree.css_first("meta[http-equiv=Content-Security-Policy]").attributes["content"]
    assert policy.startswith("default-src 'none'")
    assert not tree.css("script, iframe, object, embed, link, base, form")
    for node in tree.css("*"):
        for name, value in node.attributes.items():
            assert not name.startswith("on"), (node.tag, name)
            if name in ("src", "srcset", "poster", "background"):
                assert value.startswith("data:image/"), value[:80]
            if name == "href":
                assert re.match(r"https?://|#", value), value[:80]
                assert value.startswith("#") or "noreferrer" in node.attributes["rel"]
    assert "url(" not in tree.css_first("style").text()


def test_hostile_captions_stand_there_as_text(small_workdir, small_recipe, small_rows):
    import msgspec

    many = msgspec.structs.replace(small_recipe, report=msgspec.structs.replace(small_recipe.report, examples=100))
    page = render(*collect(small_workdir, many))
    tree = LexborHTMLParser(page)
    captions = [node.text() for node in tree.css(".thumb .cap")]
    assert "<script>alert(1)</script>" in captions
    assert '"onerror=alert(1) x="' in captions
    assert "{{ 7 * 7 }}" in captions and "قطة على السجادة" in captions
    assert "nul \ufffd inside" in captions and "\x00" not in page and "\u202e" not in page
    assert "x" * 201 not in page and "10,000 characters" in page
    assert "<b>Not Found</b>" in tree.css_first("#examples").text()
    assert "ends inside a record <b>" in tree.css_first("#pool").text()


def test_duplicates_are_counted_by_kind_and_the_calibrated_cosine_says_what_it_finds(made, small_rows):
    facts, thumbnails, page = made
    ends = Counter(row.duplicate[0] for row in small_rows if row.duplicate)
    assert {row["reason"]: row["pairs"] for row in facts["duplicates"]["kinds"] if row["pairs"]} == ends
    held = ends["in_evaluation_set"]
    assert facts["duplicates"]["evaluation"] == ([{"way": "phash", "pairs": held}] if held else [])
    text = " ".join(LexborHTMLParser(page).css_first("#duplicates").text().split())
    assert (
        "above a cosine of 0.61: it finds 95.0 % of the copies planted of 40 evaluation images (crop 100.0 %, flip 90.0 %)"
        in text
    )
    assert "2.0 % of these images have another one of them above it" in text
    hostile = {
        **facts,
        "duplicates": facts["duplicates"] | {"settings": {"semantic_model": "<script>alert(2)</script>"}},
    }
    assert "<script>alert(2)" not in render(hostile, thumbnails)
    assert "Clusters of duplicates" in render({**facts, "duplicates": None}, thumbnails)


def test_numbers_of_the_funnel_and_verdicts_are_on_the_page(made):
    facts, _, page = made
    text = LexborHTMLParser(page).body.text()
    for stage in facts["funnel"]["stages"]:
        for way in stage["dropped"] + stage["failed"]:
            assert way["about"] in text
    for verdict in ("curated is better", "raw is better", "within the noise"):
        assert verdict in text
    assert "The two sets are better at different things." in text
    assert "all hold" in text


def test_one_seed_is_no_measure_of_the_noise_of_training(made):
    facts, thumbnails, page = made
    one = json.loads(json.dumps(facts))
    one["evaluation"]["comparison"]["seeds"] = [0]
    assert "With one seed" in render(one, thumbnails) and "With one seed" not in page


def test_a_sum_that_does_not_hold_is_shouted(made):
    facts, thumbnails, _ = made
    wrong = json.loads(json.dumps(facts))
    wrong["funnel"]["checks"][0] |= {"holds": False, "left": 1234567}
    assert "These sums do not hold" in render(wrong, thumbnails)
    assert "1,234,567" in render(wrong, thumbnails)


def test_the_scorers_card_is_quoted(tmp_path):
    assert card("ViT-B-32") is None and card(f"local-dir:{tmp_path}") is None
    text = "---\nlicense: x\n---\n# Name\n\nA **small** model.\n\nIt has seen\nthe `answers`.\n\n| a | b |\n|---|---|\n"
    (tmp_path / "README.md").write_text(text)
    assert " ".join(card(f"local-dir:{tmp_path}").split()) == "A small model. It has seen the answers."


def test_what_a_filter_network_was_trained_on_stands_beside_its_scores(made):
    facts, thumbnails, page = made
    assert "filter network" not in page
    seen = {
        "sets": [{"name": "clean", "samples": 1234, "fingerprint": "f"}],
        "samples_seen": 99_999,
        "warnings": ["has seen <i>COCO</i>"],
    }
    told = facts | {"scores": [account | {"trained_on": seen} for account in facts["scores"]]}
    words = LexborHTMLParser(render(told, thumbnails)).css_first("#scores").text()
    assert (
        "clean (1,234 images)" in words and "99,999 samples seen" in words and "Warning: has seen <i>COCO</i>." in words
    )


def test_an_empty_workdir_has_a_page_too(tmp_path, small_recipe):
    facts, thumbnails = collect(str(tmp_path), small_recipe)
    text = LexborHTMLParser(render(facts, thumbnails)).body.text()
    for sentence in ("No stage has finished", "not known yet", "No pair has been scored", "Nothing has been extracted"):
        assert sentence in text


def test_numbers_read_well():
    assert [number(1234567), number(0.12345), number(None), number(0)] == ["1,234,567", "0.123", "–", "0"]
    assert [short(0.25), short(12.0), short(1234.5), short(-0.00046), short(None)] == [
        "0.25",
        "12",
        "1,234",
        "−0.00046",
        "–",
    ]
    assert [percent(0.1234), percent(None)] == ["12.3 %", "–"]
    assert [points(0.0123), points(-0.05), points(None)] == ["+1.2", "−5.0", "–"]
    assert [size(0), size(999), size(1000), size(3145728), size(10**16)] == [
        "0 bytes", "999 bytes", "1.0 kB", "3.1 MB", "10.0 PB",
    ]  # fmt: skip


def test_rules_and_columns_with_a_threshold_are_on_the_page(made, small_workdir, small_recipe):
    facts = json.loads(json.dumps(made[0]))
    assert "Rules of selection" not in made[2]
    hostile = "x<b>y</b> >= 3"
    (stage,) = [one for one in facts["funnel"]["stages"] if one["dataset"] == "selection"]
    stage["rules"] = [{"rule": hostile, "rows": 1234, "alone": None}]
    facts["columns"] = columns(
        small_workdir, build(to_builtins(small_recipe) | {"select": {"rules": [{"rule": "few_words", "min": 3}]}})
    )
    tree = LexborHTMLParser(render(facts, {}))
    funnel = tree.css_first("#funnel").text()
    assert hostile in funnel and "1,234" in funnel and "would drop" not in funnel
    assert tree.css('#scores img[alt="Histogram of images.words with its thresholds"]')
    stage["rules"][0]["alone"] = 5678
    assert "5,678" in LexborHTMLParser(render(facts, {})).css_first("#funnel").text()


def test_every_section_has_its_place_and_the_navigation_leads_there(made):
    facts, thumbnails, page = made
    tree = LexborHTMLParser(page)
    assert [node.attributes["id"] for node in tree.css("section")] == list(SECTIONS)
    assert [node.attributes["href"] for node in tree.css("nav a")] == [f"#{name}" for name in SECTIONS]
    without = LexborHTMLParser(render({**facts, "truth": None}, thumbnails))
    assert "truth" not in [node.attributes["id"] for node in without.css("section")] and not without.css(
        'a[href="#truth"]'
    )


def test_what_a_rule_dropped_stands_under_it_and_a_representative_is_framed(made):
    facts, _, page = made
    tree = LexborHTMLParser(page)
    headings = [node.text() for node in tree.css("#examples h4")]
    assert len(headings) == len(facts["examples"]["dropped"]) and any(
        "selection · file_name 3 pairs" in one for one in headings
    )
    clusters = tree.css("#duplicates .cluster")
    assert len(clusters) == len(facts["examples"]["clusters"]) > 0
    for cluster in clusters:
        told = [
            (node.css_first(".tag").text(), "first" in node.attributes["class"].split())
            for node in cluster.css(".thumb")
        ]
        assert told[0] == ("representative", True) and not any(framed for _, framed in told[1:])


def test_the_models_are_named_with_what_they_learned_from(made):
    facts, thumbnails, page = made
    assert [model["score"] for model in facts["models"]] == ["language", "clip"]
    told = LexborHTMLParser(page).css_first("#models").text()
    for model in facts["models"]:
        assert model["learned_from"] in told and model["model"] in told
    hostile = json.loads(json.dumps(facts))
    hostile["models"][1] |= {"card": "<script>alert(3)</script>", "settings": {"head": "<b>x</b>"}}
    assert "<script>alert(3)" not in render(hostile, thumbnails) and "<b>x</b>" not in render(hostile, thumbnails)
