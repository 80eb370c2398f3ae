"""Match, count and balance on local Spark over pools of a million and ten million pairs: CPU seconds, wall time, memory."""

import gc
import math
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import corpus
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from harness import Tree, row, shared_out

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from curate import schema
from curate.concepts import index, matching
from curate.recipe import Match
from curate.store import ROW_GROUP, Dataset, Plan, part_name
from curate.texts import language

PART = 500_000
SIZES = (1_000_000, 10_000_000)
RECIPE = """\
name: scale
extract: {inputs: [none]}
match: {metadata: METADATA}
balance: {t: 2000}
score: {models: []}
"""


def make_pool(workdir: Path, texts: list[str], rows: int) -> None:
    """A `pairs` of so many rows, whose texts are drawn from some real ones."""
    target, names = Dataset(str(workdir), "pairs"), tuple(part_name(i) for i in range(rows // PART))
    plan = Plan(dataset="pairs", stage="extract", settings={}, inputs={}, parts=names)
    target.begin(plan)
    known, kinds = pa.array(texts, pa.string()), schema.load("pairs").columns
    for number, name in enumerate(names):
        chance = np.random.default_rng(number)
        with target.write_part(name, plan.hash) as out:
            for start in range(0, PART, ROW_GROUP):
                n = min(ROW_GROUP, PART - start)
                uids = pa.array([chance.bytes(16).hex() for _ in range(n)])
                same = {"uid": uids, "image_uid": uids, "text": known.take(pa.array(chance.integers(0, len(known), n)))}
                table = {
                    column: same.get(column, pa.array([0] * n) if kind.type == "int64" else pa.array(["-"] * n))
                    for column, kind in kinds.items()
                }
                out.write(pa.table(table))
    target.commit(plan)


class Runs:
    """The stages over pools of all sizes, each in a process of its own."""

    def __init__(self, pool: Path, longest: int, folder: Path, fasttext: float):
        """`fasttext`: CPU seconds of fastText's own language id for a million captions."""
        self._folder, self._fasttext = folder, fasttext
        english = corpus.texts_of(pool, ("en",))
        self._texts = corpus.sentences(english, longest)
        lists = folder / "metadata" / "en"
        lists.mkdir(parents=True)
        pq.write_table(corpus.as_table(corpus.entry_list(english)), lists / "entries.parquet")
        (folder / "scale.yaml").write_text(RECIPE.replace("METADATA", str(lists.parent)))

    def rows(self) -> list[dict[str, Any]]:
        measured = [self._run(rows) for rows in SIZES]
        small, large = measured
        lid, kernel = self._alone()
        ratio = SIZES[1] / SIZES[0]
        # What the first million costs beside its work, workers and an index that begin, is left out.
        stage = (large["match"] - small["match"]) / (SIZES[1] - SIZES[0]) * 1e6
        memory, unit = large["peak_mb"], "CPU s / further million pairs"
        exponent = math.log(large["wall"] / small["wall"]) / math.log(ratio)
        return [
            row("stage_vs_kernel_and_lid", stage, kernel + lid, unit, memory),
            row("stage_vs_kernel_and_fasttext", stage, kernel + self._fasttext, unit, memory),
            row(
                "scale_time_exponent",
                exponent,
                1.05,
                f"{large['wall']:.0f} s for 10M, {small['wall']:.0f} s for 1M",
                memory,
            ),
            row("extra_worker_memory", self._extra_worker(), 100, "MB of its own, against the limit", 0),
            row("scale_peak_memory", large["peak_mb"], small["peak_mb"], "MB, 10M against 1M pairs", memory),
        ]

    def _alone(self) -> tuple[float, float]:
        """CPU seconds of language id and of the kernel for the smaller pool, of a million pairs: the texts that the stage had, in
        one array for each part, the parts at once in processes of their own as the stage's workers are."""
        pairs = Dataset(str(self._folder / f"w{SIZES[0]}"), "pairs")
        context = multiprocessing.get_context("fork")
        begin, answers = context.Barrier(len(pairs.part_names())), context.SimpleQueue()
        how = (str(self._folder / "metadata"), begin, answers)
        children = [context.Process(target=_both, args=(pairs, part, *how)) for part in pairs.part_names()]
        for one in children:
            one.start()
        seconds = np.array([answers.get() for _ in children]).sum(axis=0)
        for one in children:
            one.join()
        return float(seconds[0]), float(seconds[1])

    def _extra_worker(self) -> float:
        """MB that one more worker takes: three less one, halved, forked as Spark forks them."""
        one, three = (workers_mb(n, str(self._folder / "metadata"), self._texts) for n in (1, 3))
        return (three - one) / 2

    def _run(self, rows: int) -> dict[str, float]:
        workdir = self._folder / f"w{rows}"
        make_pool(workdir, self._texts, rows)
        command = [sys.executable, __file__, str(self._folder / "scale.yaml"), str(workdir)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent) as child:
            assert child.stdout is not None
            with Tree(child.pid) as tree:
                marks: dict[str, tuple[float, float]] = {}
                for line in child.stdout:
                    marks[line.strip()] = (tree.cpu_seconds(), time.monotonic())
                    print(f"  {rows:,} pairs: {line.strip()}, {tree.cpu_seconds():.1f} CPU s", flush=True)
        assert child.returncode == 0, f"the stages failed on {rows:,} pairs"
        cpu = marks["matched"][0] - marks["started"][0]
        return {"match": cpu, "wall": marks["balanced"][1] - marks["started"][1], "peak_mb": tree.peak_mb}


def _both(pairs: Dataset, part: str, metadata: str, begin: Any, answers: Any) -> None:
    """Sends the least CPU seconds of three for language id of a part, and for the matching of its English texts."""
    settings = Match(metadata=metadata)
    texts = pairs.read_part(part, ["text"])["text"].combine_chunks()
    found = language.identify(texts, settings.language_model)
    rows = np.flatnonzero(found.codes == found.labels.index("en"))
    english = index.opened(settings.metadata, "en", settings.rule)
    english.match(texts, rows)
    seconds = []
    for _ in range(3):
        begin.wait()
        start = time.process_time()
        language.identify(texts, settings.language_model)
        between = time.process_time()
        english.match(texts, rows)
        seconds.append((between - start, time.process_time() - between))
    answers.put(np.min(seconds, axis=0).tolist())


def workers_mb(number: int, metadata: str, texts: list[str]) -> float:
    """Memory of so many workers that matched, in a process that was warmed as `jobs.workers` is."""
    answers, line = multiprocessing.get_context("fork").Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=_workers, args=(number, metadata, texts, line))
    child.start()
    found = answers.recv()
    child.join()
    return found


def _workers(number: int, metadata: str, texts: list[str], line: Any) -> None:
    from jobs import workers

    workers.warm()
    gc.collect()
    gc.freeze()
    context = multiprocessing.get_context("fork")
    done, leave = context.Barrier(number + 1), context.Event()
    children = [context.Process(target=_match, args=(metadata, texts, done, leave)) for _ in range(number)]
    for one in children:
        one.start()
    done.wait()
    line.send(sum(shared_out(one.pid) for one in children if one.pid))
    leave.set()
    for one in children:
        one.join()


def _match(metadata: str, texts: list[str], done: Any, leave: Any) -> None:
    for start in range(0, 200_000, ROW_GROUP):
        some = [texts[i % len(texts)] for i in range(start, start + ROW_GROUP)]
        matching.match(pa.table({"uid": ["0" * 32] * ROW_GROUP, "text": some}), Match(metadata=metadata))
    done.wait()
    leave.wait()


def main() -> None:
    """The child: the stages on a session that is started first, a word on standard output after each."""
    from curate import recipe
    from jobs import balance, engine, match

    said = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    run = engine.Run(recipe.load(sys.argv[1]), sys.argv[2], engine.Engines())
    run.engines.spark().range(1).count()
    for word, stage in (
        ("started", None),
        ("matched", match.match),
        ("counted", match.count),
        ("balanced", balance.run),
    ):
        if stage:
            stage(run)
        said.write(word + "\n")
    run.engines.stop()


if __name__ == "__main__":
    main()
