"""`curate explain` on the small workdir: each fate, any number of stages, and texts that mean harm."""

import io
import json
import re
import shutil

import msgspec
import pyarrow as pa
import pytest
from rich.console import Console
from typer.testing import CliRunner

from curate import schema
from curate.cli import app
from curate.commands.explain import duplicate, print_pair
from curate.explaining.account import ExplainError, Workdir, end, explain, places
from curate.parts import zipped
from curate.recipe import Branch, Model, Rule, Score, Select
from curate.selection.resolving import resolve
from curate.selection.selecting import needed, select
from curate.store import Dataset, StoreError
from curate.uid import image_uid
from tests.small_workdir import Row, picture, write, write_workdir

ROAD = ("matches", "balanced", "images", "scores/clip", "duplicates", "selection")
STAGES = {"matches": "match", "balanced": "balance", "images": "download", "duplicates": "dedup", "selection": "select"}


def told(workdir, recipe, row) -> dict:
    where = Workdir(str(workdir), recipe)
    (place,) = places(where, row.uid, None)
    return explain(where, place)


def stage(pair: dict, dataset: str) -> dict:
    return next(one for one in pair["stages"] if one["dataset"] == dataset)


def command(workdir, *arguments: str):
    return CliRunner().invoke(app, ["explain", *arguments, "-w", str(workdir)], terminal_width=100)


def test_every_row_is_told_as_the_stages_left_it(small_workdir, small_recipe, small_rows):
    ends = set()
    for row in small_rows:
        pair = told(small_workdir, small_recipe, row)
        assert (pair["uid"], pair["text"], pair["url"], pair["image_uid"]) == (row.uid, row.text, row.url, row.image)
        for dataset, (state, reason) in row.states().items():
            assert (stage(pair, dataset)["state"], stage(pair, dataset)["reason"]) == (state, reason), dataset
            assert (stage(pair, dataset)["why"] is None) == (reason is None)
        out = next(((STAGES[name], row.states()[name][1]) for name in ROAD if row.states()[name][1]), None)
        if out is None:
            in_a_shard = stage(pair, "shards")["state"] == "kept"
            out = ("shard", "kept") if in_a_shard else ("shard", "image_missing or undecodable")
        assert (pair["end"]["stage"], pair["end"]["outcome"]) == out
        ends.add(out)
    assert ends >= {
        ("match", "no_entry"), ("balance", "balanced_out"), ("download", "http_4xx"), ("download", "opted_out"),
        ("dedup", "exact"), ("dedup", "perceptual"), ("select", "file_name"), ("shard", "kept"),
    }  # fmt: skip


def test_the_numbers_behind_the_balance(small_workdir, small_recipe, small_rows):
    row = next(row for row in small_rows if row.balance)
    pair = told(small_workdir, small_recipe, row)
    cats = sum(not r.match and 0 in r.entries for r in small_rows)
    assert cats > 7
    entry = {"id": 0, "text": "cat", "source": "words", "count": cats, "t": 7, "p": pytest.approx(7 / cats)}
    assert stage(pair, "matches")["entries"] == [entry]
    balanced = stage(pair, "balanced")
    assert (balanced["keep_probability"], balanced["draw"]) == (0.5, 0.1)
    assert balanced["decided"] == "its draw 0.100000 is below its keep probability 0.500000"
    # The fixture's keep probabilities are not those of its counts, and that is said.
    assert re.search(rf"would give the keep probability {7 / cats:.6g}", balanced["remarks"][0])


def test_without_the_recipe_entries_have_no_texts_rather_than_wrong_ones(small_workdir, small_rows):
    pair = told(small_workdir, None, next(row for row in small_rows if row.balance))
    (entry,) = stage(pair, "matches")["entries"]
    assert entry["text"] is None and entry["t"] == 7 and entry["count"]
    assert any("give the recipe" in remark for remark in stage(pair, "balanced")["remarks"])


