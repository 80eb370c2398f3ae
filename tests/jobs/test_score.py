import io
import shutil
from functools import partial

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from curate import recipe, schema, weights
from curate.disclosures import Disclosure, Seen
from curate.images.archive import ArchiveWriter, tar_name
from curate.report.similarity import similarity
from curate.scores.derived import TargetError
from curate.scores.settings import NormSim, PseudoLabels
from curate.store import Dataset, Plan, StoreError, part_name
from curate.uid import image_uid, pair_uid, part_of
from curate.weights import ModelError
from jobs import deriving, engine, score
from tests.small_model import drawn

pytestmark = pytest.mark.usefixtures("same_actors")

PARTS = 2


@pytest.fixture
def workdir(tmp_path, make_pairs):
    """An `images` dataset in two parts of two row groups, one image of which does not decode."""
    pairs = sorted(make_pairs(), key=lambda pair: image_uid(pair[0]))
    data = Dataset(str(tmp_path), "images")
    names = tuple(part_name(i) for i in range(PARTS))
    plan = Plan(dataset="images", stage="download", settings={}, inputs={}, parts=names)
    data.begin(plan)
    for index, name in enumerate(names):
        rows, out = [], io.BytesIO()
        tar = ArchiveWriter(out)
        for url, texts, body in (p for p in pairs if part_of(image_uid(p[0]), PARTS) == index):
            body = b"broken" if url.endswith("red-disc.png") else body
            rows += sorted((image_row(url, text, len(body)) for text in texts), key=lambda row: row["uid"])
            tar.add(f"{image_uid(url)}.png", body)
        tar.close()
        with data.sidecar(tar_name(name)) as file:
            file.write(out.getvalue())
        table = pa.Table.from_pylist(rows, schema=schema.load("images").arrow())
        with data.write_part(name, plan.hash) as part:
            part.write(table.slice(0, 7))  # an image's two texts lie on both sides of the border
            part.write(table.slice(7))
    data.commit(plan)
    return str(tmp_path)


def image_row(url, text, size):
    known = {"uid": pair_uid(url, text), "image_uid": image_uid(url), "url": url, "text": text, "nbytes": size}
    known |= {"kind": "alt", "page_url": url, "curated": True, "baseline": True, "state": "kept"}
    return {name: known.get(name) for name in schema.load("images").columns}


def run(workdir, small_run, engines, workers=1, more=None, redo=(), sets=(), max_pixels=10**6, **model):
    described = {"name": "small", "model": f"local-dir:{small_run}", **model}
    section = {"models": [described], "workers": workers} | (more or {})
    plain = {"name": "t", "extract": {"inputs": ["x"]}, "score": section, "evaluate": {"sets": list(sets)}}
    plain["download"] = {"max_pixels": max_pixels}
    score.run(engine.Run(recipe.build(plain), workdir, engines, frozenset(redo)))
    return Dataset(workdir, "scores/small")


def test_scores_are_aligned_and_say_which_model_made_them(workdir, small_run, engines):
    scores, images = run(workdir, small_run, engines), Dataset(workdir, "images")
    manifest = scores.require()
    assert manifest.ledger.rows_in == 64 and manifest.ledger.failed == {"undecodable": 2}
    for name in images.part_names():
        with scores.open_part(name) as one, images.open_part(name) as other:
            assert one.num_row_groups == other.num_row_groups == 2
            assert one.read(["uid"]).equals(other.read(["uid"]))
    settings = manifest.plan.settings
    assert settings["revision"].startswith("sha256:") and settings["precision"] == "fp32"
    assert settings["preprocessing"]["size"] == 16 and str(small_run.parent) not in str(settings)


def test_a_model_that_says_what_it_was_trained_on_says_so_in_its_scores(workdir, small_run, engines, tmp_path):
    folder = tmp_path / "dfn"
    shutil.copytree(small_run, folder)
    seen = Seen(name="clean", about="", includes=("COCO",), fingerprint="f", tars=1, samples=32, left_out={}, broken_places=0,
                samples_seen=960, settings={}, overlap={})  # fmt: skip
    told = Disclosure(weights_sha256=weights.sha256(folder / weights.WEIGHTS), objective="contrastive", seed=0, code="x", samples_seen=960,
                      trained_on=(seen,), phash_distance=4, warnings=("includes training images of COCO",))  # fmt: skip
    (folder / "disclosure.json").write_bytes(msgspec.json.encode(told))
    more = {"scorers": [{"scorer": "quality", "model": "small"}, {"scorer": "text"}]}
    scores = run(workdir, folder, engines, more=more)
    for dataset in (scores, Dataset(workdir, "scores/quality")):
        assert msgspec.convert(dataset.require().extra["disclosures"], dict[str, Disclosure]) == {"small": told}
    assert not Dataset(workdir, "scores/text").require().extra
    plain = {
        "name": "t",
        "extract": {"inputs": ["x"]},
        "score": {"models": [{"name": "small", "model": f"local-dir:{folder}"}]},
    }
    (account,) = similarity(workdir, recipe.build(plain))
    assert account["trained_on"]["sets"] == [{"name": "clean", "samples": 32, "fingerprint": "f"}]
    assert account["trained_on"]["warnings"] == ["includes training images of COCO"]


