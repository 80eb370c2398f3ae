"""One process of a training, for torchrun: `torchrun --nproc-per-node N -m curate.training JOB` with the job as JSON."""

import sys

import msgspec

from curate import CurateError
from curate.training.job import Job
from curate.training.loop import train


def main() -> None:
    try:
        train(msgspec.json.decode(sys.argv[1], type=Job))
    except CurateError as error:
        sys.exit(f"train: {error}")


if __name__ == "__main__":
    main()
