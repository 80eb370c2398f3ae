import json

import pyarrow as pa
import pytest

from curate import recipe, schema
from curate.evaluation.sets import EvaluationError
from curate.images.inspecting import inspect
from curate.store import Dataset, Plan, StoreError
from curate.training import checkpoints
from curate.training.loop import train as learn
from curate.uid import image_uid, pair_uid
from jobs import engine, evaluate, train

METRICS = {"zero_shot_top1", "zero_shot_top5"} | {
    f"{way}_recall@{k}" for way in ("image_to_text", "text_to_image") for k in (1, 5, 10)
}


@pytest.fixture
def described(tmp_path, small_config, make_pairs):
    """A recipe whose evaluation set are the training's pictures, moved aside."""
    (tmp_path / "held").mkdir()
    rows = ["path,label,text"]
    for url, texts, data in make_pairs(shift=4):
        name = url.rsplit("/", 1)[1]
        (tmp_path / "held" / name).write_bytes(data)
        rows.append(f"{name},{texts[0]},{texts[0]}")
    (tmp_path / "held.csv").write_text("\n".join(rows) + "\n")
    return {
        "name": "t", "extract": {"inputs": ["x"]}, "score": {"models": [{"name": "x", "model": "local-dir:x"}]},
        "dedup": {"phash_distance": -1},
        "train": {"model": small_config, "samples_seen": 16 * 60, "batch_size": 16, "learning_rate": 5e-3, "warmup": 5,
                  "threads": 1, "device": "cpu", "seeds": [0]},
        "evaluate": {"bootstrap": 200, "device": "cpu", "sets": [
            {"name": "moved", "table": str(tmp_path / "held.csv"), "images": str(tmp_path / "held")}]},
    }  # fmt: skip


@pytest.fixture
def workdir(tmp_path, make_shards, make_pairs):
    """Curated: right texts. Raw: the same pictures, each with its neighbour's texts."""
    pairs = make_pairs()
    wrong = [(url, pairs[(i + 5) % len(pairs)][1], data) for i, (url, _, data) in enumerate(pairs)]
    make_shards(tmp_path / "w", "shards", pairs=pairs)
    make_shards(tmp_path / "w", "shards-raw", pairs=wrong)
    write_images(tmp_path / "w", pairs)
    return str(tmp_path / "w")


def write_images(workdir, pairs):
    columns = schema.load("images").columns
    rows = []
    for url, texts, data in pairs:
        facts = inspect(data, 10**6)
        known = {"uid": pair_uid(url, texts[0]), "image_uid": image_uid(url), "url": url, "text": texts[0]}
        known |= {"kind": "alt", "page_url": url, "curated": True, "baseline": True, "state": "kept"}
        known |= {"sha256": facts.sha256, "phash": facts.phash}
        rows.append({name: known.get(name) for name in columns})
    data = Dataset(str(workdir), "images")
    plan = Plan(dataset="images", stage="download", settings={}, inputs={}, parts=("part-00000",))
    data.begin(plan)
    with data.write_part("part-00000", plan.hash) as out:
        out.write(pa.Table.from_pylist(rows, schema=schema.load("images").arrow()))
    data.commit(plan)


def run_of(workdir, described, redo=()):
    return engine.Run(recipe.build(described), workdir, engine.Engines(), frozenset(redo))


def trained(run):
    """Trains in this process: what torchrun adds is tested with the train job."""
    for job in train.trainings(run):
        plan = train.planned(run, job)
        run.make(plan, lambda _, job=job: learn(job) or [])
        checkpoints.clear(run.dataset(job.target))


def test_results_and_comparison_say_what_the_report_reads(workdir, described):
    run = run_of(workdir, described)
    trained(run)
    evaluate.run(run)
    results = {k: evaluate.read(run, f"evaluations/{k}-0", "result.json") for k in ("raw", "curated")}
    for kind, result in results.items():
        assert (result["run"], result["set"], result["seed"], result["samples_seen"]) == (f"{kind}-0", kind, 0, 960)
        moved = result["sets"]["moved"]
        assert (moved["images"], moved["classes"], moved["texts"]) == (32, 32, 32)
        assert moved["overlap"] == {"sha256": 0, "phash": 0, "training_images": 32}
        assert set(moved["metrics"]) == METRICS
        assert all(m["low"] <= m["value"] <= m["high"] for m in moved["metrics"].values())
    compared = evaluate.read(run, "evaluations", "comparison.json")
    assert compared["seeds"] == [0] and set(compared["sets"]["moved"]) == METRICS
    top5 = compared["sets"]["moved"]["zero_shot_top5"]
    assert top5["verdict"] == "curated is better" and top5["curated"] > top5["raw"] + 0.2
    assert top5["curated"] == results["curated"]["sets"]["moved"]["metrics"]["zero_shot_top5"]["value"]


def test_again_it_is_done_and_ends_in_the_same_bytes(workdir, described, capsys):
    run = run_of(workdir, described)
    trained(run)

    def contents():
        evaluate.run(run)
        return {name: run.dataset(name).fs.cat_file(run.dataset(name).path(file)) for name, file in (
            ("evaluations/raw-0", "result.json"), ("evaluations/raw-0", "outcomes.json"),
            ("evaluations", "comparison.json"))}  # fmt: skip

    first = contents()
    assert contents() == first and capsys.readouterr().out.count("evaluations/raw-0") == 2
    for kind in ("raw", "curated"):
        run.dataset(f"evaluations/{kind}-0").remove()
    assert contents() == first


def test_a_training_that_saw_the_evaluation_set_has_no_result(workdir, described, tmp_path, make_shards, make_pairs):
    held = make_pairs(shift=4)[3]
    run = run_of(workdir, described)
    run.dataset("shards").remove()
    make_shards(workdir, "shards", pairs=[*make_pairs(), ("http://elsewhere.example/copy.png", ["copy"], held[2])])
    trained(run)
    with pytest.raises(EvaluationError, match=r"evaluation set moved: shards holds 1 of its images by sha256"):
        evaluate.run(run)
    assert run.dataset("evaluations/raw-0").manifest() is not None
    assert run.dataset("evaluations/curated-0").manifest() is None
    assert not run.dataset("evaluations").fs.exists(run.dataset("evaluations").path("comparison.json"))


def test_another_label_is_another_evaluation(workdir, described, tmp_path):
    run = run_of(workdir, described)
    trained(run)
    evaluate.run(run)
    table = tmp_path / "held.csv"
    table.write_text(table.read_text().replace("red disc,red disc", "red disk,red disc"))
    with pytest.raises(StoreError, match=r"set moved was .*--redo evaluate"):
        evaluate.run(run)
    evaluate.run(run_of(workdir, described, ["evaluate"]))
    assert json.loads(run.dataset("evaluations").fs.cat_file(run.dataset("evaluations").path("comparison.json")))
