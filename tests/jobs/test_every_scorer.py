"""Every scorer that a recipe can name, on a sample of the bundled pool: no row is lost, and what is said of it is in the schema.

What the demo's recipe names runs as it stands there. What wants a model that nobody ships gets a small one that is made here, or an
endpoint on loopback.
"""

import hashlib
import math
from contextlib import contextmanager
from itertools import count

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save_file

from curate import models, recipe, schema
from curate.draw import draw
from curate.images.archive import ArchiveWriter, tar_name
from curate.ledger import alive
from curate.scores.registry import KINDS, word
from curate.store import Dataset, Plan, part_name
from curate.uid import image_uid, pair_uid, part_of
from jobs import engine, score
from tests.conftest import ROOT
from tests.scores.test_toxicity import classifier
from tests.scores.test_vlm import endpoint, says
from tests.scores.test_watermark import network
from tests.small_model import hyperbolic

pytestmark = pytest.mark.usefixtures("same_actors")

POOL = ROOT / "demo" / "pool"
PARTS, IMAGES, WIDTH = 2, 40, 128
"""Width: of the teacher's embeddings."""
TEXTS = (
    "",
    "IMG_0001.jpg",
    "nul \x00 inside",
    "ask me@example.com or +49 30 901820",
    "x" * 20_000,
    "a dog a dog a dog",
)
"""Beside each image's own."""


def head(folder):
    rng = np.random.default_rng(0)
    path = folder / "head.npz"
    np.savez(path, weight=rng.normal(0, 1, (1, WIDTH)).astype(np.float32), bias=np.zeros(1, np.float32))
    return str(path)


def grammar_head(folder):
    """A head that says whose embeddings it takes."""
    rng, path = np.random.default_rng(0), folder / "grammar.safetensors"
    arrays = {"0.weight": rng.normal(0, 1, (3, WIDTH)), "2.weight": rng.normal(0, 1, (1, 3))}
    teacher = models.identity(recipe.Model(name="clip", model=f"local-dir:{ROOT}/demo/teacher"))
    save_file({name: value.astype(np.float32) for name, value in arrays.items()}, path, {"tower": teacher["revision"]})
    return str(path)


def written(folder):
    classifier(folder / "classifier")
    return str(folder / "classifier")


@contextmanager
def eyes():
    """An endpoint that says a number, and nonsense to each 29th."""
    turns = count()
    with endpoint(lambda request, _: says("no number" if next(turns) % 29 == 28 else "73")) as (url, _):
        yield url


BROUGHT = {
    "aesthetics": lambda folder, url: {"model": "clip", "head": head(folder)},
    "safety": lambda folder, url: {"model": "clip", "head": head(folder)},
    "grammar": lambda folder, url: {"model": "clip", "head": grammar_head(folder)},
    "toxicity": lambda folder, url: {"classifier": written(folder), "max_tokens": 16},
    "watermark": lambda folder, url: {"network": network(folder / "n.onnx"), "side": 16},
    "copies": lambda folder, url: {"network": network(folder / "n.onnx"), "side": 16},
    "hype": lambda folder, url: {"model": "meru", "cosine": "clip", "references": 30},
    "vlm": lambda folder, url: {"endpoint": url, "model": "eyes", "retries": 0, "side": 32},
}
"""Settings of the scorers that want something which does not ship, from a folder where it is made and the endpoint's URL."""


def sample(workdir: str) -> Dataset:
    """`images` of some pictures of the pool with hostile texts; two bodies are broken, two pictures were not to be had."""
    bodies = {}
    for row in pq.read_table(POOL / "web.parquet", columns=["url", "status", "member"]).to_pylist():
        if row["status"] == 200 and (row["member"] or "").endswith((".png", ".webp", ".jpg", ".gif")):
            bodies[row["url"]] = (POOL / row["member"]).read_bytes()
    drawn = sorted(bodies, key=lambda url: draw(0, "every scorer", [url])[0])[:IMAGES]
    urls = sorted({*drawn, "http://photoblog.example/tiny/pixel-1.gif"}, key=image_uid)
    data, names = Dataset(workdir, "images"), tuple(part_name(i) for i in range(PARTS))
    plan = Plan(dataset="images", stage="download", settings={}, inputs={}, parts=names)
    data.begin(plan)
    for index, name in enumerate(names):
        mine = [url for url in urls if part_of(image_uid(url), PARTS) == index]
        rows = []
        with data.sidecar(tar_name(name)) as file:
            tar = ArchiveWriter(file)
            for place, url in enumerate(mine):
                state = {0: "failed", 1: "dropped"}.get(place, "kept")
                body = bodies[url][:40] if place == 2 else bodies[url]
                texts = {url.rsplit("/", 1)[-1], TEXTS[place % len(TEXTS)]}
                rows += sorted((pair(url, text, body, state) for text in texts), key=lambda one: one["uid"])
                if state == "kept":
                    tar.add(f"{image_uid(url)}.png", body)
            tar.close()
        with data.write_part(name, plan.hash) as out:
            table = pa.Table.from_pylist(rows, schema=schema.load("images").arrow())
            out.write(table.slice(0, 9))
            out.write(table.slice(9))
    data.commit(plan)
    return data


