"""What is shown while parts are being made: lines in a log, a bar at a terminal, nothing for what is quick."""

import os
import pty
import re
import subprocess
import sys
import threading

import pytest

from curate.ledger import Ledger
from curate.store import Dataset, Plan
from jobs import engine, watching
from tests.conftest import ROOT

PARTS = tuple(f"part-{number:05d}" for number in range(4))


def write(target: Dataset, plan: Plan, part: str) -> None:
    with target.write_part(part, plan.hash, Ledger()):
        pass


def test_a_log_gets_a_line_when_there_is_something_new(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(watching, "LINES_EVERY", 0.02)
    run = engine.Run(None, str(tmp_path), engine.Engines())
    target, plan = run.dataset("pairs"), Plan(dataset="pairs", stage="extract", settings={}, inputs={}, parts=PARTS)
    said: list[str] = []

    def launch(missing):
        for part in missing:
            write(target, plan, part)
            for _ in range(200):
                threading.Event().wait(0.01)
                said.append(capsys.readouterr().out)
                if f"{missing.index(part) + 1} of 4" in "".join(said):
                    break
        return [target.committed(part, plan.hash) for part in missing]

    run.make(plan, launch)
    lines = [line for line in "".join(said).splitlines() if " parts after " in line]
    assert [re.search(r"(\d) of 4 parts after \d+ s, about \d+ s to go", line)[1] for line in lines] == ["1", "2", "3"]
    assert all(line.startswith("pairs ") for line in lines)
    assert not [thread for thread in threading.enumerate() if thread.name == "progress"]


def test_what_is_quick_or_done_is_not_announced(tmp_path, capsys):
    run = engine.Run(None, str(tmp_path), engine.Engines())
    target, plan = run.dataset("pairs"), Plan(dataset="pairs", stage="extract", settings={}, inputs={}, parts=PARTS)

    def launch(missing):
        for part in missing:
            write(target, plan, part)
        return [target.committed(part, plan.hash) for part in missing]

    run.make(plan, launch)
    run.make(plan, launch)
    assert " parts after " not in capsys.readouterr().out


def test_a_folder_that_cannot_be_listed_and_an_error_inside_end_nothing_else(tmp_path):
    target = Dataset(str(tmp_path), "pairs")
    assert watching.there(target, frozenset(PARTS)) == 0
    with pytest.raises(ZeroDivisionError), watching.watched(target, PARTS), watching.watched(target, PARTS):
        raise ZeroDivisionError
    with watching.watched(target, PARTS):  # and the next one is shown again
        assert [thread for thread in threading.enumerate() if thread.name == "progress"]


@pytest.mark.parametrize(("seconds", "told"), [(0.4, "0 s"), (59.4, "59 s"), (61, "1 min 1 s"), (12_012, "3 h 20 min")])
def test_spans_of_time(seconds, told):
    assert watching.span(seconds) == told


PROGRAM = """
import sys, time
from curate.ledger import Ledger
from curate.store import Dataset
from jobs import watching
watching.PATIENCE, watching.LOOKS_EVERY = 0.05, 0.05
target = Dataset(sys.argv[1], "pairs")
with watching.watched(target, ["part-00000", "part-00001"]):
    with target.write_part("part-00000", "x", Ledger()):
        pass
    time.sleep(1.5)
    print("said meanwhile")
print("over")
"""


def test_a_terminal_gets_a_bar_that_leaves_nothing_behind(tmp_path):
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, stdout=theirs, stderr=theirs, cwd=ROOT, env=environment)
    os.close(theirs)
    shown = b""
    while True:
        try:
            shown += os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
    assert process.wait() == 0, shown
    text = shown.decode()
    assert "1/2" in text and "pairs" in text
    assert "said meanwhile" in text and text.rstrip().endswith("over")