def test_an_image_and_its_fetching(small_workdir, small_recipe, small_rows):
    good = stage(told(small_workdir, small_recipe, next(r for r in small_rows if r.data)), "images")
    assert (good["width"], good["height"], good["format"], good["http_status"]) == (64, 48, "png", 200)
    bad = stage(told(small_workdir, small_recipe, next(r for r in small_rows if r.download)), "images")
    assert (bad["http_status"], bad["nbytes"]) == (404, None)


def test_a_duplicate_names_who_stands_for_it(small_workdir, small_recipe, small_rows):
    row = next(row for row in small_rows if row.duplicate)
    found = stage(told(small_workdir, small_recipe, row), "duplicates")
    assert found["representative"] == image_uid(row.duplicate[1])
    assert (found["representative_url"], found["is_representative"]) == (row.duplicate[1], False)
    alone = stage(
        told(small_workdir, small_recipe, next(r for r in small_rows if r.url == row.duplicate[1])), "duplicates"
    )
    assert alone["is_representative"] and alone["found_by"] is None


def test_an_image_of_an_evaluation_set_says_how_it_was_found():
    gone = {"representative": None, "is_representative": None, "found_by": "embedding"}
    assert list(filter(None, duplicate(gone))) == ["found by embedding"]


def test_a_sample_has_its_shard_and_key(small_workdir, small_recipe, small_rows):
    row = next(r for r in small_rows if r.url == "http://photos.example/good/0.png")
    shard = stage(told(small_workdir, small_recipe, row), "shards")
    assert (shard["shard"], shard["key"], shard["text_is_the_samples"]) == ("00000.tar", row.image, True)


def test_a_text_that_is_not_the_samples_is_in_its_json(small_workdir, small_recipe, small_rows, tmp_path):
    workdir = shutil.copytree(small_workdir, tmp_path / "w")
    both = [row for row in small_rows if row.url == "http://photos.example/good/1.png"]
    data = Dataset(str(workdir), "shards")
    lines = data.read_part("00000").to_pylist()
    for line in lines:
        if line["image_uid"] == both[0].image:
            line |= {"uid": both[0].uid, "uids": [row.uid for row in both], "texts": [row.text for row in both],
                     "keep_probabilities": [0.5, 0.5]}  # fmt: skip
    data.remove()
    write(str(workdir), "shards", {"00000": pa.Table.from_pylist(lines, schema=schema.load("shards").arrow())})
    first, other = (stage(told(workdir, small_recipe, row), "shards") for row in both)
    assert (first["state"], first["text_is_the_samples"]) == ("kept", True)
    assert (other["state"], other["text_is_the_samples"], other["text_chosen"]) == ("kept", False, both[0].uid)
    assert f"in the sample's json; its text is that of {both[0].uid}" in command(workdir, both[1].uid).output


@pytest.mark.parametrize("last", range(len(ROAD)))
def test_it_works_with_the_stages_that_are_there(small_workdir, small_recipe, small_rows, tmp_path, last):
    workdir = tmp_path / "w"
    shutil.copytree(small_workdir, workdir)
    for name in (*ROAD[last:], "shards", "shards-raw", *(("counts",) if last == 0 else ())):
        Dataset(str(workdir), name).remove()
    row = next(r for r in small_rows if r.url == "http://photos.example/good/0.png")
    pair = told(workdir, small_recipe, row)
    states = {("scores/clip" if one["dataset"] == "scores" else one["dataset"]): one["state"] for one in pair["stages"]}
    assert [states[name] for name in ROAD] == ["kept"] * last + ["not run yet"] * (len(ROAD) - last)
    done = command(workdir, row.uid)
    assert done.exit_code == 0 and "not run yet" in done.output
    if last == 1:  # matched and counted, not balanced
        assert stage(pair, "balanced")["keep_probability_to_come"] == pytest.approx(
            stage(pair, "matches")["entries"][0]["p"]
        )
        assert stage(told(workdir, None, row), "balanced")["keep_probability_to_come"] is None
    assert pair["end"] == {
        "stage": ["extract", "match", "balance", "download", "score", "dedup"][last],
        "outcome": "kept",
    }


