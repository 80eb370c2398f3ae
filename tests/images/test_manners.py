"""Manners, as servers see them: how many at once, how soon again, and who is left alone."""

import time
from itertools import pairwise

from curate.images import memory
from tests.images.asking import fetched
from tests.raw_web import ok

SILENT = {"consent_off": ["robots_txt", "content_usage_robots", "content_signal", "tdm_file"]}
"""Only images are asked for."""


def gaps(times):
    return [later - sooner for sooner, later in pairwise(times)]


def test_a_host_never_sees_more_than_its_share_at_once(raw_web, picture_bytes):
    def slow(connection, host):
        time.sleep(0.03)
        return ok(picture_bytes())

    raw_web.says["*"] = slow
    places = [f"{host}.example/{n}" for n in range(15) for host in "abc"]
    results, _ = fetched(raw_web, *places, per_host_concurrency=3)
    assert all(found.ending.status is None for found in results.values())
    assert raw_web.most == {f"{host}.example": 3 for host in "abc"}


def test_a_host_is_not_asked_sooner_than_the_interval(raw_web, picture_bytes):
    raw_web.says["*"] = ok(picture_bytes())
    places = [f"{host}.example/{n}" for n in range(4) for host in "ab"]
    fetched(raw_web, *places, per_host_interval=0.15, **SILENT)
    assert (
        all(gap >= 0.15 for times in raw_web.times.values() for gap in gaps(times))
        and len(raw_web.times["a.example"]) == 4
    )
    assert raw_web.times["b.example"][0] < raw_web.times["a.example"][1], "hosts do not wait for each other"


def test_retry_after_is_waited_for_by_the_whole_host(raw_web, picture_bytes):
    def says(connection, host):
        first = len(raw_web.times[host]) == 1
        return ok(b"", "429 Too Many", Retry_After="1") if first else ok(picture_bytes())

    raw_web.says["*"] = says
    results, _ = fetched(
        raw_web, *(f"a.example/{n}" for n in range(4)), "b.example/0", retries=1, per_host_concurrency=1
    )
    assert all(found.ending.status is None for found in results.values())
    assert gaps(raw_web.times["a.example"])[0] >= 1.0 and len(raw_web.times["a.example"]) == 5


def test_patience_with_a_server_that_always_asks_for_more_has_an_end(raw_web):
    raw_web.says["*"] = ok(b"", "429 Too Many", Retry_After="1")
    end = fetched(raw_web, "a.example/x", retries=1, max_retry_after=2)[0]["a.example/x"].ending
    assert (end.status, end.http_status) == ("rate_limited", 429)
    assert 3 <= len(raw_web.times["a.example"]) <= 4 and min(gaps(raw_web.times["a.example"])) >= 1.0


def test_a_server_that_asks_for_too_much_is_left_alone(raw_web):
    raw_web.says["*"] = ok(b"", "503 Later", Retry_After="86400")
    results, _ = fetched(raw_web, *(f"a.example/{n}" for n in range(9)), retries=3, per_host_concurrency=1)
    ends = [found.ending for found in results.values()]
    assert [e.status for e in ends] == ["http_5xx", *["rate_limited"] * 8] and len(raw_web.times["a.example"]) == 1
    raw_web.says["*"] = ok(b"", "429 Later")
    assert fetched(raw_web, "b.example/0", retries=1)[0]["b.example/0"].ending.status == "rate_limited"
    assert len(raw_web.times["b.example"]) == 2


def test_the_next_part_of_a_process_knows_who_wants_to_be_left_alone(raw_web, picture_bytes):
    def says(connection, host):
        if host == "down.example":
            connection.shutdown(2)
            return b""
        return ok(b"", "429 Later", Retry_After="3600") if host == "full.example" else ok(picture_bytes())

    raw_web.says["*"] = says
    quick = SILENT | {"per_host_concurrency": 1, "breaker_failures": 2, "breaker_pause": 0.2}
    hosts = ("down", "full", "good")
    for part, ends in enumerate((
        {"down": ["connection_error"] * 3 + ["breaker_open"], "full": ["rate_limited"] * 4, "good": [None] * 4},
        {"down": ["breaker_open"] * 4, "full": ["rate_limited"] * 4, "good": [None] * 4},
    )):  # fmt: skip
        results, _ = fetched(raw_web, *(f"{host}.example/{part}{n}" for host in hosts for n in range(4)), **quick)
        assert {host: [results[f"{host}.example/{part}{n}"].ending.status for n in range(4)] for host in hosts} == ends
    assert {host: len(times) for host, times in raw_web.times.items()} == {
        "down.example": 3, "full.example": 1, "good.example": 8,
    }  # fmt: skip
    memory.of_process.cache_clear()
    fetched(raw_web, "full.example/x", **quick)
    assert len(raw_web.times["full.example"]) == 2


def test_one_host_that_hangs_slows_no_other(raw_web, picture_bytes):
    def says(connection, host):
        if host == "hangs.example":
            raw_web.closing.wait(5)
        return ok(picture_bytes())

    raw_web.says["*"] = says
    places = [f"hangs.example/{n}" for n in range(6)] + [f"h{n}.example/x" for n in range(30)]
    results, _ = fetched(raw_web, *places, concurrency=6, per_host_concurrency=2, breaker_failures=2, breaker_pause=0.2,
                         timeout=2.5, max_seconds=5)  # fmt: skip
    slow = [results[f"hangs.example/{n}"].ending.status for n in range(6)]
    assert set(slow) == {"timeout", "breaker_open"} and slow.count("breaker_open") >= 2
    took = [results[f"h{n}.example/x"].times for n in range(30)]
    assert all(times.elapsed + times.waited < 2.4 for times in took), "none waited for the one that hangs"


def test_connections_are_kept_while_a_host_has_more(raw_web, picture_bytes):
    peers = set()

    def says(connection, host):
        peers.add(connection.getpeername())
        return ok(picture_bytes())

    raw_web.says["*"] = says
    fetched(raw_web, *(f"a.example/{n}" for n in range(20)), per_host_concurrency=2)
    assert len(peers) <= 4


def test_a_server_that_hangs_up_is_asked_once_and_a_connection_that_it_closed_meanwhile_is_no_failure(
    raw_web, picture_bytes
):
    def hangs_up(connection, host):
        connection.shutdown(2)
        return b""

    raw_web.says |= {"/x": hangs_up, "/y": b"220 mail ready\r\n"}
    results, _ = fetched(raw_web, "a.example/x", "b.example/y", **SILENT)
    assert {found.ending.status for found in results.values()} == {"connection_error"}
    assert (raw_web.asked["a.example/x"], raw_web.asked["b.example/y"]) == (1, 1)

    def once(connection, host):
        """Keeps the connection, as far as one can see, and hangs up when it is asked on it."""
        if connection in served:
            return hangs_up(connection, host)
        served.append(connection)
        return ok(picture_bytes())

    served = []
    raw_web.says["*"] = once
    results, _ = fetched(raw_web, *(f"c.example/{n}" for n in range(4)), per_host_concurrency=1, breaker_failures=1)
    assert [found.ending.status for found in results.values()] == [None] * 4
