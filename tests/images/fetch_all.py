"""A fetch from its beginning to its end, on either engine."""

from collections.abc import Callable, Sequence

from curate.images.fetched import Fetched, Wanted
from curate.images.fetching import session
from curate.images.inspecting import suffix
from curate.recipe import Download


def fetch(
    images: Sequence[Wanted] | Sequence[tuple[str, str]], settings: Download, store: Callable[[str, bytes], None]
) -> dict[str, Fetched]:
    """Fetches images; each comes back with its ending.

    `store(name, bytes)` is called for each image that ended well, in the order given, under `<image_uid>.<suffix>`.
    Raises OSError when this machine fails (a full disk): no fault of any image, and worth another run.
    """
    work = session(settings)
    try:
        batch = work.start([Wanted(*image) for image in images])
        fetched = batch.result()
        for image, data in batch.bodies(fetched.keys()):
            facts = fetched[image].facts
            store(f"{image}.{suffix(facts.format)}" if facts else image, data)
        batch.close()
    finally:
        work.close()
    return fetched