def test_what_select_kept_and_no_shard_has_was_left_out_there():
    road = [{"stage": "select", "dataset": "selection", "state": "kept", "reason": None}]
    shard = {"stage": "shard", "dataset": "shards", "state": "absent", "reason": None}
    assert end([*road, shard])["outcome"] == "image_missing or undecodable"
    assert end([*road, shard | {"state": "not run yet"}]) == {"stage": "select", "outcome": "kept"}
    # The raw baseline is another set: that it has the picture keeps no pair in the curated one.
    raw = {"stage": "shard", "dataset": "shards-raw", "state": "kept", "reason": None}
    assert end([*road, shard, raw])["outcome"] == "image_missing or undecodable"
    assert end([*road, shard | {"state": "not run yet"}, raw]) == {"stage": "select", "outcome": "kept"}


# -- what is asked for


def test_a_url_gives_all_texts_of_the_image(small_workdir, small_rows):
    url = "http://photos.example/good/1.png"
    mine = {row.uid for row in small_rows if row.url == url}
    assert len(mine) == 2
    for asked in (("--url", url), ("--url", "HTTP://photos.example:80/x/../good/1.png#top"), (image_uid(url),)):
        pairs = json.loads(command(small_workdir, *asked, "--json").output)["pairs"]
        assert {pair["uid"] for pair in pairs} == mine
        assert [pair["texts_of_image"] for pair in pairs] == [2, 2]


def test_with_its_images_url_a_pair_is_found_without_a_look_at_other_parts(small_workdir, small_rows, tmp_path):
    workdir = shutil.copytree(small_workdir, tmp_path / "w")
    row = next(r for r in small_rows if r.url == "http://photos.example/good/1.png" and r.text == "another dog")
    (place,) = places(Workdir(small_workdir), row.uid, None)
    for part in Dataset(str(workdir), "pairs").part_names():
        if part != place.part:
            (workdir / "pairs" / f"{part}.parquet").unlink()
    assert places(Workdir(str(workdir)), row.uid.upper(), row.url + "#top") == [place]
    with pytest.raises(ExplainError, match="is no uid"):
        places(Workdir(str(workdir)), "abc", row.url)


def test_of_an_image_with_very_many_texts_the_first_are_told(tmp_path):
    url = "http://photos.example/spacer.png"
    write_workdir(str(tmp_path), [Row(f"text {i}", url, picture(1)) for i in range(60)])
    told = json.loads(command(tmp_path, "--url", url, "--json").output)
    assert (told["texts"], len(told["pairs"]), len({pair["uid"] for pair in told["pairs"]})) == (60, 50, 50)
    assert {stage(pair, "images")["state"] for pair in told["pairs"]} == {"kept"}
    assert "and 10 more texts of this image" in command(tmp_path, "--url", url).output


def test_a_uid_may_be_pasted_in_upper_case_with_blanks(small_workdir, small_rows):
    row = small_rows[0]
    assert places(Workdir(small_workdir), f" {row.uid.upper()} ", None) == places(Workdir(small_workdir), row.uid, None)


@pytest.mark.parametrize(
    "uid", ["", "abc", "g" * 32, "0" * 31, "0" * 33, "../../etc/passwd", "\x1b[31m" + "0" * 27, "ａ" * 32]
)
def test_what_is_no_uid_is_refused_with_an_example(small_workdir, uid):
    with pytest.raises(ExplainError, match=r"is no uid.* such as [0-9a-f]{32}") as raised:
        places(Workdir(small_workdir), uid, None)
    assert "\x1b" not in str(raised.value)


def test_a_uid_that_is_not_there_says_where_it_looked(small_workdir, small_rows):
    with pytest.raises(
        ExplainError, match=rf"{small_workdir}/pairs \(2 parts, {len(small_rows)} rows\).*uids are 32 hex"
    ):
        places(Workdir(small_workdir), "0" * 32, None)
    with pytest.raises(ExplainError, match=r"no text of an image at http://nowhere.example/\x20is in"):
        places(Workdir(small_workdir), None, "http://nowhere.example/")
    with pytest.raises(ExplainError, match="no absolute URL"):
        places(Workdir(small_workdir), None, "photos.example/good")
    with pytest.raises(ExplainError, match=r"give the uid .* or the URL"):
        places(Workdir(small_workdir), None, None)
    with pytest.raises(
        ExplainError, match=r"the image at http://photos.example/good/1.png has no text with the uid 0{32} in"
    ):
        places(Workdir(small_workdir), "0" * 32, "http://photos.example/good/1.png")


