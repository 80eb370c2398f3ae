"""Manners on a clock of the test's own: nothing in here sleeps."""

from datetime import UTC, datetime

import pytest

from curate.images import politeness
from curate.images.memory import MAX_AGE, Memory, Past
from curate.images.politeness import BREAKER_OPEN, RATE_LIMITED, Manners, Scheduler, retry_after


def started(scheduler, now):
    """All (host, ticket) that may start now."""
    found = []
    while (taken := scheduler.take(now)) is not None:
        found.append(taken)
    return found


def finished(scheduler, now, *taken, reached=True):
    for host, ticket in taken:
        scheduler.leave(host, ticket, now, reached)
        scheduler.release()


def queued(manners, **tickets):
    scheduler = Scheduler(manners)
    for host, number in tickets.items():
        for n in range(number):
            assert scheduler.ask(host, n, 0.0) is None
    return scheduler


def test_so_many_at_once_to_a_host_and_in_all():
    scheduler = queued(Manners(in_all=5, per_host=2), a=4, b=4, c=1)
    first = started(scheduler, 0.0)
    assert first == [("a", 0), ("b", 0), ("c", 0), ("a", 1), ("b", 1)], "hosts take turns"
    assert started(scheduler, 9.0) == []
    finished(scheduler, 9.0, ("a", 0), ("c", 0))
    assert started(scheduler, 9.0) == [("a", 2)], "b has two in flight, c has nothing left"


def test_a_release_without_a_leave_does_not_open_the_host_and_the_other_way_round():
    scheduler = queued(Manners(in_all=1, per_host=1), a=2, b=1)
    assert started(scheduler, 0.0) == [("a", 0)]
    scheduler.leave("a", 0, 0.0, True)
    assert started(scheduler, 0.0) == [], "its image is still being looked at"
    scheduler.release()
    assert len(started(scheduler, 0.0)) == 1


def test_the_interval_counts_from_the_end_of_a_request():
    scheduler = queued(Manners(interval=2.0, per_host=9), a=3, b=1)
    assert started(scheduler, 0.0) == [("a", 0), ("b", 0)], "one after another where there is an interval"
    finished(scheduler, 5.0, ("a", 0))
    assert scheduler.next_at() == 7.0 and started(scheduler, 6.99) == [] and started(scheduler, 7.0) == [("a", 1)]


def test_a_host_that_waits_holds_up_no_other():
    scheduler = queued(Manners(in_all=2, per_host=1), a=2, b=3)
    assert started(scheduler, 0.0) == [("a", 0), ("b", 0)]
    scheduler.hold("a", 100.0)
    finished(scheduler, 1.0, ("a", 0), ("b", 0))
    assert started(scheduler, 1.0) == [("b", 1)] and scheduler.next_at() == 100.0
    assert started(scheduler, 100.0) == [("a", 1)]


def test_who_asked_for_patience_is_asked_by_one_at_a_time():
    scheduler = queued(Manners(per_host=4), a=9)
    assert len(started(scheduler, 0.0)) == 4
    scheduler.hold("a", 3.0, gently=True)
    finished(scheduler, 0.5, *(("a", n) for n in range(4)))
    scheduler.ask("a", "again", 0.5, first=True)
    assert started(scheduler, 2.9) == [] and started(scheduler, 3.0) == [("a", "again")]


def test_the_breaker_opens_tries_once_and_gives_up():
    scheduler = queued(Manners(per_host=2, breaker_failures=3, breaker_pause=30.0), a=8, b=1)
    for now in (0.0, 1.0):
        finished(scheduler, now, *started(scheduler, now), reached=False)
    assert started(scheduler, 30.9) == [], "open since the third failure, at 1.0"
    assert scheduler.next_at() == 31.0
    (trial,) = started(scheduler, 31.0)
    assert started(scheduler, 99.0) == [], "one request tries it"
    scheduler.release()
    assert scheduler.leave(*trial, 40.0, False) == [5, 6, 7], "the others are told"
    assert scheduler.ask("a", 8, 41.0) == BREAKER_OPEN and scheduler.ask("c", 0, 41.0) is None


def test_a_host_that_is_back_is_asked_as_before():
    scheduler = queued(Manners(per_host=2, breaker_failures=1, breaker_pause=5.0), a=5)
    pair = started(scheduler, 0.0)
    finished(scheduler, 0.0, pair[0], reached=False)
    finished(scheduler, 0.1, pair[1], reached=False)  # a straggler of before is no trial
    trial = started(scheduler, 5.0)
    assert trial == [("a", 2)]
    finished(scheduler, 6.0, *trial, reached=True)
    assert started(scheduler, 6.0) == [("a", 3), ("a", 4)]


def test_any_answer_counts_against_failures_in_a_row():
    scheduler = queued(Manners(per_host=1, breaker_failures=2), a=9)
    for n in range(9):
        finished(scheduler, n, *started(scheduler, n), reached=bool(n % 2))
    assert scheduler.ask("a", 9, 9.0) is None and started(scheduler, 9.0) == [("a", 9)]


def test_a_trial_that_never_asked_the_host_is_none():
    scheduler = queued(Manners(per_host=1, breaker_failures=1, breaker_pause=5.0), a=3)
    finished(scheduler, 0.0, *started(scheduler, 0.0), reached=False)
    finished(scheduler, 5.0, *started(scheduler, 5.0), reached=None)
    assert started(scheduler, 5.0) == [("a", 2)]


