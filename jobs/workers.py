"""The process that Spark forks its Python workers from, with what they all need in memory already.

What is loaded before the fork is shared: a worker then takes 50 MB of its own instead of 140, and begins at once. A local session
takes this process by itself; on a cluster, `--conf spark.python.daemon.module=jobs.workers`, and for extract
`--conf spark.executorEnv.CURATE_WARM=match,warc,wat` with those of the words that it is to read.
"""

import jobs  # noqa: F401 - before all others, see there

# isort: split
import multiprocessing
import os
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from pyspark import daemon

from curate import CurateError
from curate.concepts import characters, index, words
from curate.concepts.building.assembling import assemble
from curate.kernels import kept
from curate.pools import warming
from curate.recipe import Match
from curate.texts import language
from curate.texts.fasttext import predict
from jobs.attaching import WARM, WARM_ALWAYS


class Group(NamedTuple):
    """Compiled functions that are made ready together."""

    needed: frozenset[str]
    """Words of CURATE_WARM, of which one at least asks for them."""
    run: Callable[[], None]
    """Loads them from the disk, or compiles them and puts them there."""
    kept: Callable[[], bool]
    """Whether they are there."""


def match() -> None:
    """The functions of both rules, which take entries by words and by characters."""
    text = pa.array(["text"])
    for rule in ("metaclip1", "metaclip2"):
        index.build(assemble([("text", "words", None), ("-", "words", None)]), rule).match(text, np.arange(1))


def identify() -> None:
    """The language model that recipes name by default, and its functions."""
    # A machine without that model is told so by the stage that asks for one, not here.
    with suppress(CurateError):
        language.identify(pa.array(["text"]), Match().language_model)


GROUPS = (
    Group(frozenset(["match"]), match, lambda: kept(words.match) and kept(characters.match)),
    Group(frozenset(["match"]), identify, lambda: kept(predict.predict)),
    Group(frozenset(["warc", "wat"]), warming.pages, warming.pages_kept),
    Group(frozenset(["wat"]), warming.links, warming.links_kept),
)


def warm(wanted: Collection[str]) -> None:
    """Loads the compiled functions that these words stand for. On a machine that has none yet, several processes compile them."""
    groups = [group for group in GROUPS if group.needed & set(wanted)]
    cold = [group for group in groups if not group.kept()]
    # A process compiles one function at a time, 40 s in all on a fresh machine; the workers would do so each for itself.
    if len(cold) > 1:
        children = [multiprocessing.get_context("fork").Process(target=group.run) for group in cold]
        for child in children:
            child.start()
        for child in children:
            child.join()
    for group in groups:
        group.run()


if __name__ == "__main__":
    warm(os.environ.get(WARM, WARM_ALWAYS).split(","))
    daemon.manager()
