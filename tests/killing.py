"""Kills a run and all that it started."""

import os
import signal
import time


def kill(run):
    """SIGKILL for a run and everything that it started in its session."""
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate()


def wait_for(path, run, seconds=600):
    """Until the file is there; False when the run ended before."""
    end = time.monotonic() + seconds
    while not path.exists() and run.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    return path.exists()
