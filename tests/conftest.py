"""What several tests need: engines started once, and one run of the road over the bundled pool."""

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

pytest_plugins = ("tests.hostile_web", "tests.raw_web", "tests.small_coca", "tests.small_model", "tests.small_workdir")

os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

if "CURATE_CACHE" not in os.environ:
    # Indexes of the tests' lists stay out of the user's cache, and are shared by everything that a test starts.
    os.environ["CURATE_CACHE"] = tempfile.mkdtemp(prefix="curate-indexes-")
    atexit.register(shutil.rmtree, os.environ["CURATE_CACHE"], ignore_errors=True)

ROOT = Path(__file__).resolve().parent.parent
BRIEF = ("train.samples_seen=512", "train.warmup=1", "train.seeds=[0]", "evaluate.bootstrap=50")
"""Overrides that make the demo's training a formality; everything before it is the demo as it is."""


def demo(workdir: Path, *arguments: str) -> subprocess.Popen:
    """Starts the demo in a session of its own, so that it can be killed with everything that it started."""
    command = [sys.executable, "demo/run.py", "--workdir", str(workdir), *arguments, *BRIEF]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            start_new_session=True)  # fmt: skip


def contents(workdir: Path) -> dict[str, bytes]:
    """{file: bytes} of a whole workdir, but for the times beside `images`, which no two runs agree on."""
    files = (f for f in sorted(workdir.rglob("*")) if f.is_file() and not f.name.endswith(".times.parquet"))
    return {str(f.relative_to(workdir)): f.read_bytes() for f in files}


@pytest.fixture(autouse=True)
def strangers():
    """No test knows the hosts of the one before, which have the same names."""
    from curate.images import memory

    memory.of_process.cache_clear()


@pytest.fixture(scope="session")
def engines():
    """Local Spark and Ray, started when first asked for and stopped at the end."""
    from jobs.engine import Engines

    shared = Engines()
    yield shared
    shared.stop()


@pytest.fixture(scope="session")
def demo_workdir(tmp_path_factory):
    """A workdir after the whole demo (with a very short training), and what the run printed, in `output.txt`."""
    workdir = tmp_path_factory.mktemp("demo")
    run = demo(workdir / "run")
    output, _ = run.communicate(timeout=900)
    (workdir / "output.txt").write_text(output)
    assert run.returncode == 0, output[-5000:]
    return workdir / "run"
