"""The draw of a pair against the cut of its source, from a manifest alone."""

from curate.draw import draw
from curate.explaining import mixing
from curate.ledger import Ledger
from curate.store import Manifest, Plan

UID = "0f3c9a61d2b84e5790ab13cd56ef2478"
CHANCE = float(draw(7, "mix", [UID])[0])


def manifest(mix: dict, **limits: dict) -> Manifest:
    sources = [{"name": name, "weight": None, "quota": None, **given} for name, given in limits.items()]
    plan = Plan(dataset="pairs", stage="extract", settings={"seed": 7, "sources": sources}, inputs={}, parts=())
    return Manifest(plan=plan, parts=(), ledger=Ledger(), extra={"mix": mix} if mix else {})


def cut(found: int, kept: int, threshold: float | None) -> dict:
    return {"found": found, "kept": kept, "threshold": threshold}


def test_all_some_and_none_are_told_apart():
    just_below = CHANCE - 2**-53
    mix = {"all": cut(5, 5, None), "at": cut(9, 4, CHANCE), "below": cut(9, 4, just_below), "none": cut(9, 0, None)}
    found = mixing.cuts(manifest(mix, **{name: {"quota": 1} for name in mix}), UID)
    assert [(one["source"], one["taken"]) for one in found] == [
        ("all", True), ("at", True), ("below", False), ("none", False),
    ]  # fmt: skip
    words = {one["source"]: mixing.decision(one) for one in found}
    assert words["all"] == "all are taken: 5 of 5 distinct pairs of all (quota 1)"
    assert words["none"] == "none are taken: 0 of 9 distinct pairs of none (quota 1)"
    # Six digits would say of both that they are the same.
    assert words["below"].startswith(f"its draw {CHANCE!r} is above {just_below!r}, the greatest that is taken")


def test_the_first_draw_of_all_can_be_the_only_one_that_is_taken():
    (one,) = mixing.cuts(manifest({"a": cut(3, 1, 0.0)}, a={"quota": 1}), UID)
    assert not one["taken"] and "above 0.000000" in mixing.decision(one)


def test_only_sources_that_leave_it_out_are_named():
    said = mixing.unseen(
        manifest({"a": cut(10, 1, CHANCE / 2), "b": cut(10, 9, 1.0)}, a={"weight": 0.5, "quota": 3}, b={"quota": 9}),
        UID,
    )
    assert "over_quota: of a: its draw" in said and "1 of 10 distinct pairs of a (weight 0.5 and quota 3)" in said
    assert "of b" not in said
    assert mixing.unseen(manifest({}), UID) == "" and mixing.cuts(manifest({}), UID) == []
