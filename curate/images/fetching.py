"""The door to the engines that fetch: the same images in, the same endings and bytes out."""

from collections.abc import Callable, Sequence

from curate.images.fetched import Fetched, Session, Wanted
from curate.images.inspecting import perceptual_hash, suffix
from curate.recipe import Download


def session(settings: Download) -> Session:
    """A fetcher at work, by the recipe's engine. Close it."""
    if settings.engine == "img2dataset":
        from curate.images.img2dataset import ShardSession

        return ShardSession(settings)
    from curate.images.crawling import CrawlSession

    return CrawlSession(settings)


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


__all__ = ["Fetched", "Session", "Wanted", "fetch", "perceptual_hash", "session", "suffix"]
