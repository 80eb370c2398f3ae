"""The one place that knows how to attach to Spark or Ray.

A caller's Spark session or Ray cluster is used as it is. With none, `local[*]` and a local Ray serve, started when
the first stage with something to do asks for them and kept for the whole command.
"""

import logging
import os
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from curate import CurateError
from jobs import java
from jobs.actors import Actors

LOG4J = Path(__file__).resolve().parent / "log4j2.properties"
WARM, WARM_ALWAYS = "CURATE_WARM", "match"
"""Environment variable of Spark's workers: what they are forked with, see `jobs.workers`; and what they are where nobody says."""


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

    def gpu(self, device: str, wanted: bool = True) -> float:
        """GPUs that an actor holds: one where it has a model for it (`wanted`), the recipe's device is not `cpu`, and Ray has any."""
        return 1.0 if wanted and device != "cpu" and self.ray().cluster_resources().get("GPU", 0) else 0.0

    @contextmanager
    def same_actors(self) -> Iterator[None]:
        """Inside, `ray_map` goes on with the actors of the call before, so that many short steps load a library and a model once.

        Inside another one, with those of the outer one.
        """
        before = self._actors
        self._actors = before or Actors()
        try:
            yield
        finally:
            self._actors = before

    def actors(self) -> Actors:
        """Those that a call of `ray_map` is to use: of the call before, inside `same_actors`."""
        return self._actors or Actors()

    def stop(self) -> None:
        if "spark" in self._ours:
            self._spark.stop()
        if "ray" in self._ours:
            self._ray.shutdown()
        self._spark = self._ray = None
        self._ours.clear()


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
