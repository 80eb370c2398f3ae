"""`curate explain` on a terminal: what is said of each fate, and that nothing of what strangers wrote gets there raw."""

import io
import json
import re
import shutil

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from curate import schema
from curate.commands.explain import print_pair
from curate.explaining.balancing import Explainer, chance
from curate.store import MANIFEST, Dataset
from tests.commands.test_explain import command, stage, told
from tests.small_workdir import Row, picture, write_workdir


def test_small_probabilities_are_not_told_as_nothing():
    assert [chance(p) for p in (0.0, 1.0, 0.132743, 0.001, 2.31e-7)] == [
        "0.000000",
        "1.000000",
        "0.132743",
        "0.001000",
        "2.31e-07",
    ]
    assert 0 < 20_000 / 120_000_000 and chance(20_000 / 120_000_000) == "1.67e-04"


def test_a_draw_next_to_its_probability_is_told_with_all_digits(small_workdir):
    told = Explainer(small_workdir, None)._words("balanced_out", 0.1234561, 0.1234564)
    assert told == "its draw 0.1234564 is not below its keep probability 0.1234561"


def test_nothing_of_the_account_reaches_the_terminal_as_it_is(small_workdir, small_recipe, small_rows):
    """Whatever string is in a row of any dataset: page, crawl file, error, format, representative's URL, shard."""
    evil, ours = (
        "\x1b[2J\n\x07\u202e[red]\x9b31m",
        {"part", "stage", "dataset", "state", "decided", "outcome", "remarks"},
    )

    def spoilt(value, key=None):
        if isinstance(value, dict):
            return {name: spoilt(inner, name) for name, inner in value.items()}
        if isinstance(value, list):
            return [spoilt(inner, key) for inner in value]
        return evil if isinstance(value, str) and key not in ours else value

    seen = ""
    for row in small_rows:
        out = io.StringIO()
        pair = told(small_workdir, small_recipe, row)
        images = stage(pair, "images")
        pair["stages"] += [images | {"error": "x", "phash": "x", "format": "x"}] if images["width"] else []
        print_pair(spoilt(pair), Console(file=out, width=200, highlight=False))
        seen += out.getvalue()
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", seen)
    for what in ("page ", "source ", "cluster of ", " at ", "said: ", "phash ", "sha256 ", "key ", "language "):
        assert re.search(rf"{what} *\ufffd\[2J", seen), what
    lines = seen.splitlines()
    assert not [line for line in lines if line.startswith("\ufffd")], "a newline would begin a line of its own"


def test_why_a_text_was_left_to_another_and_that_training_draws(tmp_path):
    url = "http://photos.example/one.png"
    rows = [Row("a cat", url, picture(1)), Row("another cat", url, picture(1), balance="other_text")]
    write_workdir(str(tmp_path), sorted(rows, key=lambda row: (row.image, row.uid)))
    output = command(tmp_path, rows[1].uid).output
    assert "other_text; another text of the image was chosen; its own keep probability is 0.500000" in output
    balanced = Dataset(str(tmp_path), "balanced")
    done = balanced.require()
    online = msgspec.structs.replace(done, plan=msgspec.structs.replace(done.plan, settings={"online": True}))
    balanced.put(MANIFEST, msgspec.json.encode(online))
    assert (
        "every matched pair passes; training draws anew each epoch, with the keep probability 0.500000"
        in command(tmp_path, rows[0].uid).output
    )


def test_what_did_not_run_yet_is_named(small_workdir, small_rows, tmp_path):
    workdir = shutil.copytree(small_workdir, tmp_path / "w")
    for name in ("shards", "shards-raw"):
        Dataset(str(workdir), name).remove()
    output = command(workdir, small_rows[0].uid).output
    assert re.findall(r"shard +not run yet +(\S+)", output) == ["shards", "shards-raw"]


def test_the_command_says_the_fate_and_the_numbers(small_workdir, small_rows):
    output = command(small_workdir, next(row.uid for row in small_rows if row.balance)).output
    assert re.search(r"balance +dropped +balanced_out; its draw 0\.100000 is below", output)
    assert re.search(r"end +balanced_out \(balance\)", output)
    output = command(small_workdir, next(row.uid for row in small_rows if row.download)).output
    assert re.search(r"download +failed +http_4xx \(the server .*HTTP 404", output)
    assert "select     gone        a stage before took it out".replace("select     ", "select    ") in output


def test_what_strangers_wrote_neither_steers_the_terminal_nor_is_read_as_markup(tmp_path):
    evil = "[bold red]x[/] [link=http://evil.example]y[/link] \x1b[2J\x9b31m \u202egnp.exe \x07"
    write_workdir(str(tmp_path), [Row(evil, "http://photos.example/[red]/0.png", picture(1)),
                                  Row("b", "http://photos.example/1.png", picture(2))])  # fmt: skip
    uid = Row(evil, "http://photos.example/[red]/0.png").uid
    output = command(tmp_path, uid).output
    assert "[bold red]x[/] [link=http://evil.example]y[/link]" in output and "/[red]/0.png" in output
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", output)
    plain = command(tmp_path, uid, "--json").output
    assert plain.isascii() and "\x1b" not in plain
    assert json.loads(plain)["pairs"][0]["text"] == evil


def test_an_entry_list_is_not_trusted_either(small_workdir, small_rows, tmp_path):
    row = next(r for r in small_rows if r.url == "http://photos.example/good/0.png")
    texts = {"id": [0], "text": ["[red]cat\x1b[31m\u202e"], "source": ["[b]w\x07"], "statistic": [1.0]}
    (tmp_path / "en").mkdir()
    pq.write_table(pa.table(texts, schema=schema.load("entries").arrow()), tmp_path / "en" / "entries.parquet")
    (tmp_path / "r.yaml").write_text(
        f"name: r\nextract: {{inputs: [x]}}\nmatch: {{metadata: {tmp_path}}}\nscore: {{models: [{{name: clip, model: ViT-B-32}}]}}\n"
    )
    output = command(small_workdir, row.uid, "-c", str(tmp_path / "r.yaml")).output
    assert "[red]cat\ufffd[31m\ufffd" in output and "[b]w\ufffd" in output
    assert not re.search("[\x1b\x07\u202e]", output)
