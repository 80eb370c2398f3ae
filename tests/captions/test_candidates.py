"""Candidates: n draws an image, cut where they stop, each caption once."""

import pytest

from curate.backends.contract import Answer
from curate.captions import candidates
from curate.captions.contract import REASON
from tests.captions.workdirs import captioned, own, task_of
from tests.endpoint import endpoint, says

CANDIDATES = {"captioner": "candidates", "backend": "eyes", "n": 2}


def eyes(url):
    return {"backend": "openai", "name": "eyes", "endpoint": url, "model": "m", "retries": 0}


def test_draws_are_cut_counted_and_stand_once():
    said = [
        "A red apple. It lies on a table",
        "a blue plate. More",
        "A RED APPLE",
        "apple",
        "Here is a caption: a bowl on",
    ]
    answers = [Answer(text, finish) for text, finish in zip(said, ["length"] * 3 + ["stop", "length"], strict=True)]
    columns = candidates.chosen(answers, ".")
    # The third draw ended at its length without a stop: it is cut off, though it says what the first says.
    assert columns["captions"] == ["A red apple", "a blue plate"] and columns[REASON] is None
    assert columns["rejected"] == ["A RED APPLE", "apple", "a bowl on"] and columns["repeated"] == 0
    columns = candidates.chosen([answers[0], Answer("a red  apple."), Answer("A Red Apple"), answers[1]], ".")
    assert columns["captions"] == ["A red apple", "a blue plate"]
    assert (columns["rejected"], columns["repeated"]) == (None, 2)
    assert candidates.chosen([Answer("a dog. a cat")], "")["captions"] == ["a dog. a cat"]


def test_nothing_good_is_dropped_for_the_first_ones_reason_and_a_failure_fails_all():
    assert candidates.chosen([Answer("apple"), Answer("")], ".") == {
        REASON: "few_words", "rejected": ["apple", ""], "repeated": 0,
    }  # fmt: skip
    failed = candidates.chosen([Answer("a good one"), Answer(status="no_answer")], ".")
    assert failed == {REASON: "no_answer"}


def test_an_image_is_drawn_n_times_with_seeds_of_its_own(small_workdir, small_rows, tmp_path):
    with endpoint(lambda request, count: says(f"a thing called {request['seed']}. and more")) as (url, seen):
        workdir = own(small_workdir, tmp_path)
        table, _ = captioned(task_of(workdir, [eyes(url)], CANDIDATES))
        again, _ = captioned(task_of(workdir, [eyes(url)], CANDIDATES | {"name": "more", "n": 3}))
        other, _ = captioned(task_of(workdir, [eyes(url)], CANDIDATES | {"name": "other"}, seed=1))
    kept = {row["uid"]: row for row in table.to_pylist() if row["state"] == "kept"}
    by_image = {}
    for row in small_rows:
        if row.uid in kept:
            by_image.setdefault(row.image, []).append(kept[row.uid]["captions"])
    assert all(len(captions[0]) == 2 for captions in by_image.values())
    assert all(one == captions[0] for captions in by_image.values() for one in captions)
    assert any(len(captions) > 1 for captions in by_image.values())
    seeds = [caption for captions in by_image.values() for caption in captions[0]]
    assert len(set(seeds)) == len(seeds)
    assert {request["temperature"] for request in seen} == {1.0} and {request["top_p"] for request in seen} == {0.9}
    assert all(request["stop"] == ["."] and 0 <= request["seed"] < 2**31 for request in seen)
    # More of them are the same and some more; another recipe's seed draws others.
    assert all(row["captions"][:2] == kept[row["uid"]]["captions"] for row in again.to_pylist() if row["uid"] in kept)
    assert not set(seeds) & {c for row in other.to_pylist() for c in row["captions"] or ()}


def test_a_captioner_on_this_machine_is_asked_in_batches_and_answers_as_ever(small_workdir, small_coca, tmp_path):
    """Through the whole stage: batches fall as they fall, and the tables are the same."""
    tables = []
    for size in (1, 7):
        workdir = own(small_workdir, tmp_path / str(size))
        backend = {
            "backend": "coca",
            "name": "eyes",
            "model": f"local-dir:{small_coca}",
            "batch_size": size,
            "min_tokens": 6,
        }
        tables.append(captioned(task_of(workdir, [backend], CANDIDATES | {"stop": ""}))[0])
    assert tables[0].equals(tables[1])
    states = tables[0]["state"].to_pylist()
    told = [c for row in tables[0].to_pylist() for c in (row["captions"] or []) + (row["rejected"] or [])]
    assert "failed" not in states and len(set(told)) > 20


def test_a_worker_with_another_model_does_not_caption(small_workdir, small_coca, tmp_path):
    import shutil

    from curate.backends import coca
    from curate.weights import CONFIG, ModelError

    folder = tmp_path / "model"
    shutil.copytree(small_coca, folder)
    backend = {"backend": "coca", "name": "eyes", "model": f"local-dir:{folder}"}
    task = task_of(own(small_workdir, tmp_path), [backend], CANDIDATES)
    (folder / CONFIG).write_text((folder / CONFIG).read_text().replace("0.25", "0.26"))
    coca.load.cache_clear()
    with pytest.raises(ModelError, match="is not the model that this run was planned with"):
        captioned(task)
