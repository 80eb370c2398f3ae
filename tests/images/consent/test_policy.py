"""The policy: what forbids and allows at each moment, files asked for once, a bounded memory, and waiting together."""

import asyncio
import threading
import time
from itertools import pairwise

import pytest

from curate.images.consent import Policy
from curate.images.consent import origins as origins_module
from curate.images.consent.origins import MAX_AGE, RETRY_AGE, Shelf, origin_of, path_of
from curate.images.consent.rules import table
from curate.images.status import FetchError

PAGE = "https://a.example/img/1.jpg"
ROBOTS, TDM = "https://a.example/robots.txt", "https://a.example/.well-known/tdmrep.json"


class Web:
    """Files by URL: bytes, a status, (status, headers), or a FetchError; anything else is 404. Notes what is asked for."""

    def __init__(self, **files):
        self.files = {"robots": ROBOTS, "tdm": TDM}
        self.files = {self.files.get(name, name): body for name, body in files.items()}
        self.asked = []

    def get(self, url):
        self.asked.append(url)
        found = self.files.get(url, 404)
        if isinstance(found, FetchError):
            raise found
        if isinstance(found, bytes):
            return 200, [("Content-Type", "text/plain")], found
        return (*found, b"") if isinstance(found, tuple) else (found, [], b"")

    async def later(self, url):
        await asyncio.sleep(0)
        return self.get(url)


def policy(off=(), also=(), opt_in=False, shelf=None):
    return Policy(table(off=off), "curatebot", also, opt_in, shelf)


def ask(web, url=PAGE, **changes):
    made = policy(**changes)
    answer = asyncio.run(made.ask(url, web.later))
    assert policy(**changes).ask_blocking(url, web.get) == answer, "threads and coroutines are told the same"
    return answer


def group(*lines):
    return b"User-agent: *\n" + b"".join(line.encode() + b"\n" for line in lines)


@pytest.mark.parametrize(
    ("files", "rule", "words"),
    [
        ({}, None, None),
        ({"robots": group("Disallow: /img/")}, "robots_txt", "robots.txt: Disallow: /img/ (for *)"),
        ({"robots": b"User-agent: CurateBot\nDisallow: /"}, "robots_txt", "robots.txt: Disallow: / (for curatebot)"),
        ({"robots": group("Disallow: /other")}, None, None),
        ({"robots": group("Content-Usage: / train-ai=n")}, "content_usage_robots",
         "robots.txt: Content-Usage: train-ai=n (for *)"),
        ({"robots": group("Content-Usage: train-ai=y")}, None, None),
        ({"robots": group("Content-Usage: train-ai=maybe")}, None, None),
        ({"robots": group("Content-Usage: Train-AI=n")}, None, None),
        ({"robots": group("Content-Usage: / train-ai=y", "Content-Usage: / train-ai=n")}, "content_usage_robots",
         "robots.txt: Content-Usage: train-ai=n (for *)"),
        ({"robots": group("Content-Usage: / train-ai=n", "Content-Usage: /img/ train-ai=y")}, None, None),
        ({"robots": group("Content-Signal: search=yes, ai-train=no")}, "content_signal",
         "robots.txt: Content-Signal: ai-train=no (for *)"),
        ({"robots": group("Content-Signal: search=yes")}, None, None),
        ({"tdm": b'[{"location": "/img/*", "tdm-reservation": 1}]'}, "tdm_file",
         "/.well-known/tdmrep.json: tdm-reservation: 1"),
        ({"tdm": b'[{"location": "/img/*", "tdm-reservation": 0}]'}, None, None),
        ({"tdm": b'[{"location": "/img/*", "tdm-reservation": 2}]'}, None, None),
        ({"tdm": b'{"location": "/img/*", "tdm-reservation": 1}'}, None, None),
        ({"tdm": 500}, None, None),
        ({"tdm": FetchError("timeout", "no answer in time")}, None, None),
    ],
)  # fmt: skip
def test_before_the_fetch(files, rule, words):
    refusal = ask(Web(**files)).refusal
    assert (refusal is None) == (rule is None)
    if refusal is not None:
        assert (refusal.rule, refusal, refusal.reason) == (rule, words, "opted_out")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (404, None), (401, None), (403, None), (410, None), ((302, []), None), ((302, [("Location", "ftp://x/")]), None),
        ((301, [("Location", "http://[")]), None), (204, None),
        (500, "robots_unreachable"), (503, "robots_unreachable"), (429, "robots_unreachable"),
        (None, "robots_unreachable"), (304, None),
        (FetchError("dns_error", "the host name a.example does not resolve"), "dns_error"),
        (FetchError("timeout", "no answer in time"), "timeout"),
    ],
)  # fmt: skip
def test_what_the_status_of_a_robots_txt_means(answer, reason):
    refusal = ask(Web(robots=answer)).refusal
    assert (refusal and refusal.reason) == reason
    if refusal is not None:
        assert refusal.rule is None and refusal.startswith("robots.txt: ")
    assert ask(Web(robots=answer), off=["robots_txt"]).refusal is None


