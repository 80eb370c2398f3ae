"""Ray's actors: whose work they do, how long they live, and that one which dies is missed by nobody."""

import os

from jobs import engine


def pid(item):
    return [item, os.getpid()]


def test_actors_go_on_from_call_to_call_where_they_are_asked_to(engines):
    def pids(workers=1):
        answers = engine.ray_map(engines, pid, ["a", "b"], workers=workers)
        assert [item for item, _ in answers] == ["a", "b"]
        return {number for _, number in answers}

    with engines.same_actors():
        first = pids()
        with engines.same_actors():
            assert pids() == first
        assert pids() == first and first <= pids(workers=2)
        # Another function is another function, though its actor is the one before.
        assert engine.ray_map(engines, lambda item: [item + "!", os.getpid()], ["a"]) == [["a!", *first]]
    assert not pids() & first


def test_an_actor_that_dies_is_started_again_with_its_function(engines, tmp_path):
    def once(item):
        if item == "b" and not (tmp_path / "died").exists():
            (tmp_path / "died").touch()
            os._exit(1)
        return item.upper()

    with engines.same_actors():
        assert engine.ray_map(engines, once, ["a", "b", "c"]) == ["A", "B", "C"]
        assert engine.ray_map(engines, pid, ["a"])
    assert (tmp_path / "died").exists()
