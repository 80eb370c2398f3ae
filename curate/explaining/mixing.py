"""What a mix of sources decided by chance: a pair's draw against the cut of its source.

A pair that was not drawn is in no dataset. Its draw is a hash of its uid all the same, so that it can be said what became of the pair
if a source had it.
"""

from typing import Any

from curate.draw import draw
from curate.store import Manifest

Cut = dict[str, Any]


def cuts(pairs: Manifest, uid: str) -> list[Cut]:
    """For each source with a weight or quota, in the order of their names: `source`, `limits` (as the recipe has them), pairs `found`
    and `kept`, the greatest draw that was taken (`threshold`; None where all were or none), the pair's `draw`, and whether it is
    `taken`. Draws are in [0, 1). Empty where nothing was mixed.
    """
    mix, settings = pairs.extra.get("mix", {}), pairs.plan.settings
    if not mix:
        return []
    chance = float(draw(settings["seed"], "mix", [uid])[0])
    limits = {source["name"]: source for source in settings["sources"]}
    return [
        {
            "source": name, "limits": {key: limits[name][key] for key in ("weight", "quota") if limits[name].get(key) is not None},
            "draw": chance, "taken": cut["kept"] == cut["found"] or (cut["threshold"] is not None and chance <= cut["threshold"]), **cut,
        }
        for name, cut in sorted(mix.items())
    ]  # fmt: skip


def decision(cut: Cut) -> str:
    """A cut in words, as the fate of the pair if it is one of the source's."""
    limits = " and ".join(f"{name} {value:g}" for name, value in cut["limits"].items())
    share = f"{cut['kept']:,} of {cut['found']:,} distinct pairs of {cut['source']} ({limits})"
    if cut["threshold"] is None:
        return f"{'all' if cut['taken'] else 'none'} are taken: {share}"
    # Six digits tell most draws apart, and no rounding may turn one that is left out into one that is taken.
    told = [f"{number:.6f}" for number in (cut["draw"], cut["threshold"])]
    if told[0] == told[1]:
        told = [repr(cut["draw"]), repr(cut["threshold"])]
    return f"its draw {told[0]} is {'not ' if cut['taken'] else ''}above {told[1]}, the greatest that is taken: {share}"


def unseen(pairs: Manifest, uid: str) -> str:
    """What to say of a uid that is in no part of `pairs`: of which sources it would be `over_quota`; empty where of none."""
    left = [cut for cut in cuts(pairs, uid) if not cut["taken"]]
    if not left:
        return ""
    return "If it is the uid of a pair of one of these sources, it is over_quota: " + "; ".join(
        f"of {cut['source']}: {decision(cut)}" for cut in left
    )
