"""The demo: the whole road on the bundled pool, with the pool's web on a loopback port.

    python demo/run.py [--workdir workdirs/demo] [--stages extract..report] [section.key=value ...]

Downloading is downloading here: real requests with statuses, redirects and headers, to a server on this machine.
"""

import argparse
import sys
from pathlib import Path

from curate import cli, recipe
from jobs import road

HERE = Path(__file__).resolve().parent


def main() -> None:
    parser = argparse.ArgumentParser(description="the whole road on the bundled pool")
    parser.add_argument("--workdir", default="workdirs/demo")
    parser.add_argument("--stages", help="comma-separated stages, or FIRST..LAST")
    parser.add_argument("--redo", help="stages whose old datasets may be replaced, and all that follow")
    parser.add_argument("overrides", nargs="*", help="dotted settings, e.g. balance.t=20")
    args = parser.parse_args()
    sys.path.insert(0, str(HERE))
    from web import serve

    with serve(HERE / "pool") as (_, port):
        here = f'download.connect_to={{"*.example": "127.0.0.1:{port}"}}'
        settings = recipe.load("demo", [here, *args.overrides])
        road.travel(settings, args.workdir, cli.pick(args.stages), cli.following(args.redo))


if __name__ == "__main__":
    cli.guarded(main)
