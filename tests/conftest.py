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

# Two workers share two cores, and threads of models as small as here wait for each other longer than they compute.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

if "CURATE_CACHE" not in os.environ:
    # Indexes of the tests' lists stay out of the user's cache, and are shared by everything that a test starts.
    os.environ["CURATE_CACHE"] = tempfile.mkdtemp(prefix="curate-indexes-")
    atexit.register(shutil.rmtree, os.environ["CURATE_CACHE"], ignore_errors=True)

if "SPARK_CONF_DIR" not in os.environ:
    # What compiles best and collects with many threads pays after minutes; a session of the tests has seconds.
    os.environ["SPARK_CONF_DIR"] = tempfile.mkdtemp(prefix="curate-spark-")
    atexit.register(shutil.rmtree, os.environ["SPARK_CONF_DIR"], ignore_errors=True)
    Path(os.environ["SPARK_CONF_DIR"], "spark-defaults.conf").write_text(
        "spark.driver.defaultJavaOptions -XX:TieredStopAtLevel=1 -XX:+UseSerialGC\n"
    )

ROOT = Path(__file__).resolve().parent.parent
BRIEF = ("train.samples_seen=512", "train.warmup=1", "train.seeds=[0]", "evaluate.bootstrap=50")
"""Overrides that make the demo's training a formality; everything before it is the demo as it is."""


def demo(workdir: Path, *arguments: str) -> subprocess.Popen:
    """Starts the demo in a session of its own, so that it can be killed with everything that it started."""
    command = [sys.executable, "demo/run.py", "--workdir", str(workdir), *arguments, *BRIEF]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            start_new_session=True)  # fmt: skip


def contents(workdir: Path) -> dict[str, bytes]:
    """{file: bytes} of a whole workdir, but for the times beside `images`, which no two runs agree on, and for the databases of answers,
    whose pages lie as the answers came."""
    files = {str(f.relative_to(workdir)): f for f in sorted(workdir.rglob("*")) if f.is_file()}
    aside = {name for name in files if name.endswith(".times.parquet") or name.startswith("answers/")}
    return {name: file.read_bytes() for name, file in files.items() if name not in aside}


def pytest_collection_modifyitems(items):
    """What makes the demo's run or starts engines comes first, so that no process is left alone with it at the end.

    Files stay whole (`--dist loadfile`): what they share is made once, and all quick tests of the demo's run are in one.
    """
    fixtures = {}
    for item in items:
        fixtures.setdefault(item.path, set()).update(item.fixturenames)
    items.sort(key=lambda item: ("demo_workdir" not in fixtures[item.path], "engines" not in fixtures[item.path]))


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


@pytest.fixture(scope="module")
def same_actors(engines):
    """Ray's actors of one file go on from test to test, with the libraries that they have loaded."""
    with engines.same_actors():
        yield


@pytest.fixture(scope="session")
def demo_workdir(tmp_path_factory):
    """A workdir after the whole demo (with a very short training), and what the run printed, in `output.txt`."""
    workdir = tmp_path_factory.mktemp("demo")
    run = demo(workdir / "run")
    output, _ = run.communicate(timeout=900)
    (workdir / "output.txt").write_text(output)
    assert run.returncode == 0, output[-5000:]
    return workdir / "run"