def test_without_pairs_the_stage_to_run_is_named(tmp_path):
    with pytest.raises(StoreError, match="run the stage 'extract'"):
        places(Workdir(str(tmp_path)), "0" * 32, None)


RULES = (
    Rule(rule="few_words", min=3),
    Rule(rule="threshold", column="clip.similarity_score", min=0.1),
    Rule(rule="any", label="either", branches=(Branch(rules=(Rule(rule="file_name"),)), Branch(rules=(Rule(rule="small_image", min=99),)))),
    Rule(rule="quota", column="text", at_most=1),
)  # fmt: skip


@pytest.fixture
def judged(small_workdir, tmp_path):
    """A workdir whose pairs RULES have judged, but for the quota, which dropped none."""
    root = str(tmp_path / "w")
    shutil.copytree(small_workdir, root)
    Dataset(root, "selection").remove()
    rules = resolve(Select(rules=RULES), Score(models=(Model(name="clip", model="ViT-B-32"),)))
    inputs = {name: (Dataset(root, name), columns) for name, columns in needed(rules).items()}
    parts = {
        part: pa.concat_tables(select(tables, rules) for tables in zipped(part, inputs))
        for part in Dataset(root, "images").part_names()
    }
    write(root, "selection", parts, extra={"rules": msgspec.to_builtins(rules)})
    return root


def test_all_rules_are_told_with_their_values_on_demand(judged, small_rows):
    junk = next(row for row in small_rows if row.text == "IMG_1.jpg")
    out = command(judged, junk.uid, "--why", "all", "--json")
    selected = stage(json.loads(out.output)["pairs"][0], "selection")
    assert (selected["reason"], selected["limits"]["min"]) == ("few_words", 3)
    said = {one["rule"]: one for one in selected["every_rule"]}
    assert {name: one["state"] for name, one in said.items()} == {
        "few_words": "dropped", "clip.similarity_score >= 0.1": "dropped", "either": "dropped",
        "at most 1 of each text": "not known from one pair",
    }  # fmt: skip
    assert (said["few_words"]["column"], said["few_words"]["value"]) == ("images.words", 1)
    assert round(said["clip.similarity_score >= 0.1"]["value"], 6) == 0.05
    assert said["either"]["why"] == "file_name | small_image"
    out = io.StringIO()
    where = Workdir(judged, every_rule=True)
    print_pair(explain(where, places(where, junk.uid, None)[0]), Console(file=out, width=160, highlight=False))
    printed = out.getvalue()
    assert re.search(r"few_words +dropped +images\.words +1\b", printed) and "file_name | small_image" in printed
    assert (
        "every_rule" not in command(judged, junk.uid).output
        and "clip.similarity_score" not in command(judged, junk.uid).output
    )
    kept = next(row for row in small_rows if row.states()["selection"][0] == "kept" and len(row.text.split()) > 2)
    selected = stage(json.loads(command(judged, kept.uid, "--why", "all", "--json").output)["pairs"][0], "selection")
    assert [one["state"] for one in selected["every_rule"]] == ["kept", "kept", "kept", "not known from one pair"]


def test_a_pair_that_came_to_no_rule_has_none_to_tell(judged, small_rows):
    for row in small_rows:
        if row.states()["selection"][0] == "gone":
            selected = stage(
                json.loads(command(judged, row.uid, "--why", "all", "--json").output)["pairs"][0], "selection"
            )
            assert selected["every_rule"] == [] and selected["limits"] is None
            break
    found = command(judged, "--why", "al", small_rows[0].uid)
    assert "did you mean 'all'" in str(found.exception)
