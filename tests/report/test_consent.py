"""The report's section on consent: pairs by rule, domains that spoke, and strangers' words as text."""

import json

import msgspec
import pyarrow as pa
import pytest
from selectolax.lexbor import LexborHTMLParser

from curate import schema
from curate.report.collect import collect
from curate.report.consent import consent, domain
from curate.report.page import render
from curate.report.pool import pool
from curate.store import Dataset, Plan

ROWS = [  # (image's URL, page's URL, reason, rule)
    ("http://a.photos.example/1.jpg", "http://page.example/", "opted_out", "robots_txt"),
    ("http://b.photos.example:8080/2.jpg", "http://page.example/", "opted_out", "robots_txt"),
    ("http://b.photos.example/3.jpg", "http://page.example/", "opted_out", "x_robots_tag"),
    ("http://cdn.example/4.jpg", "http://www.art.co.uk/", "opted_out", "meta_robots"),
    ("http://cdn.example/5.jpg", None, "opted_out", "meta_robots"),
    ("http://me.github.io/6.jpg", "http://page.example/", "opted_out", "tdm_file"),
    ("http://evil.example\u202e<script>alert(1)</script>/7.jpg", "http://page.example/", "opted_out", "robots_txt"),
    ("http://other.example/8.jpg", "http://page.example/", "not_opted_in", None),
    ("http://down.example/9.jpg", "http://page.example/", "robots_unreachable", None),
    ("http://fine.example/0.jpg", "http://page.example/", None, None),
]


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    root = str(tmp_path_factory.mktemp("consent"))
    known, data = schema.load("images"), Dataset(root, "images")
    plan = Plan(dataset="images", stage="download", settings={}, inputs={}, parts=("part-00000",))
    data.begin(plan)
    rows = [
        {"uid": f"{n:032x}", "image_uid": f"{n:032x}", "url": url, "text": "t", "kind": "alt", "lang": "en", "page_url": page,
         "curated": True, "baseline": False, "reason": reason, "opt_out": rule,
         "state": "kept" if reason is None else "dropped" if reason in known.dropped else "failed"}
        for n, (url, page, reason, rule) in enumerate(ROWS)
    ]  # fmt: skip
    with data.write_part("part-00000", plan.hash) as out:
        for half in (rows[:4], rows[4:]):
            out.write(pa.Table.from_pylist(half, schema=known.arrow()))
    data.commit(plan)
    return root


def test_pairs_by_rule_and_by_the_domain_that_spoke(workdir, small_recipe):
    found = consent(workdir, small_recipe)
    assert {rule["name"]: rule["pairs"] for rule in found["rules"] if rule["pairs"]} == {
        "robots_txt": 3, "x_robots_tag": 1, "meta_robots": 2, "tdm_file": 1,
    }  # fmt: skip
    ledger = Dataset(workdir, "images").require().ledger
    assert found["opted_out"] == ledger.dropped["opted_out"] == 7
    assert (found["not_opted_in"], found["robots_unreachable"], found["mode"]) == (1, 1, "opt_out")
    domains = {row["name"]: (row["pairs"], row["rules"]) for row in found["domains"]}
    assert next(iter(domains)) == "photos.example" and domains["photos.example"] == (3, ["robots_txt", "x_robots_tag"])
    assert domains["art.co.uk"] == (1, ["meta_robots"]) and domains["me.github.io"] == (1, ["tdm_file"])
    assert domains[""] == (1, ["meta_robots"]) and found["domains_met"] == len(domains) == 5
    assert pool(workdir)["downloads"]["failures"] == [{"name": "robots_unreachable", "rows": 1}]


def test_hosts_of_strangers_stand_there_as_text(workdir, small_recipe):
    facts, thumbnails = collect(workdir, small_recipe)
    page = render(json.loads(json.dumps(facts)), thumbnails)
    text = LexborHTMLParser(page).css_first("#consent").text()
    assert (
        "evil.example\ufffd<script>alert(1)<" in text
        and "<script" not in page
        and "\u202e" not in json.dumps(facts["consent"])
    )
    assert "7 pairs were dropped because a page or a server forbids this use: 5 domains said so" in text
    assert "robots.txt was not to be had" in text and "Not heeded" not in text and "opt_in" not in text


def test_what_is_off_and_opt_in_are_said(workdir, small_recipe):
    download = msgspec.structs.replace(
        small_recipe.download, consent="opt_in", consent_off=("tdm_file",), robots_agents=("img2dataset",)
    )
    changed = msgspec.structs.replace(small_recipe, download=download)
    assert [rule["name"] for rule in consent(workdir, changed)["rules"] if not rule["heeded"]] == ["tdm_file"]
    text = LexborHTMLParser(render(*collect(workdir, changed))).css_first("#consent").text()
    assert "Not heeded in this run: tdm_file" in text and "opt_in): 1 further pair was dropped" in text
    assert "what a robots.txt says to img2dataset" in text and "called itself curatebot/" in text


def test_no_section_before_the_download(tmp_path, small_recipe):
    assert consent(str(tmp_path), small_recipe) is None
    assert "No image has been asked for yet" in render(*collect(str(tmp_path), small_recipe))


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("a.b.co.uk:8080", "b.co.uk"), ("co.uk", "co.uk"), ("me.github.io", "me.github.io"), ("localhost", "localhost"),
        ("127.0.0.1:80", "127.0.0.1"), ("[::1]:8080", "[::1]"), ("[::1]", "[::1]"), ("", ""), ("u:p@www.a.example", "a.example"),
        ("...", "..."), ("x" * 5000, "x" * 252 + "…"), ("a:b", "a:b"),
    ],
)  # fmt: skip
def test_domains(host, name):
    assert domain(host) == name
