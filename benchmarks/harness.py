"""What every benchmark shares: CPU time of a call in a process of its own with its peak memory, and the results file."""

import json
import multiprocessing
import os
import platform
import resource
import threading
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


class Tree:
    """The CPU time and memory of a process and all that it started, from /proc; Linux alone.

    Memory is PSS: pages that several processes share count once in all, and so does a file that they map.
    """

    def __init__(self, pid: int, every: float = 0.2):
        self._pid, self._every, self._stop = pid, every, threading.Event()
        self.peak_mb = 0.0
        self.peak_by: dict[str, float] = {}
        """MB of each program at that peak: one entry for all Python processes, one for all of Java."""
        self._ticks: dict[tuple[int, str], int] = {}
        self._watch = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> "Tree":
        self._watch.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._stop.set()
        self._watch.join()

    def cpu_seconds(self) -> float:
        """User and system time of all that live or were seen alive; Spark's workers end without anybody waiting for them."""
        self._look()
        return sum(self._ticks.values()) / os.sysconf("SC_CLK_TCK")

    def _look(self) -> None:
        for pid in descendants(self._pid):
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            self._ticks[pid, fields[19]] = int(fields[11]) + int(fields[12])

    def _sample(self) -> None:
        while not self._stop.wait(self._every):
            self._look()
            now: dict[str, float] = {}
            for pid in descendants(self._pid):
                name = program(pid)
                now[name] = now.get(name, 0.0) + shared_out(pid)
            if sum(now.values()) > self.peak_mb:
                self.peak_mb, self.peak_by = sum(now.values()), now


def descendants(pid: int) -> list[int]:
    """A process and all below it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def program(pid: int) -> str:
    """The name of the file that a process runs."""
    try:
        return Path(f"/proc/{pid}/exe").readlink().name
    except OSError:
        return "gone"


def shared_out(pid: int) -> float:
    """MB of memory of a process, where pages that several share count in equal parts (PSS)."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def unshared_mb() -> float:
    """MB of this process that no file stands behind, which no other can share but by being forked from it."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Anonymous:")) / 1024
