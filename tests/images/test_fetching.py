"""One fetch at a time and all of a hostile web at once: each page ends in its status, everything around it survives."""

import hashlib
import tarfile
from dataclasses import replace

import pytest

from curate import schema
from curate.images import web
from curate.images.fetched import Wanted
from curate.images.img2dataset import Inspector, limits
from curate.images.status import FetchError, heard
from curate.recipe import Download, RecipeError, build
from tests.images.fetch_all import fetch

ENDINGS = {
    "ok1.jpg": None, "ok2.png": None, "ok3.webp": None, "ok4.gif": None, "ok5.bmp": None, "ok6.tiff": None,
    "ok7.avif": None, "moved": None, "robots.other": None, "robots.all": None,
    "robots.noai": "opted_out", "robots.ours": "opted_out", "robots.dated": "opted_out",
    "404": "http_4xx", "410": "http_4xx", "403": "http_4xx", "500": "http_5xx", "204": "http_other", "304": "http_other",
    "html": "not_an_image", "empty": "empty_body", "truncated": "truncated", "truncated_png": "truncated",
    "shorter": "truncated", "garbled": "undecodable", "huge": "too_many_pixels", "endless": "too_many_bytes",
    "boundless": "too_many_bytes", "longer": "connection_error", "cut": "connection_error", "nonsense": "connection_error",
    "silent": "timeout", "drip": "timeout", "drip_head": "timeout", "to-drip": "timeout", "loop": "redirect_loop", "to-file": "refused_scheme",
    "to-ftp": "refused_scheme", "to-private": "refused_address", "to-metadata": "refused_address",
    "to-number": "refused_address", "to-v6": "refused_address",
}  # fmt: skip
HTTP = {"404": 404, "410": 410, "403": 403, "500": 500, "204": 204, "html": 200, "ok1.jpg": 200, "cut": None,
        "silent": None, "loop": 302, "drip": 200, "endless": 200, "robots.noai": 200}  # fmt: skip


THREADS = {"engine": "img2dataset", "threads": 16}


def settings(**changes) -> Download:
    base = {"allow_addresses": ["127.0.0.1"], "timeout": 1, "max_seconds": 2, "max_bytes": 200_000,
            "user_agent": "testbot", "retries": 0}  # fmt: skip
    return build({"name": "t", "extract": {"inputs": []}, "score": {"models": []}, "download": base | changes}).download


def fetched(hostile_web, paths, **changes):
    stored: dict[str, bytes] = {}
    results = fetch([Wanted(path, hostile_web.url(path)) for path in paths], settings(**changes), stored.__setitem__)
    return results, stored


@pytest.mark.parametrize("engine", ["curate", "img2dataset"])
def test_every_corner_of_the_web_ends_in_its_status(hostile_web, engine):
    results, stored = fetched(
        hostile_web, ENDINGS, engine=engine, **({"breaker_failures": 99} if engine == "curate" else {})
    )
    assert {path: results[path].ending.status for path in ENDINGS} == ENDINGS
    assert {path: results[path].ending.http_status for path in HTTP} == HTTP
    known = schema.load("images")
    assert {status for status in ENDINGS.values() if status} <= {*known.dropped, *known.failed}
    well = [path for path, status in ENDINGS.items() if status is None]
    assert [name.split(".")[0] for name in stored] == [path.split(".")[0] for path in well], "in the order given"
    for (name, data), path in zip(stored.items(), well, strict=True):
        facts = results[path].facts
        assert facts.sha256 == hashlib.sha256(data).hexdigest() and facts.nbytes == len(data)
        assert (facts.width, facts.height) == (32, 32) and len(facts.phash) == 16
        assert name.endswith({"jpeg": ".jpg"}.get(facts.format, f".{facts.format}"))


def test_bytes_are_passed_on_as_they_came(hostile_web, picture_bytes):
    _, stored = fetched(hostile_web, ["ok9.png", "ok8.jpg"])
    assert stored == {"ok9.png.png": picture_bytes("PNG", 9), "ok8.jpg.jpg": picture_bytes("JPEG", 8)}


def test_loopback_is_refused_unless_the_recipe_names_it(hostile_web):
    results, stored = fetched(hostile_web, ["ok1.jpg"], allow_addresses=[])
    assert results["ok1.jpg"].ending.status == "refused_address" and not stored and not hostile_web.asked


