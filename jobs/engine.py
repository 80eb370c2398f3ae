"""What a job file is written against: the run that a stage is given, its engines, and functions over parts on either of them.

`attaching` knows how to get at Spark and Ray, `parts` how to run a function there, `run` how to plan what is missing and commit it.
"""

import argparse
import sys
from collections.abc import Callable, Sequence

from curate import recipe as recipes
from jobs.attaching import EngineError, Engines
from jobs.parts import PartFunction, ray_map, ray_parts, spark_parts, spark_rows
from jobs.run import Run, progress


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


__all__ = [
    "EngineError",
    "Engines",
    "PartFunction",
    "Run",
    "main",
    "progress",
    "ray_map",
    "ray_parts",
    "spark_parts",
    "spark_rows",
]
