"""Asks a hostile web for images."""

from curate.images.fetched import Wanted
from curate.recipe import build
from tests.images.fetch_all import fetch


def settings(web=None, **changes):
    base = {"allow_addresses": ["127.0.0.1"], "timeout": 1, "max_seconds": 3, "max_bytes": 500_000, "retries": 0,
            "retry_wait": 0.05, "workers": 1}  # fmt: skip
    if web is not None:
        base["connect_to"] = {"*.example": f"127.0.0.1:{web.port}"}
    if changes.get("engine") == "img2dataset":
        del base["retry_wait"]
    return build({"name": "t", "extract": {"inputs": []}, "score": {"models": []}, "download": base | changes}).download


def fetched(web, *places, **changes):
    """{place: Fetched} and {name: bytes}; a place is `host/path`."""
    stored = {}
    results = fetch([Wanted(p, f"http://{p}") for p in places], settings(web, **changes), stored.__setitem__)
    assert list(results) == list(places), "each URL comes back, once"
    return results, stored


def end(web, said, **changes):
    """How an answer of these bytes ends."""
    web.says["/x"] = said
    return fetched(web, "a.example/x", **changes)[0]["a.example/x"].ending