def test_proxies_of_the_environment_are_ignored(hostile_web, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://10.0.0.1:3128")
    assert fetched(hostile_web, ["ok1.jpg"])[0]["ok1.jpg"].ending.status is None


def test_connect_to_keeps_the_name_and_is_checked_like_any_address(hostile_web):
    place = f"127.0.0.1:{hostile_web.port}"
    images = [Wanted("a", "http://pictures.example/ok1.jpg"), Wanted("b", "http://other.test/ok1.jpg")]
    stored: dict[str, bytes] = {}
    results = fetch(images, settings(connect_to={"*.example": place}), stored.__setitem__)
    assert results["a"].ending.status is None and results["b"].ending.status == "dns_error"
    assert hostile_web.hosts["/ok1.jpg"] == "pictures.example"
    refused = fetch(images[:1], settings(connect_to={"*.example:80": place}, allow_addresses=[]), stored.__setitem__)
    assert refused["a"].ending.status == "refused_address"


def test_https_to_a_server_without_tls_is_a_tls_error(hostile_web):
    images = [Wanted("a", hostile_web.url("ok1.jpg").replace("http:", "https:"))]
    results = fetch(images, settings(), lambda *_: None)
    assert results["a"].ending.status == "tls_error"


@pytest.mark.parametrize("how", [{"retry_wait": 0.05}, THREADS])
def test_only_what_may_end_otherwise_is_asked_again(hostile_web, how):
    results, _ = fetched(hostile_web, ["flaky", "404", "robots.noai", "500"], retries=2, **how)
    assert results["flaky"].ending.status is None
    assert [hostile_web.asked[f"/{path}"] for path in ("flaky", "404", "robots.noai", "500")] == [2, 1, 1, 3]


def test_what_img2dataset_loses_is_found(hostile_web, monkeypatch):
    inspected = Inspector.__call__

    def stumbles(self, stream, boxes=None):
        if b"PNG" in stream.getvalue()[:8]:
            raise RuntimeError("a sample that img2dataset only prints about")
        return inspected(self, stream, boxes)

    monkeypatch.setattr(Inspector, "__call__", stumbles)
    results, stored = fetched(hostile_web, ["ok1.jpg", "ok2.png", "ok3.webp"], **THREADS)
    assert [results[p].ending.status for p in ("ok1.jpg", "ok2.png", "ok3.webp")] == [None, "lost", None]
    assert len(stored) == 2


def test_a_failed_shard_loses_no_row_and_a_failing_machine_stops_the_run(hostile_web, monkeypatch):
    from img2dataset.writer import WebDatasetSampleWriter

    close = WebDatasetSampleWriter.close

    def fails(error):
        def closes_and_fails(self):
            close(self)
            raise error

        monkeypatch.setattr(WebDatasetSampleWriter, "close", closes_and_fails)

    fails(RuntimeError("torn"))
    results, _ = fetched(hostile_web, ["ok1.jpg", "404"], **THREADS)
    assert [end.ending.status for end in results.values()] == ["lost", "lost"]
    assert "torn" in results["404"].ending.words
    fails(OSError(28, "No space left on device"))
    with pytest.raises(OSError, match="No space left"):
        fetched(hostile_web, ["ok1.jpg"], **THREADS)


def test_two_runs_say_the_same(hostile_web):
    steady = [path for path in ENDINGS if path not in ("silent", "drip", "drip_head", "to-drip")]
    one, other = (
        {path: replace(end, times=None) for path, end in fetched(hostile_web, steady, concurrency=n)[0].items()}
        for n in (64, 3)
    )
    assert one == other


def test_words_survive_the_way_through_a_string():
    ending = heard(str(FetchError("http_4xx", "a\nline and a lone surrogate \ud800", 404)))
    assert (ending.status, ending.http_status, ending.words) == ("http_4xx", 404, "a\nline and a lone surrogate ?")
    assert heard("unknown url type: x").status == "unexpected"
    ending = heard(str(FetchError("opted_out", "X-Robots-Tag: noai", 200, "x_robots_tag")))
    assert (ending.status, ending.http_status, ending.words, ending.rule) == (
        "opted_out",
        200,
        "X-Robots-Tag: noai",
        "x_robots_tag",
    )


def test_the_usual_opener_is_back_afterwards(hostile_web):
    import urllib.request

    with web.installed(web.Opener(limits(settings(allow_addresses=[])))):
        with pytest.raises(FetchError):
            urllib.request.urlopen(hostile_web.url("ok1.jpg"))
    assert urllib.request.urlopen(hostile_web.url("ok1.jpg")).status == 200


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"allow_addresses": ["localhost"]}, "'localhost' is no address or network; write 127.0.0.1"),
        ({"connect_to": {"*.example": "127.0.0.1"}}, "'127.0.0.1' is not address:port"),
        ({"connect_to": {"*.example": "127.0.0.1:99999"}}, "is not address:port"),
    ],
)
def test_wrong_settings_stop_at_once_and_say_what_is_valid(change, said):
    with pytest.raises(RecipeError, match="download") as error:
        settings(**change)
    assert said in str(error.value)


def test_an_image_of_the_table_that_is_not_in_the_tar_is_lost(hostile_web, monkeypatch):
    from img2dataset.writer import WebDatasetSampleWriter

    close = WebDatasetSampleWriter.close

    def closes_an_empty_tar(self):
        close(self)
        with tarfile.open(self.tar_fd.path, "w"):
            pass

    monkeypatch.setattr(WebDatasetSampleWriter, "close", closes_an_empty_tar)
    results, stored = fetched(hostile_web, ["ok1.jpg", "404"], **THREADS)
    assert [results[path].ending.status for path in ("ok1.jpg", "404")] == ["lost", "http_4xx"] and not stored
