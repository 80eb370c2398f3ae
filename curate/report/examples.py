"""Pairs to look at: kept, dropped by each reason and rule, failed by each status, and clusters of duplicates."""

from collections import defaultdict
from functools import partial
from itertools import islice
from typing import Any

import pyarrow.compute as pc

from curate import schema
from curate.images import generations
from curate.images.archive import images_of
from curate.ledger import DROPPED, FAILED, KEPT
from curate.recipe import Recipe
from curate.report.rows import CLUSTER, SHOWN, TIED, groups, sampled
from curate.report.sampling import Smallest
from curate.report.trace import trace
from curate.report.untrusted import clip, link, thumbnail
from curate.selection.selecting import BASELINE_ONLY, FIRST
from curate.store import Dataset
from curate.uid import part_of

LOOKUP = 20_000
"""Images at the beginning of a part's tar among which a thumbnail is looked for."""
PART = 4
"""For each reason and rule there are this part of the thumbnails of kept pairs."""
FAILURES = 2
"""Failed rows shown for each status."""
CLUSTERS, MEMBERS = 2, 5
"""Clusters shown for each way of being a duplicate, and of each so many members at most."""
ROAD = ("matches", "balanced", "duplicates", "selection")
Way = tuple[str, str, str | None]
"""Dataset, reason and, of select, rule."""


def examples(workdir: str, recipe: Recipe) -> tuple[dict[str, Any] | None, dict[str, str]]:
    """The examples as plain values, and thumbnails as {image_uid: data URI}; (None, {}) until images are there."""
    images = generations.newest(workdir)
    if images.manifest() is None:
        return None, {}
    sample = sampled(workdir, recipe, max(recipe.report.examples, MEMBERS))
    kept = [_shown(row) for row in sample.taken(KEPT)[: recipe.report.examples]]
    dropped = _dropped(workdir, sample, -(-recipe.report.examples // PART))
    failed = [_shown(row) for group in groups(sample, FAILED) for row in sample.taken(group)[:FAILURES]]
    clusters = _clusters(sample, images)
    shown = [kept, *(group["rows"] for group in dropped), *(cluster["members"] for cluster in clusters)]
    thumbnails = _thumbnails(images, {row["image_uid"] for rows in shown for row in rows})
    return {"kept": kept, "dropped": dropped, "failed": failed, "clusters": clusters}, thumbnails


def _dropped(workdir: str, sample: Smallest, most: int) -> list[dict[str, Any]]:
    """For each way of being dropped at most `most` rows, in the order of the road, of select in the order of its rules.

    Rows of the baseline alone stand under the reason that match or balance gave.
    """
    found: dict[Way, list[dict[str, Any]]] = defaultdict(list)
    for group in groups(sample, DROPPED):
        found[group[1:]] += sample.taken(group)
    alone = found.pop(("selection", BASELINE_ONLY, None), [])
    traced = trace(workdir, [row["uid"] for row in alone], None)
    for row in alone:
        ends = ((name, traced[row["uid"]].reason(name)) for name in ROAD[:2])
        dataset, reason = next(((name, why) for name, why in ends if why), ("selection", BASELINE_ONLY))
        found[dataset, reason, None].append(row)
    manifest = Dataset(workdir, "selection").manifest()
    rules = [rule["label"] for rule in manifest.extra.get("rules", [])] if manifest else []
    ways = sorted(found, key=partial(_place, rules=rules)) if most else []
    return [_group(workdir, way, [_shown(row, way[1]) for row in found[way][:most]]) for way in ways]


def _place(way: Way, rules: list[str]) -> tuple[int, int, str, str]:
    dataset, reason, rule = way
    return ROAD.index(dataset), rules.index(rule) if rule in rules else len(rules), rule or "", reason


def _group(workdir: str, way: Way, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """One way of being dropped: which it is, how many rows of the whole pool went it, and the ones to look at."""
    dataset, reason, rule = way
    ledger = Dataset(workdir, dataset).require().ledger
    dropped = ledger.notes.get(f"{FIRST}{rule}", ledger.dropped.get(reason, 0))
    about = schema.load(dataset).dropped.get(reason, "")
    return {"dataset": dataset, "reason": reason, "rule": rule, "about": about, "dropped": dropped, "rows": rows}


def _shown(row: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    """What the page says of a row: clipped, and with a link only where the URL may be one."""
    score = row.get("score")
    return {
        "uid": row["uid"], "image_uid": row["image_uid"], "url": clip(row["url"], 300), "link": link(row["url"]),
        "text": clip(row["text"]), "characters": len(row["text"]), "width": row["width"], "height": row["height"],
        "reason": reason or row.get("images_reason"), "score": None if score is None else round(score, 4),
        "value": row.get("value"), "http_status": row["http_status"], "error": clip(row["error"], 120) if row["error"] else None,
    }  # fmt: skip


def _clusters(sample: Smallest, images: Dataset) -> list[dict[str, Any]]:
    """A few clusters for each way of being a duplicate: the representative first, then members of the sample."""
    clusters = []
    for how in TIED:
        mine = [group for group in groups(sample, CLUSTER) if group[1] == how]
        # The larger ones say more; equal ones in the order of their representative's uid, which is a hash.
        mine.sort(key=lambda group: (-len({row["image_uid"] for row in sample.taken(group)}), group[2]))
        for group in mine[:CLUSTERS]:
            members = {row["image_uid"]: _shown(row, how) for row in sample.taken(group)[:MEMBERS]}
            head = _row_of(images, group[2])
            first = [] if head is None else [_shown(head, "representative")]
            clusters.append({"how": how, "representative": group[2], "members": first + list(members.values())})
    return clusters


def _row_of(images: Dataset, image_uid: str) -> dict[str, Any] | None:
    """The first row of an image. Its part follows from its uid."""
    names = images.part_names()
    with images.open_part(names[part_of(image_uid, len(names))]) as file:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns=list(SHOWN))
            rows = table.filter(pc.equal(table["image_uid"], image_uid)).slice(0, 1).to_pylist()
            if rows:
                return rows[0]
    return None


def _thumbnails(images: Dataset, wanted: set[str]) -> dict[str, str]:
    names = images.part_names()
    by_part: dict[str, set[str]] = defaultdict(set)
    for uid in wanted:
        by_part[names[part_of(uid, len(names))]].add(uid)
    found = {}
    for part, missing in sorted(by_part.items()):
        for uid, data in islice(images_of(images, part), LOOKUP):
            if uid in missing:
                missing.discard(uid)
                picture = thumbnail(data)
                if picture is not None:
                    found[uid] = picture
            if not missing:
                break
    return found
