"""curate: from a raw web pool of image-text pairs to a training set, with the proof that it is worth training on.

The library knows the methods and no engine: every stage's work is a plain function on Arrow batches. The entry
points in `jobs/` hand these functions to Spark, Ray or torchrun.
"""

__version__ = "0.1.0"


class CurateError(Exception):
    """An error that people can act on: its message names the place, the value, the limit and the next step."""
