"""What several tests need: a small recipe, and engines that are started once for the whole session."""

import os

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")


@pytest.fixture(scope="session")
def engines():
    """Local Spark and Ray, started when first asked for and stopped at the end."""
    from jobs.engine import Engines

    shared = Engines()
    yield shared
    shared.stop()
