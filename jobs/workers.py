"""The process that Spark forks its Python workers from, with what they all need in memory already.

What is loaded before the fork is shared: a worker then takes 50 MB of its own instead of 140, and begins at once. A local session
takes this process by itself; on a cluster, `--conf spark.python.daemon.module=jobs.workers`.
"""

import jobs  # noqa: F401 - before all others, see there

# isort: split
from contextlib import suppress

import numpy as np
import pyarrow as pa
from pyspark import daemon

from curate import CurateError
from curate.concepts import index, language
from curate.concepts.building.assembling import assemble
from curate.recipe import Match


def warm() -> None:
    """Loads the compiled kernels and the language model that recipes name by default."""
    text = pa.array(["text"])
    for rule in ("metaclip1", "metaclip2"):
        index.build(assemble([("text", "words", None), ("-", "words", None)]), rule).match(text, np.arange(1))
    # A machine without that model is told so by the stage that asks for one, not here.
    with suppress(CurateError):
        language.identify(text, Match().language_model)


if __name__ == "__main__":
    warm()
    daemon.manager()
