"""`curate grammar-head` end to end: sentences in, a head and its card out, and the scorer that reads it."""

import json
from hashlib import sha256

import pyarrow as pa
import pytest
import yaml
from typer.testing import CliRunner

from curate import recipe
from curate.cli import app
from curate.recipe import Model, RecipeError
from curate.scores import grammar, registry
from curate.scores.settings import Grammar
from curate.store import Dataset, StoreError
from curate.texts.sentences import TextsError
from jobs import engine, grammar_head
from tests.conftest import ROOT
from tests.jobs.conftest import commit

TEACHER = f"local-dir:{ROOT}/demo/teacher"
TEXTS = [f"the {colour} {thing} is {place} a {other}" for colour in ("red", "green", "blue") for thing in ("cat", "dog", "hat", "car")
         for place in ("on", "near", "behind") for other in ("house", "box", "tree", "road")]  # fmt: skip


def described(section, **more):
    return {"name": "t", "extract": {"inputs": ["x"]}, "score": {"device": "cpu", "models": [{"name": "clip", "model": TEACHER}]},
            "grammar_head": {"epochs": 2, "draws": 1, "hidden": 8, "held_out": 0.3} | section} | more  # fmt: skip


def run(workdir, section, redo=(), **more):
    asked = recipe.build(described(section, **more))
    return grammar_head.run(engine.Run(asked, str(workdir), engine.Engines(), frozenset(redo)))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "sentences.txt"
    path.write_text("\n".join([*TEXTS, *TEXTS[:5], "two words"]) + "\n")
    return str(path)


def test_the_command_makes_a_head_that_the_scorer_takes(tmp_path, file):
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(described({"texts": file})))
    arguments = ["grammar-head", "-c", str(tmp_path / "r.yaml"), "-w", str(tmp_path / "w")]
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    folder = tmp_path / "w" / "grammar-head"
    card = json.loads((folder / "head.json").read_text())
    assert card["account"] == {
        "read": 150,
        "used": 144,
        "too_few_words": 1,
        "too_long": 0,
        "said_before_or_not_drawn": 5,
    }
    assert (
        card["training_texts"] + card["held_out"]["texts"] == 144
        and f"AUROC {card['held_out']['auroc']:.3f}" in done.output
    )
    assert card["head_sha256"] == sha256((folder / "head.safetensors").read_bytes()).hexdigest()
    assert str(tmp_path) not in json.dumps(card)
    settings = Grammar(model="clip", head=str(folder / "head.safetensors"))
    model = Model(name="clip", model=TEACHER)
    grammar.KIND.load(settings, "cpu", registry.identity(settings, model), model)
    assert f"head: '{settings.head}'" in done.output.replace("\n", "")
    # What is there is not made again; the same texts in the same place are the same head.
    before = (folder / "head.safetensors").stat().st_mtime_ns
    again = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert "already done" in again.output and (folder / "head.safetensors").stat().st_mtime_ns == before


def test_other_texts_or_settings_are_refused_and_may_be_redone(tmp_path, file):
    first = run(tmp_path / "w", {"texts": file})
    assert run(tmp_path / "again", {"texts": file}) == first
    with pytest.raises(StoreError, match=r"hidden.*--redo grammar-head"):
        run(tmp_path / "w", {"texts": file, "hidden": 9})
    with open(file, "a") as out:
        out.write("the black cat is on a chair\n")
    with pytest.raises(StoreError, match=r"--redo grammar-head"):
        run(tmp_path / "w", {"texts": file})
    second = run(tmp_path / "w", {"texts": file}, redo=["grammar-head"])
    assert second.account["used"] == 145
    assert {first.training_fingerprint, first.held_out_fingerprint} != {
        second.training_fingerprint,
        second.held_out_fingerprint,
    }


def test_texts_of_a_dataset_are_those_that_it_kept(tmp_path):
    states = ["dropped" if i % 9 == 0 else "kept" for i in range(len(TEXTS))]
    known = Dataset(str(tmp_path), "images").schema.arrow()
    rows = [dict.fromkeys(known.names) | {"uid": f"{i:032x}", "image_uid": f"{i:032x}", "url": "http://a.example/", "text": text, "lang": "en",
             "kind": "alt", "page_url": None, "state": state, "reason": "opted_out" if state == "dropped" else None, "curated": True, "baseline": False}
            for i, (text, state) in enumerate(zip(TEXTS, states, strict=True))]  # fmt: skip
    commit(tmp_path, "images", [[pa.Table.from_pylist(rows, schema=known)]])
    card = run(tmp_path, {"texts": "images", "where": {"lang": ["en"]}})
    assert card.source == "images" and card.account["read"] == card.account["used"] == 128
    with pytest.raises(TextsError, match="has no column 'txet'"):
        run(tmp_path, {"texts": "images", "column": "txet"}, redo=["grammar-head"])


def test_settings_that_cannot_be_met_are_told(tmp_path, file):
    with pytest.raises(RecipeError, match=r"grammar_head\.texts names no texts"):
        run(tmp_path, {})
    with pytest.raises(RecipeError, match=r"grammar_head\.model: 'clop' is none of score\.models: .*clip"):
        run(tmp_path, {"texts": file, "model": "clop"})
    with pytest.raises(TextsError, match=r"no file .*missing\.txt"):
        run(tmp_path, {"texts": str(tmp_path / "missing.txt")})
    with pytest.raises(StoreError, match=r"captions/seen is not there"):
        run(tmp_path, {"texts": "captions/seen"})
