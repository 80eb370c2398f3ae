"""Rewrites: examples are drawn by hash, what is no rewrite is refused with its reason, and the rest stays."""

from itertools import islice

import pytest

from curate.backends import llama
from curate.backends.contract import Answer
from curate.backends.settings import Llama
from curate.captions import examples, keeping, rewrite
from curate.captions.contract import REASON, Row
from curate.captions.rejecting import reason, tidy
from curate.settings import RecipeError
from curate.store import Dataset
from tests.captions.workdirs import captioned, own, task_of
from tests.endpoint import endpoint, says

ALT = "New iPhone 12 case by Apple => 64 GB, for sale in town"


def row(uid="a" * 32, text=ALT) -> Row:
    return Row(uid=uid, image_uid="b" * 32, text=text, tables={}, photo=None)


def rewriter(**more) -> rewrite.Rewriter:
    settings = rewrite.Rewrite(backend="b", **more)
    return rewrite.load(settings, "cpu", rewrite.identity(settings))


def held(captioner, answers, of=None):
    """A conversation: what was asked, and the columns that came of the answers."""
    talk = captioner.converse(of or row())
    asked = next(talk)
    with pytest.raises(StopIteration) as done:
        talk.send([Answer(one) if isinstance(one, str) else one for one in islice(answers, len(asked))])
    return asked, done.value.value


def test_examples_and_seeds_are_drawn_by_hash():
    captioner = rewriter()
    ours, others = next(captioner.converse(row())), next(captioner.converse(row("c" * 32)))
    assert ours == next(rewriter().converse(row())) and len(ours) == 4
    assert ours != next(rewriter(seed=1).converse(row()))
    assert len({request.seed for request in ours + others}) == 8
    assert all(request.prompt.count("\nRewritten:") == 4 and request.prompt.count(ALT) == 1 for request in ours)
    assert {request.sampling.temperature for request in ours} == {0.9} and ours[0].sampling.top_p == 0.95
    shown = {
        before
        for number in range(100)
        for before, _ in examples.banks(["plain"], 3)[0].drawn(3, 0, f"{number:032x}", 0)
    }
    assert len(shown) == 16


def test_a_base_model_goes_on_with_a_list():
    (request,) = next(rewriter(form="completion", banks=("plain",)).converse(row()))
    *_, last = lines = request.prompt.splitlines()
    assert request.bare and request.sampling.stop == ("\n",) and len(lines) == 5
    assert last == "New iPhone 12 case by Apple -> 64 GB, for sale in town =>"
    assert all(line.count(" => ") == 1 for line in lines[1:-1])


GOOD = "For sale in town: the 64 GB iPhone 12 in a case from Apple"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (GOOD, None),
        (f"Sure! Here is the rewritten caption:\n\n{GOOD}\n\nCaption: another\nRewritten: one", None),
        (f"{GOOD} => {GOOD}", None),
        ("", "empty"),
        ("I'm sorry, I cannot help with that", "refusal"),
        ("case", "few_words"),
        ("new iphone 12 case by APPLE: 64 GB, for sale in town!", "same"),
        (rewrite.TASK, "copies_prompt"),
        ("An iPhone 12 case by Apple, 64 GB, in the manner of the examples", "copies_prompt"),
        ("An iPhone 12 case by Apple", "lost_numbers"),
        ("A phone 12 case by Apple with 64 GB", "lost_names"),
        (Answer("An iPhone 12 case by", finish="length"), "cut_off"),
        ("x y " * 600, "too_long"),
        ("very " * 9 + "new iPhone 12 by Apple with 64 GB", "repeats_itself"),
    ],
)
def test_an_answer_is_a_rewrite_or_has_a_reason(said, why):
    _, told = held(rewriter(banks=("plain",)), [said])
    assert told[REASON] == why
    assert (told["captions"] is None) == (why is not None)
    assert told["rejections"] == ([why] if why else None)


def test_what_has_nothing_of_the_alt_text_is_off_topic_and_an_example_is_no_answer():
    of = row(text="a brown dog runs on grass")
    captioner = rewriter(banks=("plain",))
    (pairs,) = captioner._drawn(of.uid)
    for said, why in (
        (pairs[0][1], "copies_prompt"),
        (pairs[2][0].upper(), "copies_prompt"),
        ("It is a statement", "off_topic"),
    ):
        assert held(captioner, [said], of)[1][REASON] == why
    assert held(rewriter(banks=("plain",), keep_words=0), ["It is a statement"], of)[1][REASON] is None


def test_checks_can_be_switched_off():
    said = ["A phone case for sale"]
    assert held(rewriter(banks=("plain",), keep_numbers=False, keep_names=False), said)[1]["captions"] == said
    assert held(rewriter(banks=("plain",), keep_numbers=False), said)[1][REASON] == "lost_names"


