"""Names are asked for once, answers are checked, and what was checked is what is connected to."""

import asyncio
import socket

import pytest

from curate.images.addresses import Addresses
from curate.images.names import Names
from curate.images.status import FetchError
from curate.images.transport import Limits, Transport


def answers(*addresses):
    """A resolver that gives another answer each time, and the last one for good."""
    given = []

    async def lookup(host, port):
        given.append(host)
        found = addresses[min(len(given), len(addresses)) - 1]
        if isinstance(found, Exception):
            raise found
        return [(socket.AF_INET, (address, port)) for address in found]

    return lookup, given


def resolved(addresses, lookup, *hosts, ttl=300.0, clock=None):
    async def ask():
        names = Names(addresses, ttl, 1.0, lookup, clock)
        return await asyncio.gather(*(names.resolve(host, 80) for host in hosts), return_exceptions=True)

    return asyncio.run(ask())


def test_a_name_is_asked_for_once_by_many():
    lookup, given = answers(["93.184.216.34"])
    found = resolved(Addresses(), lookup, *["a.example"] * 50, "b.example")
    assert given == ["a.example", "b.example"] and found[0] == [(socket.AF_INET, ("93.184.216.34", 80))] == found[49]


def test_answers_age_good_and_bad_ones():
    now = [0.0]
    lookup, given = answers(socket.gaierror("no"), ["8.8.8.8"], ["9.9.9.9"])

    async def ask():
        names, found = Names(Addresses(), 10.0, 1.0, lookup, lambda: now[0]), []
        for now[0] in (0.0, 9.0, 10.0, 19.0, 21.0):
            try:
                found.append((await names.resolve("a.example", 80))[0][1][0])
            except FetchError as error:
                found.append(error.ending.status)
        return found

    assert asyncio.run(ask()) == ["dns_error", "dns_error", "8.8.8.8", "8.8.8.8", "9.9.9.9"] and len(given) == 3


def test_private_ones_among_the_answers_are_left_out():
    lookup, _ = answers(["10.0.0.1", "8.8.8.8", "169.254.169.254"])
    assert resolved(Addresses(), lookup, "a.example") == [[(socket.AF_INET, ("8.8.8.8", 80))]]
    (error,) = resolved(Addresses(), answers(["10.0.0.1"])[0], "a.example")
    assert error.ending.status == "refused_address" and "a.example" in error.ending.words


def test_a_resolver_that_never_answers_is_a_dns_error():
    async def lookup(host, port):
        await asyncio.sleep(60)

    async def ask():
        await Names(Addresses(), 10.0, 0.05, lookup).resolve("a.example", 80)

    with pytest.raises(FetchError) as error:
        asyncio.run(ask())
    assert error.value.ending.status == "dns_error"


def rebound(monkeypatch, *first_and_later, ttl):
    """Requests one URL twice of a host whose name is resolved anew each time; what was connected to, and how each ended."""
    connected = []
    lookup, given = answers(*first_and_later)

    async def connect(loop, sock, place):
        connected.append(place[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(asyncio.selector_events.BaseSelectorEventLoop, "sock_connect", connect)

    async def ask():
        names = Names(Addresses(), ttl, 1.0, lookup)
        transport, ends = Transport(Limits(Addresses(), 100, 1.0), names, "t"), []
        for _ in range(2):
            try:
                await transport.get("http://a.example/x", 5.0, lambda *_: None)
            except FetchError as error:
                ends.append(error.ending.status)
        await transport.close()
        return ends

    return connected, asyncio.run(ask()), given


def test_a_name_that_turns_private_between_check_and_connection_is_not_followed(monkeypatch):
    # No second look-up lies between the check and the connection: the first answer is what is connected to.
    connected, ends, given = rebound(monkeypatch, ["8.8.8.8"], ["127.0.0.1"], ttl=300.0)
    assert connected == ["8.8.8.8"] * 2 and given == ["a.example"]
    # Once the first answer has aged, the second is checked like any.
    connected, ends, given = rebound(monkeypatch, ["8.8.8.8"], ["127.0.0.1"], ttl=0.0)
    assert connected == ["8.8.8.8"] and ends == ["connection_error", "refused_address"] and len(given) == 2


def test_the_socket_itself_checks_once_more(monkeypatch):
    monkeypatch.setattr(Addresses, "checked", lambda self, host, found, checked=Addresses.checked: (
        list(found) if host == "a.example" else checked(self, host, found)))  # fmt: skip
    connected, ends, _ = rebound(monkeypatch, ["127.0.0.1"], ttl=300.0)
    assert connected == [] and ends == ["refused_address"] * 2