def test_a_host_that_is_given_up_stays_so():
    scheduler = queued(Manners(per_host=1), a=3)
    started(scheduler, 0.0)
    assert scheduler.give_up("a", RATE_LIMITED, 60.0) == [1, 2]
    finished(scheduler, 1.0, ("a", 0))
    assert scheduler.ask("a", 9, 1.0) == RATE_LIMITED and started(scheduler, 1e9) == []


def test_hosts_without_a_past_are_forgotten(monkeypatch):
    monkeypatch.setattr(politeness, "MANY", 10)
    memory = Memory()
    scheduler = Scheduler(Manners(breaker_failures=5), memory)
    for n in range(500):
        scheduler.ask(f"h{n}", n, float(n))
        finished(scheduler, n, *started(scheduler, n), reached=n != 7)
    assert len(scheduler._hosts) <= 21 and len(memory) == 1 and memory.take("h7", 500.0).failures == 1


def after(memory, now, **manners):
    """A scheduler of the next part, and what it says to three images of host a."""
    scheduler = Scheduler(Manners(**manners), memory)
    return scheduler, [scheduler.ask("a", n, now) for n in range(3)]


def test_the_next_part_remembers_a_breaker_that_is_open():
    memory = Memory()
    first = Scheduler(Manners(per_host=1, breaker_failures=2, breaker_pause=30.0), memory)
    for n in range(2):
        first.ask("a", n, 0.0)
        finished(first, 0.0, *started(first, 0.0), reached=False)
    first.end(1.0)
    second, said = after(memory, 2.0, breaker_failures=2)
    assert said == [None] * 3 and started(second, 29.9) == [] and started(second, 30.0) == [("a", 0)]
    assert second.leave("a", 0, 40.0, False) == [1, 2], "the trial failed"
    second.end(41.0)
    third, said = after(memory, 100.0)
    assert said == [BREAKER_OPEN] * 3
    third.end(101.0)
    # Rested, it is tried by one request, and asked as before when that is answered.
    fourth, said = after(memory, 40.0 + politeness.REST, per_host=2)
    assert said == [None] * 3 and started(fourth, 1e4) == [("a", 0)]
    finished(fourth, 1e4, ("a", 0))
    assert started(fourth, 1e4) == [("a", 1), ("a", 2)]
    fourth.end(1e4)
    assert len(memory) == 0, "there is nothing to remember"


def test_the_next_part_remembers_what_a_server_asked_for():
    memory = Memory()
    first = queued(Manners(), a=1, b=1, c=1)
    first._memory = memory
    started(first, 0.0)
    first.hold("a", 50.0, gently=True)
    first.give_up("b", RATE_LIMITED, 3600.0)
    finished(first, 1.0, ("a", 0), ("b", 0), ("c", 0))
    first.end(1.0)
    second = Scheduler(Manners(per_host=4), memory)
    assert [second.ask(host, n, 2.0) for n in range(3) for host in "abc"] == [None, RATE_LIMITED, None] * 3
    assert started(second, 2.0) == [("c", n) for n in range(3)]
    assert started(second, 50.0) == [("a", 0)], "one at a time"
    assert second.ask("b", 9, 3600.0) is None


def test_a_memory_is_bounded_and_ages():
    memory = Memory(most=3)
    for n in range(9):
        memory.keep(f"h{n}", Past(0.0, failures=1), float(n))
    assert len(memory) == 3 and memory.take("h5", 9.0) is None and memory.take("h6", 9.0) == Past(0.0, failures=1)
    assert memory.take("h6", 9.0) is None and memory.take("h7", 7.0 + MAX_AGE) is None


NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("120", 120.0), (" 0 ", 0.0), ("Thu, 01 Jan 2026 12:01:00 GMT", 60.0), ("Thu, 01 Jan 2026 11:00:00 GMT", 0.0),
        ("9" * 5000, 999999999999.0), ("soon", None), ("-5", None), ("1.5", None), ("", None), ("٣", None),
        ("Thu, 99 Foo 2026", None),
    ],
)  # fmt: skip
def test_retry_after(said, seconds):
    assert retry_after([("Date", "x"), ("RETRY-AFTER", said)], NOW) == seconds
    assert retry_after([("Date", "x")], NOW) is None


def test_a_date_counts_from_the_clock_that_it_was_read_from():
    an_hour_ahead = [("Date", "Thu, 01 Jan 2026 13:00:00 GMT"), ("Retry-After", "Thu, 01 Jan 2026 13:00:30 GMT")]
    assert retry_after(an_hour_ahead, NOW) == 30.0
    assert retry_after([("Date", "Thu, 01 Jan 2026 13:00:00 GMT"), ("Retry-After", "7")], NOW) == 7.0


def test_a_workers_share_of_what_is_allowed():
    from curate.recipe import Download

    manners = Manners.of(Download(workers=4, per_host_concurrency=8, per_host_interval=0.5, concurrency=10))
    assert (manners.per_host, manners.interval, manners.in_all) == (2, 2.0, 10)
    assert Manners.of(Download(workers=9, per_host_concurrency=2)).per_host == 1