def test_a_model_that_is_not_hyperbolic_is_said_before_anything_is_scored(workdir, small_run, engines):
    with pytest.raises(ModelError, match=r"model 'small' is not hyperbolic.*curv, visual_alpha, textual_alpha"):
        run(workdir, small_run, engines, more={"scorers": [{"scorer": "hype", "model": "small"}]})
    assert not Dataset(workdir, "scores/small").fs.exists(Dataset(workdir, "scores/small").root)


def test_models_and_scorers_go_over_the_parts_together(workdir, small_run, engines, capsys):
    """A table that is half done and one that is not begun are made by one pass; what the recipe calls a table is not its schema."""
    second = {"name": "again", "model": f"local-dir:{small_run}", "batch_size": 5}
    more = {"models": [{"name": "small", "model": f"local-dir:{small_run}"}, second], "npz": True,
            "scorers": [{"scorer": "pixels", "name": "plain"}]}  # fmt: skip
    small = run(workdir, small_run, engines, more=more)
    small.fs.rm_file(small.path("_manifest.json"))
    small.fs.rm_file(small.path("part-00001.parquet"))
    Dataset(workdir, "scores/plain").remove()
    run(workdir, small_run, engines, more=more)
    said = capsys.readouterr().out
    assert "already done" in said and said.count("1 of 2 parts from before") == 1
    assert [line.split()[0] for line in said.splitlines() if "with scores/small" in line] == [
        "scores/again",
        "scores/plain",
        "scores/plain",
    ]
    plain = Dataset(workdir, "scores/plain")
    assert plain.require().ledger.failed == {"undecodable": 2} and "contrast" in plain.schema.columns
    one, two = small.read_part("part-00000"), Dataset(workdir, "scores/again").read_part("part-00000")
    assert one["similarity_score"].to_pylist() == pytest.approx(
        two["similarity_score"].to_pylist(), abs=1e-5, nan_ok=True
    )
    beside = np.load(small.path("part-00001.npz"))
    texts = small.read_part("part-00001")["text_embedding"].to_pylist()
    assert [None if np.isnan(row).all() else row.tolist() for row in beside["small_txt"]] == texts


def test_texts_are_scored_beside_images_and_stored_embeddings_after_them(workdir, small_run, engines):
    pairs = [["red disc", "blue line"], ["a square, green", "a cross, black"]]
    scorers = [
        {"scorer": "quality", "model": "small", "pairs": pairs},
        {"scorer": "text"},
        {"scorer": "tmars", "model": "small"},
    ]
    small = run(workdir, small_run, engines, more={"scorers": scorers})
    quality, text = Dataset(workdir, "scores/quality"), Dataset(workdir, "scores/text")
    manifest = quality.require()
    assert manifest.ledger.failed == {"no_embedding": 2} and manifest.ledger.kept == 62
    assert manifest.plan.settings["embeddings_of"] == small.require().plan.settings["revision"]
    assert set(manifest.plan.inputs) == {"images", "scores/small"}
    tmars = Dataset(workdir, "scores/tmars").require()
    assert (
        tmars.ledger.kept == 62 and tmars.ledger.failed == {"undecodable": 2} and set(tmars.plan.inputs) == {"images"}
    )
    assert tmars.plan.settings["clip"]["revision"] == small.require().plan.settings["revision"]
    assert text.require().ledger.kept == 64  # a text says what it says, whatever became of the image
    for name in small.part_names():
        embeddings = small.read_part(name)["image_embedding"].to_pylist()
        values = quality.read_part(name)["quality"].to_pylist()
        assert [value is None for value in values] == [vector is None for vector in embeddings]
        assert text.read_part(name)["words"].to_pylist() == [
            len(one.split()) for one in Dataset(workdir, "images").read_part(name)["text"].to_pylist()
        ]


@pytest.fixture
def shapes(tmp_path):
    """An evaluation set of two images, one of them in a folder of its own."""
    folder = tmp_path / "target"
    (folder / "deep").mkdir(parents=True)
    (folder / "b.png").write_bytes(drawn("disc", "blue", 1))
    (folder / "deep" / "a.png").write_bytes(drawn("cross", "blue", 1))
    (tmp_path / "shapes.csv").write_text("path,label,text\ndeep/a.png,cross,a cross\nb.png,disc,a disc\n")
    return {"name": "shapes", "table": str(tmp_path / "shapes.csv"), "images": str(folder), "templates": ["{}", "a {}"]}


