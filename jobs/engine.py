"""The one place that knows how to attach to Spark or Ray, plan the missing parts, run a function over them and commit.

A caller's Spark session or Ray cluster is used as it is. With none, `local[*]` and a local Ray serve, started when
the first stage with something to do asks for them and kept for the whole command.
"""

import argparse
import logging
import os
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from curate import CurateError
from curate import recipe as recipes
from curate.ledger import Ledger
from curate.recipe import Recipe
from curate.store import Dataset, Manifest, Part, Plan
from jobs import errors, java
from jobs.actors import Actors

LOG4J = Path(__file__).resolve().parent / "log4j2.properties"
WARM, WARM_ALWAYS = "CURATE_WARM", "match"
"""Environment variable of Spark's workers: what they are forked with, see `jobs.workers`; and what they are where nobody says."""
PartFunction = Callable[[str], Part]


class EngineError(CurateError, RuntimeError):
    """An engine is missing or lost; the message says how to install it or what to do."""


@dataclass
class Engines:
    """Engines of one command, started late and once. Those that were found running are left running."""

    warm: set[str] = field(default_factory=lambda: {WARM_ALWAYS})
    """What Spark's workers are to be forked with; heard by a local session until it is started."""
    _spark: Any = None
    _ray: Any = None
    _ours: list[str] = field(default_factory=list)
    _actors: Actors | None = None

    def spark(self) -> Any:
        if self._spark is None:
            self._spark, started = _attach_spark(self.warm)
            self._ours += ["spark"] * started
        return self._spark

    def ray(self) -> Any:
        if self._ray is None:
            self._ray, started = _attach_ray()
            self._ours += ["ray"] * started
        return self._ray

    @contextmanager
    def same_actors(self) -> Iterator[None]:
        """Inside, `ray_map` goes on with the actors of the call before, so that many short steps load a library and a model once."""
        self._actors = Actors()
        try:
            yield
        finally:
            self._actors = None

    def stop(self) -> None:
        if "spark" in self._ours:
            self._spark.stop()
        if "ray" in self._ours:
            self._ray.shutdown()
        self._spark = self._ray = None
        self._ours.clear()


@dataclass(frozen=True)
class Run:
    """What a stage's job is given: the recipe, the workdir, the engines, and permission to replace old datasets."""

    recipe: Recipe
    workdir: str
    engines: Engines
    redo: frozenset[str] = frozenset()

    def dataset(self, name: str) -> Dataset:
        return Dataset(self.workdir, name)

    def plan(
        self,
        name: str,
        settings: dict[str, Any],
        inputs: Sequence[str],
        parts: Sequence[str] = (),
        *,
        stage: str | None = None,
        **more: str,
    ) -> Plan:
        """The plan of a dataset. `inputs` are datasets of this workdir, `more` fingerprints of anything else.

        The stage is the one in the dataset's schema; datasets without rows (runs, evaluations) name theirs.
        """
        from curate import schema

        marks = {source: self.dataset(source).fingerprint for source in inputs} | more
        plain = msgspec.to_builtins(settings)
        return Plan(
            dataset=name, stage=stage or schema.of(name, plain).stage, settings=plain, inputs=marks, parts=tuple(parts)
        )

    def begin(self, plan: Plan) -> list[str]:
        """Announces a dataset: refuses another plan's or, where it may, removes it. The parts that are missing."""
        target = self.dataset(plan.dataset)
        if plan.stage in self.redo and _differs(target, plan):
            target.remove()
        return target.begin(plan)

    def make(
        self,
        plan: Plan,
        launch: Callable[[list[str]], Sequence[Part]],
        finish: Callable[[], Mapping[str, Any]] | None = None,
        before: Callable[[], Ledger] | None = None,
        missing: list[str] | None = None,
    ) -> Manifest:
        """Makes a dataset: refuses another plan's, skips what is done, launches what is missing, commits, reports.

        `finish` does what is left when all parts are there, also when an earlier run was killed right before it, and
        returns the manifest's `extra`; `before` gives the account of rows that left before they fell into a part;
        `missing` is the answer of `begin`, for who has asked already.
        """
        start, target = time.monotonic(), self.dataset(plan.dataset)
        missing = self.begin(plan) if missing is None else missing
        manifest = target.manifest()
        if manifest is not None:
            progress(plan.dataset, manifest.ledger, "already done, skipped")
            return manifest
        target.sweep()
        with errors.unwrapped():
            done = launch(missing) if missing or not plan.parts else []
            extra = finish() if finish else None
        manifest = target.commit(plan, done, extra, before() if before else None)
        kept = len(plan.parts) - len(missing)
        resumed = f", {kept} of {len(plan.parts)} parts from before" if kept else ""
        progress(plan.dataset, manifest.ledger, f"{time.monotonic() - start:.1f} s{resumed}")
        return manifest


def _differs(target: Dataset, plan: Plan) -> bool:
    file = target.path("_plan.json")
    return target.fs.exists(file) and msgspec.json.decode(target.fs.cat_file(file), type=Plan).hash != plan.hash


def progress(dataset: str, ledger: Ledger, note: str) -> None:
    """One line for a finished stage; datasets without rows have no account to print."""
    dropped, failed = sum(ledger.dropped.values()), sum(ledger.failed.values())
    account = f"{ledger.rows_in:>10,} in {ledger.kept:>10,} kept {dropped:>10,} dropped {failed:>8,} failed"
    print(f"{dataset:<20}{account if ledger.rows_in else '':<60}   {note}", flush=True)


# -- Spark