def chain(hops, end):
    """A robots.txt behind so many redirects, each to another host."""
    places = [ROBOTS, *(f"https://r{n}.example/robots.txt" for n in range(1, hops + 1))]
    web = Web(**{places[-1]: end})
    web.files |= {a: (301, [("location", b)]) for a, b in pairwise(places)}
    return web


def test_five_redirects_are_followed_and_the_rules_count_for_the_first_host():
    assert ask(chain(5, group("Disallow: /img/"))).refusal.rule == "robots_txt"
    assert ask(chain(6, group("Disallow: /img/"))).refusal is None
    private = ask(chain(1, FetchError("refused_address", "r1.example is not a public address"))).refusal
    assert private.reason == "robots_unreachable" and "not a public address" in private


def test_a_file_that_forbids_asking_for_the_tdm_file_is_obeyed():
    web = Web(robots=group("Disallow: /.well-known/"), tdm=b'[{"location": "/", "tdm-reservation": 1}]')
    assert ask(web).refusal is None and TDM not in web.asked


def test_other_agents_are_heard_where_the_recipe_says_so():
    web = Web(robots=b"User-agent: img2dataset\nDisallow: /")
    assert (
        ask(web).refusal is None
        and ask(web, also=["img2dataset"]).refusal == "robots.txt: Disallow: / (for img2dataset)"
    )


@pytest.mark.parametrize(
    ("headers", "rule", "words"),
    [
        ([], None, None),
        ([("X-ROBOTS-TAG", "noai")], "x_robots_tag", "X-Robots-Tag: noai"),
        (
            [("X-Robots-Tag", "all"), ("x-robots-tag", "curatebot: noimageindex")],
            "x_robots_tag",
            "X-Robots-Tag: noimageindex",
        ),
        ([("X-Robots-Tag", "otherbot: noai")], None, None),
        (
            [("X-Robots-Tag", "unavailable_after: 25 Jun 2010 15:00:00 PST")],
            "x_robots_tag",
            "X-Robots-Tag: unavailable_after",
        ),
        ([("X-Robots-Tag", "\0\0")], None, None),
        ([("Content-Usage", "train-ai=n")], "content_usage_header", "Content-Usage: train-ai=n"),
        ([("Content-Usage", "train-ai=y")], None, None),
        ([("Content-Usage", "train-ai=n;")], None, None),
        ([("TDM-Reservation", " 1")], "tdm_header", "Tdm-Reservation: 1"),
        ([("tdm-reservation", "0")], None, None),
        ([("tdm-reservation", "2")], None, None),
        ([("tdm-reservation", "0"), ("tdm-reservation", "1")], "tdm_header", "Tdm-Reservation: 1"),
    ],
)
def test_on_the_response(headers, rule, words):
    refusal = policy().on_response(headers)
    assert refusal == words and (refusal.rule if refusal is not None else None) == rule
    assert rule is None or policy(off=[rule]).on_response(headers) is None


def test_a_million_headers_of_one_name_are_not_all_read():
    headers = [("x-robots-tag", "nofollow")] * 100_000 + [("x-robots-tag", "noai")]
    assert policy().on_response(headers) is None


@pytest.mark.parametrize(
    ("robots", "rule"),
    [
        (None, None), ("", None), ("index,follow", None), ("noai,nofollow", "meta_robots"), ("none", "meta_robots"),
        ("follow,tdm-reservation:1", "tdm_meta"),
        ("tdm-reservation:0,noai", "meta_robots"), ("tdm-reservation:0", None), ("tdm-reservation:x", None), ("1", None),
    ],
)  # fmt: skip
def test_on_the_page(robots, rule):
    refusal = policy().on_page(robots)
    assert (refusal.rule if refusal is not None else None) == rule
    if rule == "meta_robots":
        assert refusal.startswith("the page's meta robots: no")


@pytest.mark.parametrize(
    ("files", "headers", "reason"),
    [
        ({}, [], "not_opted_in"),
        ({"robots": group("Allow: /")}, [], "not_opted_in"),
        ({"robots": group("Content-Usage: train-ai=y")}, [], None),
        ({"robots": group("Content-Signal: ai-train=yes")}, [], None),
        ({"tdm": b'[{"location": "/", "tdm-reservation": 0}]'}, [], None),
        ({}, [("content-usage", "train-ai=y")], None),
        ({}, [("tdm-reservation", "0")], None),
        ({}, [("content-usage", "search=y")], "not_opted_in"),
        ({"robots": group("Content-Usage: train-ai=y")}, [("x-robots-tag", "noai")], "opted_out"),
    ],
)
def test_opt_in_takes_only_what_somebody_allows(files, headers, reason):
    made = policy(opt_in=True)
    answer = made.ask_blocking(PAGE, Web(**files).get)
    assert answer.refusal is None
    refusal = made.on_response(headers, answer.consent)
    assert (refusal.reason if refusal is not None else None) == reason


def test_opt_in_asks_for_no_image_when_no_header_could_allow_it():
    off = ["content_usage_header", "tdm_header"]
    assert ask(Web(), opt_in=True, off=off).refusal.reason == "not_opted_in"
    assert ask(Web(robots=group("Content-Usage: train-ai=y")), opt_in=True, off=off).refusal is None


