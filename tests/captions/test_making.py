"""A table of captions: every pair leaves it with a state, each image is shown for its own pairs, and nothing is asked twice."""

import base64
import io
import threading

import numpy as np
import pytest
from PIL import Image

from curate.captions import making
from curate.ledger import of_states
from curate.store import Dataset
from tests.captions.workdirs import captioned, own, task_of
from tests.endpoint import endpoint, says


def backend(url, **more):
    return {"backend": "openai", "endpoint": url, "model": "eyes", "retries": 1, "retry_wait": 0.01} | more


DESCRIBE = {"captioner": "describe", "backend": "openai"}


def shown(request) -> str:
    """The colour of the picture's corner."""
    url = request["messages"][-1]["content"][0]["image_url"]["url"]
    pixel = Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).getpixel((1, 1))
    return " ".join(str(round(value / 8)) for value in pixel)


def test_every_pair_has_a_state_and_its_own_images_caption(small_workdir, small_rows, tmp_path):
    with endpoint(lambda request, _: says(f"colour {shown(request)}")) as (url, seen):
        workdir = own(small_workdir, tmp_path)
        task = task_of(workdir, [backend(url)], DESCRIBE)
        table, made = captioned(task)
    rows = {row["uid"]: row for row in table.to_pylist()}
    assert set(rows) == {row.uid for row in small_rows}
    for row in small_rows:
        states = row.states()
        enters = states["duplicates"][0] == "kept" and states["balanced"][0] == "kept"
        assert rows[row.uid]["state"] == ("kept" if enters else "gone"), row
        if enters:
            image = Image.open(io.BytesIO(row.data)).convert("RGB").getpixel((1, 1))
            told = [int(word) for word in rows[row.uid]["captions"][0].split()[1:]]
            assert np.allclose(told, [value / 8 for value in image], atol=1.5)
            assert (rows[row.uid]["requests"], rows[row.uid]["prompt_tokens"], rows[row.uid]["completion_tokens"]) == (
                1,
                10,
                5,
            )
    ledger = of_states(table["state"], table["reason"])
    assert ledger.rows_in == ledger.kept == sum(row["state"] == "kept" for row in rows.values())
    # Two texts of one image are one question.
    images = {row.image for row in small_rows if rows[row.uid]["state"] == "kept"}
    assert len(seen) == len(images) < ledger.kept
    assert sum(one.counts["asked"] for one in made) == len(images)


def test_a_rerun_asks_for_nothing_twice(small_workdir, tmp_path):
    with endpoint(lambda request, _: says(f"colour {shown(request)}")) as (url, seen):
        workdir = own(small_workdir, tmp_path)
        task = task_of(workdir, [backend(url)], DESCRIBE)
        first, _ = captioned(task)
        before = len(seen)
        Dataset(workdir, "captions/describe").remove()
        again, made = captioned(task)
        assert len(seen) == before and again.equals(first)
        assert sum(one.counts["asked"] for one in made) == 0 < sum(one.counts["known"] for one in made)


def test_what_was_answered_before_the_end_is_not_asked_again(small_workdir, tmp_path):
    """The endpoint dies in the middle of a part; what it has said is kept, though the part is not."""
    alive = threading.Event()

    def answer(request, count):
        return says(f"colour {shown(request)}") if alive.is_set() or count <= 5 else (401, {}, b"no more")

    with endpoint(answer) as (url, seen):
        workdir = own(small_workdir, tmp_path)
        task = task_of(workdir, [backend(url, concurrency=1)], DESCRIBE)
        with pytest.raises(making.backends.openai.ModelError, match="401"):
            captioned(task)
        asked = [request["messages"][-1]["content"][0]["image_url"]["url"] for request in seen[:5]]
        assert len(set(asked)) == 5
        alive.set()
        before = len(seen)
        captioned(task)
    after = [request["messages"][-1]["content"][0]["image_url"]["url"] for request in seen[before:]]
    assert not set(asked) & set(after) and len(set(after)) == len(after)


def test_a_sample_is_drawn_by_image_and_lies_in_a_larger_one(small_workdir, tmp_path):
    kept = {}
    with endpoint(lambda request, _: says("a thing there")) as (url, _):
        workdir = own(small_workdir, tmp_path)
        for share in (0.2, 0.6):
            table, _ = captioned(
                task_of(workdir, [backend(url)], DESCRIBE | {"sample": share, "name": f"s{int(share * 10)}"})
            )
            kept[share] = {row["uid"] for row in table.to_pylist() if row["state"] == "kept"}
            left = {row["reason"] for row in table.to_pylist() if row["state"] == "dropped"}
            assert left == {"not_drawn"}
    assert 0 < len(kept[0.2]) < len(kept[0.6]) and kept[0.2] < kept[0.6]


@pytest.mark.parametrize(
    ("answer", "state", "reason"),
    [
        (says("I'm sorry, but I cannot describe this image."), "dropped", "refusal"),
        (says(""), "dropped", "empty"),
        (says("", finish="content_filter"), "dropped", "refusal"),
        (says("the cat the cat " * 900, finish="length"), "dropped", "cut_off"),
        (says("very big, very big, very big, very big, very big, very big"), "dropped", "repeats_itself"),
        (says("cat"), "dropped", "few_words"),
        ((200, {}, b'{"choices": [{"message": '), "failed", "bad_answer"),
        ((200, {}, b'{"choices": []}'), "failed", "bad_answer"),
        ((200, {}, b"x" * (2 << 20)), "failed", "bad_answer"),
        ((429, {"Retry-After": "0"}, b""), "failed", "no_answer"),
        ((500, {}, b""), "failed", "no_answer"),
        ((400, {}, b'{"error": "prompt too long"}'), "failed", "rejected"),
        (None, "failed", "no_answer"),
    ],
    ids=[
        "refusal",
        "empty",
        "filtered",
        "endless",
        "repeats",
        "one-word",
        "half-json",
        "no-choice",
        "huge",
        "429",
        "500",
        "400",
        "cut",
    ],
)
def test_a_hostile_answer_ends_in_a_status_and_the_others_go_on(small_workdir, tmp_path, answer, state, reason):
    bad = set()

    def mixed(request, count):
        picture = shown(request)
        if not bad:
            bad.add(picture)
        return answer if picture in bad else says("a good caption")

    with endpoint(mixed) as (url, _):
        table, _ = captioned(task_of(own(small_workdir, tmp_path), [backend(url, timeout=5)], DESCRIBE))
    rows = [row for row in table.to_pylist() if row["state"] != "gone"]
    ends = {(row["state"], row["reason"]) for row in rows}
    assert ends == {(state, reason), ("kept", None)}
    assert all(row["captions"] == (["a good caption"] if row["state"] == "kept" else None) for row in rows)
