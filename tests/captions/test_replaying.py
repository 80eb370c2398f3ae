"""Rounds of questions for an engine that takes a dataset: what waits is asked once, what failed fails its pair, and then nothing waits."""

import pytest

from curate.backends.contract import Answer, Request
from curate.captions import describe, registry
from curate.captions.contract import REASON, Asking, Kind, refused
from curate.captions.replaying import Caches, waiting
from curate.weights import ModelError
from tests.captions.workdirs import captioned, own, task_of

ASKS = {"backend": "ray_llm", "model": "eyes"}


class TwoTurns(Asking):
    """Asks about the picture, and then about the answer."""

    def converse(self, row):
        first = yield [Request("what?", photo=row.photo), Request("where?", photo=row.photo)]
        if status := refused(first):
            return {REASON: status}
        (second,) = yield [Request(f"sure that it is {first[0].text} {first[1].text}?")]
        return {"captions": [second.text], REASON: second.status}


@pytest.fixture
def task(small_workdir, tmp_path, monkeypatch):
    kind = Kind(needs="requests", load=lambda settings, device, identity: TwoTurns(), identity=describe.identity)
    monkeypatch.setitem(registry.KINDS, "describe", kind)
    return task_of(own(small_workdir, tmp_path), [ASKS], {"captioner": "describe", "backend": "ray_llm"})


def answer_all(task, say) -> list[list[str]]:
    """The prompts of each round."""
    rounds, first = [], True
    while not rounds or rounds[-1]:
        rounds.append([])
        for part in task.plan.parts:
            found = list(waiting(part, task, first))
            with Caches(task) as caches:
                for key, request in found:
                    caches.put(part, key, say(request))
            rounds[-1] += [request.prompt for _, request in found]
        first = False
    return rounds


def test_conversations_go_on_round_by_round_and_end_as_tables(task):
    def say(request):
        return Answer("a cat", "stop", 7, 2) if request.photo else Answer("yes it is", "stop", 3, 1)

    rounds = answer_all(task, say)
    pictures = rounds[0].count("what?")
    assert set(rounds[0]) == {"what?", "where?"} and len(rounds[0]) == 2 * pictures > 0
    # All are asked the same then, once in each part.
    assert rounds[1:] == [["sure that it is a cat a cat?"] * len(task.plan.parts), []]
    table, made = captioned(task)
    kept = table.filter(table["captions"].is_valid())
    assert set(kept["state"].to_pylist()) == {"kept"} and len(kept) >= pictures
    assert set(kept["requests"].to_pylist()) == {3} and set(kept["prompt_tokens"].to_pylist()) == {17}
    assert sum(one.counts["asked"] for one in made) == 0 < sum(one.counts["known"] for one in made)


def test_what_failed_fails_its_pair_and_is_asked_again_by_another_run(task):
    def say(request):
        return Answer("a cat") if request.prompt != "where?" else Answer(status="rejected")

    rounds = answer_all(task, say)
    assert rounds[1:] == [[]]
    table, _ = captioned(task)
    assert {state for state in table["state"].to_pylist() if state != "gone"} == {"failed"}
    assert {reason for reason in table["reason"].to_pylist() if reason} == {"rejected"}
    again = answer_all(task, lambda request: Answer("a cat"))
    assert set(again[0]) == {"where?"} and again[0] == [prompt for prompt in rounds[0] if prompt == "where?"]


def test_a_table_is_not_made_of_what_was_not_asked(task):
    with pytest.raises(ModelError, match="'ray_llm' was not asked everything"):
        captioned(task)