def test_a_refusal_is_bounded_and_safe():
    web = Web(robots=group("Disallow: /img/\u202e\x1b[31m" + "*" * 10_000))
    refusal = ask(web, "https://a.example/img/%E2%80%AE%1B[31m.jpg").refusal
    assert refusal.startswith("robots.txt: Disallow: /img/") and len(refusal) <= 200 and refusal.isprintable()


# -- files are asked for once, and kept within a bound


def test_an_origin_is_asked_once_whoever_asks():
    web, made = Web(robots=group("Disallow: /no/")), policy()

    async def many():
        urls = [f"https://a.example/{'no' if n % 2 else 'img'}/{n}.jpg" for n in range(200)]
        return await asyncio.gather(*(made.before(url, web.later) for url in urls))

    refusals = asyncio.run(many())
    assert sum(refusal is not None for refusal in refusals) == 100
    assert sorted(web.asked) == sorted([ROBOTS, TDM])


def test_threads_wait_for_the_one_that_asks():
    web, made = Web(robots=group("Disallow: /")), policy()

    def slowly(url):
        time.sleep(0.05)
        return web.get(url)

    said = []
    threads = [threading.Thread(target=lambda: said.append(made.ask_blocking(PAGE, slowly).refusal)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(said) == 20 and all(said) and web.asked == [ROBOTS]


def test_an_asker_that_is_cancelled_or_fails_leaves_nobody_waiting():
    web, made = Web(robots=group("Disallow: /")), policy()

    async def stuck(url):
        await asyncio.sleep(60)

    async def broken(url):
        raise RuntimeError("a bug of the fetcher")

    async def run():
        first = asyncio.create_task(made.before(PAGE, stuck))
        await asyncio.sleep(0)
        waiting = [asyncio.create_task(made.before(PAGE, web.later)) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()  # one who waits takes nobody with it
        await asyncio.sleep(0)
        first.cancel()
        done = await asyncio.gather(first, *waiting, return_exceptions=True)
        assert [type(d) for d in done[:2]] == [asyncio.CancelledError] * 2
        with pytest.raises(RuntimeError):
            await made.before("https://b.example/", broken)
        return [*done[2:], await made.before("https://b.example/", web.later)]

    refused = asyncio.run(asyncio.wait_for(run(), 10))
    assert [r is not None for r in refused] == [True, True, False] and not made.shelf._under_way


def test_a_million_hosts_do_not_fill_the_memory():
    shelf = Shelf(limit=200_000)
    made, web = policy(shelf=shelf), Web()
    for n in range(3000):
        made.ask_blocking(f"https://h{n}.example/x.jpg", web.get)
    assert shelf.weight <= 200_000 and 100 < len(shelf) < 500
    web.asked.clear()
    made.ask_blocking("https://h2999.example/y.jpg", web.get)
    assert web.asked == [], "the latest are kept"
    made.ask_blocking("https://h0.example/y.jpg", web.get)
    assert len(web.asked) == 2


def test_a_huge_file_drives_others_out_and_not_the_memory_up():
    shelf = Shelf(limit=2**20)
    made, web = policy(shelf=shelf), Web(robots=group(*(f"Disallow: /{n}" for n in range(30_000))))
    for host in "bcd":
        made.ask_blocking(f"https://{host}.example/x.jpg", web.get)
    made.ask_blocking(PAGE, web.get)
    made.ask_blocking("https://e.example/", web.get)
    assert set(shelf._kept) == {TDM, "https://e.example/robots.txt", "https://e.example/.well-known/tdmrep.json"}
    assert shelf.weight < 2**20


def test_files_are_kept_a_day_and_failures_ten_minutes():
    now = [0.0]
    shelf = Shelf(clock=lambda: now[0])
    web, made = Web(robots=503), policy(shelf=shelf, off=["tdm_file"])
    for moment, asked in ((0, 1), (RETRY_AGE - 1, 1), (RETRY_AGE + 1, 2)):
        now[0] = moment
        assert made.ask_blocking(PAGE, web.get).refusal.reason == "robots_unreachable" and len(web.asked) == asked
    web.files[ROBOTS] = group("Disallow: /")
    now[0] += RETRY_AGE + 1
    for later, asked in ((0, 3), (MAX_AGE - 1, 3), (2, 4)):
        now[0] += later
        assert made.ask_blocking(PAGE, web.get).refusal.rule == "robots_txt" and len(web.asked) == asked
    assert origins_module.MAX_AGE <= 24 * 3600


@pytest.mark.parametrize(
    ("url", "origin", "path"),
    [
        ("https://A.example:443/x?y#z", "https://a.example", "/x?y"),
        ("http://u:p@a.example:8080", "http://a.example:8080", "/"),
        ("http://a.example/x?", "http://a.example", "/x?"),
        ("http://[::1]:80/x#?", "http://[::1]", "/x"),
        ("http://a.example:8080/", "http://a.example:8080", "/"),
        ("http://a.example:443/", "http://a.example:443", "/"),
    ],
)
def test_origins_and_paths(url, origin, path):
    assert (origin_of(url), path_of(url)) == (origin, path)
