"""The stage as it is run: on Ray, with its account, and killed in the middle without asking anything twice."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from curate import recipe
from curate.store import Dataset
from jobs import engine, recaption
from tests.captions.workdirs import own
from tests.conftest import contents
from tests.endpoint import endpoint, says

ROOT = Path(__file__).resolve().parents[2]
KEY = "secret-of-this-test"


def plain(url, **more) -> dict:
    asks = {"backend": "openai", "endpoint": url, "model": "eyes", "concurrency": 2, "retries": 1, "retry_wait": 0.01} | more  # fmt: skip
    section = {"backends": [asks], "captioners": [{"captioner": "describe", "backend": "openai", "lengths": ["short", "long"]}]}  # fmt: skip
    return {"name": "t", "extract": {"inputs": ["x"]}, "recaption": section}


def run(workdir, engines, url, **more) -> Dataset:
    recaption.run(engine.Run(recipe.build(plain(url, **more)), str(workdir), engines))
    return Dataset(str(workdir), "captions/describe")


def question(request) -> str:
    picture, words = request["messages"][-1]["content"]
    return words["text"][:60] + picture["image_url"]["url"]


def made(workdir) -> dict[str, bytes]:
    """What a run is to end in: all but the answers that were kept, whose pages lie as they came."""
    return {name: data for name, data in contents(Path(workdir)).items() if not name.startswith("answers/")}


@pytest.fixture(scope="module")
def whole(small_workdir, tmp_path_factory, engines):
    """A workdir after an undisturbed run, and the questions that it took."""
    with endpoint(lambda request, _: says(f"a caption of {len(question(request))}")) as (url, seen):
        workdir = own(small_workdir, tmp_path_factory.mktemp("whole"))
        run(workdir, engines, url)
    return workdir, Counter(map(question, seen))


def test_the_manifest_says_what_a_table_took_and_the_line_what_was_asked_now(whole, small_workdir, tmp_path, engines, capsys):  # fmt: skip
    workdir, questions = whole
    manifest = Dataset(workdir, "captions/describe").require()
    kept = manifest.ledger.kept
    assert kept and manifest.extra == {"took": {"requests": 2 * kept, "prompt_tokens": 20 * kept, "completion_tokens": 10 * kept}}  # fmt: skip
    assert set(questions.values()) == {1} and len(questions) < 2 * kept
    with endpoint(lambda request, _: says(f"a caption of {len(question(request))}")) as (url, seen):
        copy = own(small_workdir, tmp_path)
        capsys.readouterr()
        run(copy, engines, url, input_price=1000.0, output_price=10_000.0, requests_per_minute=60_000.0)
        line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("captions/describe: asked"))  # fmt: skip
        asked = len(seen)
        assert f"asked openai {asked:,} times" in line and f"{10 * asked:,} tokens in, {5 * asked:,} out" in line
        assert line.endswith(f"cost {asked * (10 * 1000 + 5 * 10_000) / 1e6:,.2f}")
    # Prices and limits are no part of what a table is.
    assert made(copy) == made(workdir)


def test_a_run_that_is_killed_asks_nothing_twice_and_ends_in_the_same_bytes(whole, small_workdir, tmp_path, engines):
    undisturbed, questions = whole
    workdir, file = own(small_workdir, tmp_path), tmp_path / "recipe.yaml"

    def answer(request, count):
        time.sleep(0.05)
        return says(f"a caption of {len(question(request))}")

    with endpoint(answer) as (url, seen):
        file.write_text(json.dumps(plain(url, key_variable="EYES_KEY")))
        command = [sys.executable, "jobs/recaption.py", "-c", str(file), "-w", workdir]
        env = os.environ | {"EYES_KEY": KEY}
        child = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)  # fmt: skip
        end = time.monotonic() + 120
        while len(seen) < 20 and child.poll() is None and time.monotonic() < end:
            time.sleep(0.005)
        os.killpg(child.pid, signal.SIGKILL)
        said = child.communicate()[0]
        time.sleep(0.2)  # what was on its way when the run died is answered into the void
        before = [question(request) for request in seen]
        assert 20 <= len(before) < len(questions), said[-3000:]
        assert {request.headers["Authorization"] for request in seen} == {f"Bearer {KEY}"}
        run(workdir, engines, url)
    asked = Counter(map(question, seen))
    assert set(asked) == set(questions)
    # Two were open when the run was killed: nobody has seen their answers.
    assert sum(asked.values()) - len(questions) <= 2 and max(asked.values()) <= 2
    assert made(workdir) == made(undisturbed)
    held = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert KEY.encode() not in held and KEY not in said