def _attach_spark(warm: Collection[str]) -> tuple[Any, bool]:
    try:
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise EngineError("this stage runs on Spark: pip install 'curate-pairs[spark]'") from error
    active = SparkSession.getActiveSession()
    if active is not None:
        return active, False
    builder = SparkSession.builder.appName("curate")
    # spark-submit and SPARK_REMOTE bring their own master; only without either is a local one started.
    if "SPARK_REMOTE" not in os.environ and "PYSPARK_GATEWAY_PORT" not in os.environ:
        problem = java.problem()
        if problem:
            raise EngineError(problem)
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        builder = (
            builder.master(os.environ.get("SPARK_MASTER", "local[*]"))
            .config("spark.driver.host", "127.0.0.1")
            .config("spark.driver.extraJavaOptions", f"-Dlog4j2.configurationFile={LOG4J.as_uri()}")
            .config("spark.python.daemon.module", "jobs.workers")
            .config(f"spark.executorEnv.{WARM}", ",".join(sorted(warm)))
            .config("spark.ui.enabled", "false")
            .config("spark.ui.showConsoleProgress", "false")
            .config("spark.sql.shuffle.partitions", str(2 * (os.cpu_count() or 1)))
            .config("spark.driver.memory", "2g")
        )
    session = builder.getOrCreate()
    if hasattr(session, "sparkContext") and "SPARK_REMOTE" not in os.environ:
        session.sparkContext.setLogLevel("ERROR")
    return session, True


def spark_parts(
    engines: Engines, function: PartFunction, parts: Sequence[str], *, workers: int | None = None
) -> list[Part]:
    """Runs a part function over parts, one Spark task each, or `workers` tasks in all; retries and placement are Spark's."""
    names, function = list(parts), errors.marked(function)
    if not names:
        return []

    def task(batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow as pa

        for batch in batches:
            records = [msgspec.json.encode(function(names[i])).decode() for i in batch.column("id").to_pylist()]
            yield pa.RecordBatch.from_pydict({"record": records})

    tasks = engines.spark().range(0, len(names), 1, min(workers or len(names), len(names)))
    rows = tasks.mapInArrow(task, "record string").collect()
    return [msgspec.json.decode(row.record, type=Part) for row in rows]


def spark_rows(engines: Engines, function: Callable[[str], Any], parts: Sequence[str], columns: str) -> Any:
    """A Spark DataFrame of what `function` makes of each part, an Arrow table or several; `columns` in Spark's DDL."""
    names, tables = list(parts), errors.marked_tables(function)

    def task(batches: Iterator[Any]) -> Iterator[Any]:
        for i in (i for batch in batches for i in batch.column("id").to_pylist()):
            yield from (found for table in tables(names[i]) for found in table.to_batches())

    return engines.spark().range(0, len(names), 1, max(len(names), 1)).mapInArrow(task, columns)


# -- Ray


def _attach_ray() -> tuple[Any, bool]:
    try:
        import ray
    except ImportError as error:
        raise EngineError("this stage runs on Ray: pip install 'curate-pairs[ray]'") from error
    if ray.is_initialized():
        return ray, False
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # A stale "current cluster" file must not send a laptop's run elsewhere: only RAY_ADDRESS names a cluster.
    address = os.environ.get("RAY_ADDRESS", "local")
    ray.init(address=address, include_dashboard=False if address == "local" else None, log_to_driver=True,
             logging_level=logging.ERROR, configure_logging=True)  # fmt: skip
    return ray, True


def ray_map(
    engines: Engines, function: Callable[[str], Any], names: Sequence[str], *, workers: int = 1, gpus: float = 0
) -> list[Any]:
    """The function's answers (anything JSON can hold) for names, in their order, from a pool of Ray actors.

    What the function caches stays warm in an actor. One that dies is started again and its item retried; an error of
    the function itself ends the run.
    """
    items = list(names)
    if not items:
        return []
    ray = engines.ray()
    from ray.util import ActorPool

    crew = (engines._actors or Actors()).take(ray, min(workers, len(items)), gpus)
    work = ray.put(function)
    # The reference inside a list is not resolved at each call: an actor unpickles a function once.
    answers = ActorPool(crew).map(lambda actor, item: actor.run.remote([work], item), items)
    return [msgspec.json.decode(answer) for answer in answers]


def ray_parts(
    engines: Engines, function: PartFunction, parts: Sequence[str], *, workers: int = 1, gpus: float = 0
) -> list[Part]:
    """Runs a part function over parts in a pool of Ray actors, each part once. Returns their records."""
    answers = ray_map(engines, function, parts, workers=workers, gpus=gpus)
    return [msgspec.convert(answer, Part) for answer in answers]


# -- entry points


def main(stage: Callable[[Run], object], argv: Sequence[str] | None = None) -> None:
    """The command line of a job file: `python jobs/x.py -c recipe.yaml -w workdirs/x [section.key=value ...]`."""
    parser = argparse.ArgumentParser(description=(sys.modules[stage.__module__].__doc__ or "").strip().split("\n")[0])
    parser.add_argument("-c", "--recipe", required=True, help="YAML file, or the name of a recipe that ships")
    parser.add_argument("-w", "--workdir", required=True, help="folder or fsspec URL that holds the datasets")
    parser.add_argument(
        "--redo", action="append", default=[], metavar="STAGE", help="replace what this stage made before"
    )
    parser.add_argument("overrides", nargs="*", help="dotted settings, e.g. balance.t=20000")
    args = parser.parse_args(argv)
    from curate.cli import following, guarded

    def command() -> None:
        engines = Engines()
        try:
            redo = following(",".join(args.redo))
            stage(Run(recipes.load(args.recipe, args.overrides), args.workdir, engines, redo))
        finally:
            engines.stop()

    guarded(command)
