"""Killed at any stage and started again, the road ends in the same bytes. Two stages of it are killed in `test_demo`."""

import random
import time

import pytest

from tests.conftest import contents, demo
from tests.killing import kill, wait_for


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("stage", ["extract", "match", "balance", "download", "score", "dedup", "recaption", "select", "shard", "train", "evaluate", "report"])  # fmt: skip
def test_each_stage_survives_a_kill_at_a_random_moment(demo_workdir, tmp_path, stage):
    from curate.recipe import STAGES

    workdir = tmp_path / "killed"
    before = STAGES[: STAGES.index(stage)]
    if before:
        run = demo(workdir, "--stages", f"{before[0]}..{before[-1]}")
        output, _ = run.communicate(timeout=900)
        assert run.returncode == 0, output[-3000:]
    for moment in (4.0, 7.0, 10.0):
        run = demo(workdir, "--stages", stage)
        time.sleep(moment + random.Random(stage).uniform(0, 2))
        kill(run)
    run = demo(workdir, "--stages", stage)
    output, _ = run.communicate(timeout=900)
    assert run.returncode == 0, output[-3000:]
    whole, killed = contents(demo_workdir), contents(workdir)
    # Times stand in no file; what training leaves is deterministic on one machine.
    assert [name for name in killed if killed[name] != whole.get(name)] == []


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("stage", "dataset"), [("extract", "pairs"), ("download", "images")])
def test_ten_kills_at_random_moments_lose_nothing_and_double_nothing(demo_workdir, tmp_path, stage, dataset):
    from curate.recipe import STAGES
    from curate.store import Dataset

    workdir, chance = tmp_path / "killed", random.Random(stage)
    target, before = Dataset(str(workdir), dataset), STAGES[: STAGES.index(stage)]
    if before:
        output, _ = (run := demo(workdir, "--stages", f"{before[0]}..{before[-1]}")).communicate(timeout=900)
        assert run.returncode == 0, output[-3000:]
    interrupted = 0
    for _ in range(10):
        if target.manifest() is not None:
            target.remove()
        run = demo(workdir, "--stages", stage)
        assert wait_for(workdir / dataset / "_plan.json", run), run.communicate()[0]
        time.sleep(chance.uniform(0, 6))
        interrupted += run.poll() is None
        kill(run)
    assert interrupted >= 5, "hardly a kill came before the end"
    output, _ = (run := demo(workdir, "--stages", stage)).communicate(timeout=900)
    assert run.returncode == 0, output[-3000:]
    whole, killed = Dataset(str(demo_workdir), dataset), Dataset(str(workdir), dataset)
    account = killed.require().ledger
    assert account == whole.require().ledger
    assert account.rows_in == account.kept + sum(account.dropped.values()) + sum(account.failed.values())
    uids = [uid for table in killed.batches(["uid"]) for uid in table["uid"].to_pylist()]
    assert len(uids) == len(set(uids)) == sum(part.rows for part in killed.require().parts)
    assert contents(workdir / dataset) == contents(demo_workdir / dataset)
