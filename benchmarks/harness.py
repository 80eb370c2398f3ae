"""What every benchmark shares: CPU time of a call in a process of its own with its peak memory, and the results file."""

import json
import multiprocessing
import os
import platform
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results"


def measure(work: Callable[[], Any], runs: int = 3) -> tuple[float, float, Any]:
    """(best CPU seconds of `runs` calls, peak MB of the process, the last answer); one fresh process for all calls.

    CPU time, not wall time: other work on the machine then disturbs least. `work` returns something small. A first
    call, not counted, fills caches (an automaton is built once in a worker's life).
    """
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(work, runs, theirs))
    child.start()
    answer = ours.recv()
    child.join()
    return answer


def _child(work: Callable[[], Any], runs: int, out: Any) -> None:
    work()
    seconds = []
    for _ in range(runs):
        start = time.process_time()
        result = work()
        seconds.append(time.process_time() - start)
    out.send((min(seconds), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, result))


def row(what: str, ours: float, peer: float, unit: str, peak_rss_mb: float) -> dict[str, Any]:
    """A line of the results; `ratio` is ours over the peer's."""
    return {"what": what, "ours": round(ours, 3), "peer": round(peer, 3), "unit": unit,
            "ratio": round(ours / peer, 3), "peak_rss_mb": round(peak_rss_mb)}  # fmt: skip


def report(name: str, corpus: str, rows: list[dict[str, Any]]) -> None:
    """Prints the rows and writes `benchmarks/results/<name>.json`."""
    conditions = {
        "corpus": corpus,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps({"conditions": conditions, "rows": rows}, indent=1) + "\n")
    print(f"{name}: {corpus}")
    for line in rows:
        print(f"  {line['what']:<34}{line['ours']:>14,.3f} ours {line['peer']:>14,.3f} peer  {line['unit']:<24} ratio {line['ratio']:.2f}, "
              f"{line['peak_rss_mb']:,} MB")  # fmt: skip