def test_those_that_passed_stay_each_once_with_their_banks():
    _, told = held(rewriter(), ["cat", GOOD, "", GOOD])
    assert told == {
        "captions": [GOOD],
        "banks": ["rich"],
        "rejected": ["cat", "", GOOD],
        "rejections": ["few_words", "empty", "same"],
        REASON: None,
    }
    assert held(rewriter(), [Answer(status="no_answer"), GOOD, GOOD, GOOD])[1] == {REASON: "no_answer"}
    assert len(held(rewriter(rewrites=6), [GOOD] * 6)[0]) == 6


@pytest.mark.parametrize("name", examples.SHIPPED)
def test_our_own_examples_pass_our_own_checks(name):
    (bank,) = examples.banks([name], 3)
    assert len(bank.pairs) == len(dict(bank.pairs)) == 16
    for before, after in bank.pairs:
        assert reason(after) is None and keeping.normalised(before) != keeping.normalised(after)
        assert not keeping.lost_numbers(before, after) and not keeping.lost_names(before, after), before
        assert keeping.kept_share(before, after) >= 0.2, before


def test_a_bank_of_ones_own_is_known_by_its_content(tmp_path):
    file = tmp_path / "mine.tsv"
    file.write_text("# mine\na dog\tthe dog\n\na cat\tthe cat\na cow\tthe cow\n", encoding="utf-8-sig")
    settings = rewrite.Rewrite(backend="b", banks=(str(file),))
    planned = rewrite.identity(settings)
    assert rewrite.load(settings, "cpu", planned)._banks[0].name == "mine"
    file.write_text(file.read_text().replace("the cow", "one cow"))
    with pytest.raises(RecipeError, match="not those that this run was planned with"):
        rewrite.load(settings, "cpu", planned)


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("plian", None, "plain"),
        ("none.tsv", None, "No such file"),
        ("b.tsv", b"a dog\tthe dog\nno tab here\n", "line 2"),
        ("b.tsv", b"a dog\tthe dog\n", "1 pairs, and 3 are shown"),
        ("b.tsv", b"\xff\xfe\x00", "utf-8"),
        ("b.tsv", b"x" * (2 << 20), "longer than"),
    ],
)
def test_a_bank_that_is_none_stops_the_run(tmp_path, name, data, said):
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(RecipeError, match=said):
        rewrite.identity(rewrite.Rewrite(backend="b", banks=(str(tmp_path / name) if "." in name else name,)))


def test_a_table_of_rewrites(small_workdir, tmp_path):
    def answer(request, _):
        alt = request["messages"][-1]["content"].rpartition("\nCaption: ")[2].partition("\n")[0]
        return says("" if alt.endswith("1") else f"{alt}, said otherwise")

    with endpoint(answer) as (url, _):
        backend = {"backend": "openai", "endpoint": url, "model": "words", "retries": 0}
        workdir = own(small_workdir, tmp_path)
        table, _ = captioned(task_of(workdir, [backend], {"captioner": "rewrite", "backend": "openai", "rewrites": 2}))
    texts = {
        one["uid"]: one["text"]
        for part in Dataset(workdir, "images").part_names()
        for one in Dataset(workdir, "images").read_part(part).to_pylist()
    }
    kept = [one for one in table.to_pylist() if one["state"] == "kept"]
    # Both answers are alike: one rewrite is left, and one is the same again.
    assert kept and all(
        one["captions"] == [tidy(f"{' '.join(texts[one['uid']].split())}, said otherwise")] for one in kept
    )
    assert all(one["rejections"] == ["same"] and one["requests"] == 2 for one in kept)
    dropped = {one["reason"] for one in table.to_pylist() if one["state"] == "dropped"}
    assert dropped <= {"empty", "repeats_itself"}  # some alt texts are hostile


def test_the_small_model_rewrites():
    """It is a poor writer: what is held here is that it is asked, answers, and is judged; greedy, so that a run is like another."""
    backend = llama.load(Llama(context=256, concurrency=4), "cpu")
    captioner = rewriter(banks=("plain",), form="completion", temperature=0, max_tokens=24)
    texts = ["a brown dog runs on the grass", "two red apples on a wooden table", "old stone bridge over a river"]
    told = []
    for text in texts:
        of = row(text=text)
        told.append(held(captioner, [backend.answer(request) for request in next(captioner.converse(of))], of)[1])
    assert all((one["captions"] or one["rejected"]) and one[REASON] in (None, *REASONS) for one in told)
    assert any(one["captions"] for one in told)


REASONS = ("same", "copies_prompt", "lost_numbers", "off_topic", "cut_off", "few_words")
