"""What a worker says reaches the user as a sentence, from each engine; what is no word of ours stays as it is."""

import time
from functools import partial

import pyarrow as pa
import pytest

from curate.ledger import Ledger
from curate.store import Dataset, Plan, StoreError
from jobs import engine, errors, reducing

SAID = "pairs/part-00001 is damaged; remove it\nand run the same command again"


def part(name: str, target: Dataset, plan: Plan):
    if name == "part-00001":
        # An engine calls off what has not begun when one part fails.
        until = time.monotonic() + 30
        while target.committed("part-00000", plan.hash) is None and time.monotonic() < until:
            time.sleep(0.02)
        raise StoreError(SAID)
    with target.write_part(name, plan.hash, Ledger()):
        pass
    return target.committed(name, plan.hash)


@pytest.mark.parametrize("launch", [engine.spark_parts, engine.ray_parts])
def test_an_expected_error_of_a_worker_is_its_own_words(engines, tmp_path, launch):
    run = engine.Run(None, str(tmp_path), engines)
    plan = Plan(dataset="pairs", stage="extract", settings={}, inputs={}, parts=("part-00000", "part-00001"))
    function = partial(part, target=run.dataset("pairs"), plan=plan)
    with pytest.raises(errors.WorkerError) as caught:
        run.make(plan, lambda missing: launch(engines, function, missing))
    assert str(caught.value) == SAID
    assert caught.value.__cause__ is None and caught.value.__suppress_context__
    # What the other workers made is there for the next run.
    assert run.dataset("pairs").committed("part-00000", plan.hash) is not None


def test_rows_and_groups_say_it_too(engines):
    def rows(name: str):
        raise StoreError(SAID)

    with pytest.raises(errors.WorkerError, match="remove it"), errors.unwrapped():
        engine.spark_rows(engines, rows, ["part-00000"], "n int").collect()

    def one_by_one(name: str):
        yield pa.table({"n": pa.array([1], pa.int32())})
        raise StoreError(SAID)

    with pytest.raises(errors.WorkerError, match="remove it"), errors.unwrapped():
        engine.spark_rows(engines, one_by_one, ["part-00000"], "n int").collect()

    def group(table, name: str) -> str:
        raise StoreError(SAID)

    frame = engines.spark().createDataFrame([("en", 1)], "lang string, n int")
    with pytest.raises(errors.WorkerError, match="remove it"), errors.unwrapped():
        reducing.spark_groups(frame, {"en": 0}, "lang", ["part-00000"], group, None)


def test_an_unexpected_error_keeps_its_traceback(engines):
    def broken(name: str):
        raise ZeroDivisionError("of a worker")

    with pytest.raises(Exception, match="ZeroDivisionError: of a worker") as caught, errors.unwrapped():
        engine.spark_parts(engines, broken, ["part-00000"])
    assert not isinstance(caught.value, errors.WorkerError)