def test_scores_from_embeddings_follow_the_model_that_they_read(workdir, small_run, engines, shapes):
    labels = {"scorer": "pseudo_labels", "name": "labels", "model": "small", "classes": "shapes", "each": 3}
    run(workdir, small_run, engines, more={"scorers": [labels]}, sets=[shapes])
    data = Dataset(workdir, "scores/labels")
    assert data.require().ledger.failed == {"no_embedding": 2}
    assert set(data.require().plan.inputs) == {"images", "scores/small", "target"}
    assert not [file for file in data.fs.ls(data.root, detail=False) if "part-" in file and file.endswith(".npz")]
    rows = [row for part in data.part_names() for row in data.read_part(part).to_pylist()]
    images = [row for part in data.part_names() for row in Dataset(workdir, "images").read_part(part).to_pylist()]
    chosen = {(row["label"], image["image_uid"]) for row, image in zip(rows, images, strict=True) if row["chosen"]}
    counts = [sum(label == name for label, _ in chosen) for name in {row["label"] for row in rows if row["label"]}]
    assert counts and all(count == 3 for count in counts)


def test_targets_are_sets_or_folders_and_change_with_their_files(shapes, tmp_path):
    known = recipe.build(
        {"name": "t", "extract": {"inputs": ["x"]}, "evaluate": {"sets": [shapes]}}
    ).evaluate.sets  # fmt: skip
    by_set, by_folder = (
        deriving.targets(NormSim(model="m", target=target), known, 10**6) for target in ("shapes", shapes["images"])
    )
    assert [file.rsplit("/", 1)[1] for file in by_folder.images] == ["b.png", "a.png"]
    assert sorted(file.removeprefix("file://") for file in by_folder.images) == sorted(by_set.images)
    prompts = deriving.targets(PseudoLabels(model="m", classes="shapes"), known, 10**6).prompts
    assert prompts == {"cross": ("cross", "a cross"), "disc": ("disc", "a disc")}
    (tmp_path / "target" / "c.png").write_bytes(drawn("line", "red"))
    assert (
        deriving.targets(NormSim(model="m", target=shapes["images"]), known, 10**6).fingerprint != by_folder.fingerprint
    )
    with pytest.raises(TargetError, match=r"'shape' is neither one of evaluate\.sets nor a folder with images"):
        deriving.targets(NormSim(model="m", target="shape"), known, 10**6)


def test_what_may_be_decoded_is_what_download_lets_in(workdir, small_run, engines):
    # All pictures have 24 x 20 pixels.
    failed = run(workdir, small_run, engines, max_pixels=479).require().ledger.failed
    assert failed == {"undecodable": 64}


def test_two_workers_write_the_same_bytes_as_one(workdir, small_run, engines):
    one = run(workdir, small_run, engines, workers=1)
    before = {name: one.fs.cat_file(one.path(f"{name}.parquet")) for name in one.part_names()}
    one.remove()
    two = run(workdir, small_run, engines, workers=2)
    assert {name: two.fs.cat_file(two.path(f"{name}.parquet")) for name in two.part_names()} == before


def test_a_batch_size_is_no_reason_to_score_again_and_another_precision_is(workdir, small_run, engines):
    run(workdir, small_run, engines)
    run(workdir, small_run, engines, batch_size=7)
    with pytest.raises(StoreError, match=r"precision was 'fp32', is now 'fp16'.*--redo score"):
        run(workdir, small_run, engines, precision="fp16")


def test_scores_of_the_images_before_a_retry_are_refused_until_they_may_be_replaced(workdir, small_run, monkeypatch):
    # Made in this process: starting two workers would take longer than all the rest.
    monkeypatch.setattr(engine, "ray_map", lambda _, function, names, **how: [
        msgspec.to_builtins(function(name)) for name in names])  # fmt: skip
    here = partial(run, workdir, small_run, engine.Engines(), more={"device": "cpu"})
    here()
    images, retried = Dataset(workdir, "images"), Dataset(workdir, "images-1")
    plan = Plan(dataset="images-1", stage="download", settings={"retry": {}}, inputs={"images": images.fingerprint},
                parts=images.require().plan.parts)  # fmt: skip
    retried.begin(plan)
    for name in images.part_names():
        with retried.write_part(name, plan.hash) as out, retried.sidecar(tar_name(name)) as file:
            ArchiveWriter(file).close()
            with images.open_part(name) as before:
                for group in range(before.num_row_groups):
                    out.write(before.read_row_group(group))
    assert here().require(), "a retry that is not done changes nothing"
    retried.commit(plan)
    with pytest.raises(StoreError, match=r"scores/small.*images-1.*--redo score"):
        here()
    scores = here(redo=["score"])
    assert scores.require().plan.inputs == {"images-1": retried.fingerprint} and scores.require().ledger.rows_in == 64
