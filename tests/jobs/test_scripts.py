"""Every job runs as it stands, as `python jobs/x.py`, which is how spark-submit, ray and torchrun run it too."""

import subprocess
import sys
from pathlib import Path

import pytest

JOBS = Path(__file__).resolve().parents[2] / "jobs"
SCRIPTS = [
    file.name for file in sorted(JOBS.glob("*.py")) if "engine.main(" in file.read_text() and file.name != "engine.py"
]


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_job_runs_as_a_script(name, tmp_path):
    # From another folder, and with Python's usual habit of putting the script's folder first on its path.
    run = subprocess.run(
        [sys.executable, str(JOBS / name), "--help"], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert run.returncode == 0, run.stderr
    assert "--recipe" in run.stdout