def pair(url, text, body, state):
    known = {"uid": pair_uid(url, text), "image_uid": image_uid(url), "url": url, "text": text, "nbytes": len(body), "kind": "alt",
             "page_url": url, "curated": True, "baseline": True, "state": state, "lang": "en", "sha256": hashlib.sha256(body).hexdigest(),
             "reason": {"failed": "http_4xx", "dropped": "opted_out"}.get(state)}  # fmt: skip
    return {name: known.get(name) for name in schema.load("images").columns}


def shipped() -> list[dict]:
    """The scorers of the demo's recipe, its paths made absolute."""
    plain = recipe.load("demo").score.scorers
    made = [
        {"scorer": word(one)} | {name: value for name, value in one.identity().items() if name != "scorer"}
        for one in plain
    ]
    return [
        {name: f"{ROOT}/{value}" if str(value).startswith("demo/") else value for name, value in one.items()}
        for one in made
    ]


@pytest.fixture(scope="module")
def scored(tmp_path_factory, engines):
    """(workdir, {word: name of its table}) after the stage score with every scorer."""
    folder = tmp_path_factory.mktemp("every-scorer")
    workdir = str(folder / "workdir")
    sample(workdir)
    fluent = {
        "name": "fluent",
        "table": str(ROOT / "demo/evaluation/fluent.csv"),
        "images": str(POOL / "www"),
        "templates": ["{}"],
    }
    with eyes() as url:
        made = {name: settings(folder, url) for name, settings in BROUGHT.items()}
        more = [{"scorer": name} | settings for name, settings in made.items()]
        asked = recipe.build({
            "name": "every", "extract": {"inputs": ["x"]}, "evaluate": {"sets": [fluent]},
            "score": {"models": [{"name": "meru", "model": hyperbolic(ROOT / "demo/teacher", folder / "meru")},
                                 {"name": "clip", "model": f"local-dir:{ROOT}/demo/teacher"}], "scorers": [*shipped(), *more]},
        })  # fmt: skip
        score.run(engine.Run(asked, workdir, engines))
    return workdir, {word(one): f"scores/{one.name}" for one in asked.score.all()}


def test_the_demo_names_every_scorer_that_needs_nothing_brought():
    at_hand = {word(one) for one in recipe.load("demo").score.all()}
    wanting = set(KINDS) - at_hand - set(BROUGHT)
    assert not wanting, f"{wanting}: name them in recipes/demo.yaml, or say above what they are to be given"


def test_every_scorer_says_what_it_learned_from():
    assert not [name for name, kind in KINDS.items() if not kind.learned_from.endswith(".")]


@pytest.mark.parametrize("scorer", KINDS)
def test_every_row_is_accounted_for(scored, scorer):
    workdir, tables = scored
    data, images = Dataset(workdir, tables[scorer]), Dataset(workdir, "images")
    known, ledger = data.schema, data.require().ledger
    said = {name: 0 for name in known.columns if name not in ("uid", "state", "reason")}
    reasons = []
    for part in images.part_names():
        entered, table = images.read_part(part), data.read_part(part)
        assert table["uid"].equals(entered["uid"])
        lives = alive(entered["state"]).to_pylist()
        for live, found in zip(lives, table.to_pylist(), strict=True):
            assert (found["state"] != "gone") == live
            assert found["state"] in ("kept", "dropped", "failed", "gone")
            assert (found["reason"] is None) == (found["state"] in ("kept", "gone"))
            reasons += [found["reason"]] * (found["reason"] is not None)
            for name in said:
                said[name] += found[name] is not None
                assert found["state"] == "kept" or found[name] is None
                assert not isinstance(found[name], float) or math.isfinite(found[name])
    assert set(reasons) <= {*known.dropped, *known.failed}
    assert ledger.rows_in == ledger.kept + sum(ledger.dropped.values()) + sum(ledger.failed.values()) > 2 * IMAGES - 10
    assert sum(ledger.dropped.values()) + sum(ledger.failed.values()) == len(reasons)
    assert all(said.values()) and ledger.kept > ledger.rows_in / 2, (said, ledger)
    if KINDS[scorer].needs == "pixels":
        assert reasons.count("undecodable") == 2 * PARTS
    assert scorer != "vlm" or "no_score" in reasons
