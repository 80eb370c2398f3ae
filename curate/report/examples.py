"""Pairs to look at: kept, dropped by each reason, failed by each status, and clusters of duplicates.

Drawn by hash from the first row group of at most PARTS parts. Parts and rows are ordered by the hash of the image URL,
so these rows are a random sample of the pool, and their pixels stand at the beginning of a part's tars.
"""

from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curate.draw import draw
from curate.images import generations
from curate.images.archive import images_of
from curate.ledger import DROPPED, FAILED, KEPT
from curate.parts import Inputs, zipped
from curate.recipe import Recipe
from curate.report.sampling import Smallest
from curate.report.trace import trace
from curate.report.untrusted import clip, link, thumbnail
from curate.store import Dataset
from curate.uid import part_of

PARTS = 8
LOOKUP = 20_000
"""Images at the beginning of a part's tar among which a thumbnail is looked for."""
FAILURES = 2
"""Failed rows shown for each status."""
CLUSTERS = 2
"""Clusters shown for each way of being a duplicate."""
MEMBERS = 5
TIED = ("exact", "perceptual", "semantic")
SHOWN = ("uid", "image_uid", "url", "text", "width", "height", "http_status", "error")


def examples(workdir: str, recipe: Recipe) -> tuple[dict[str, Any] | None, dict[str, str]]:
    """The examples as plain values, and thumbnails as {image_uid: data URI}; (None, {}) until images are there."""
    images = generations.newest(workdir)
    if images.manifest() is None:
        return None, {}
    sample = _sample(workdir, recipe)
    kept = [_shown(row) for row in sample.taken(KEPT)[: recipe.report.examples]]
    dropped = _spread(_reasoned(workdir, sample), recipe.report.examples)
    failed = [_shown(row) for group in _groups(sample, FAILED) for row in sample.taken(group)[:FAILURES]]
    clusters = _clusters(sample, images)
    wanted = [row for row in kept + dropped if row] + [row for cluster in clusters for row in cluster["members"]]
    thumbnails = _thumbnails(images, {row["image_uid"] for row in wanted})
    return {"kept": kept, "dropped": dropped, "failed": failed, "clusters": clusters}, thumbnails


def _sample(workdir: str, recipe: Recipe) -> Smallest:
    """Rows with the smallest draws in the groups `kept`, (dropped, reason), (failed, status) and (cluster, reason, id)."""
    sample = Smallest(max(recipe.report.examples, MEMBERS))
    for tables in _sampled_rows(workdir, recipe):
        rows = tables["images"].select(SHOWN)
        for name in ("images", "duplicates", "selection"):
            if name in tables:
                rows = rows.append_column(f"{name}_state", tables[name]["state"])
                rows = rows.append_column(f"{name}_reason", tables[name]["reason"])
        if "scores" in tables:
            rows = rows.append_column("score", tables["scores"]["similarity_score"])
        if "duplicates" in tables:
            rows = rows.append_column("representative", tables["duplicates"]["representative"])
        _offer(sample, rows, recipe.seed)
    return sample


def _sampled_rows(workdir: str, recipe: Recipe) -> Iterator[dict[str, pa.Table]]:
    """The aligned tables of the sampled row groups, those that are there."""
    names = {"images": "images", "duplicates": "duplicates", "selection": "selection"}
    if recipe.score.models:
        names["scores"] = f"scores/{recipe.score.models[0].name}"
    columns: dict[str, list[str]] = {
        "images": [*SHOWN, "state", "reason"], "duplicates": ["state", "reason", "representative"],
        "selection": ["state", "reason"], "scores": ["similarity_score"],
    }  # fmt: skip
    found = {key: generations.current(workdir, name) for key, name in names.items()}
    here = {key: data for key, data in found.items() if data.manifest()}
    inputs: Inputs = {key: (data, columns[key]) for key, data in here.items()}
    parts = here["images"].part_names()
    drawn = sorted(zip(draw(recipe.seed, "report parts", parts), parts, strict=True))[:PARTS]
    for _, part in drawn:
        yield from islice(zipped(part, inputs), 1)


def _offer(sample: Smallest, rows: pa.Table, seed: int) -> None:
    draws = draw(seed, "report", rows["uid"].to_pylist())
    for row, chance in zip(rows.to_pylist(), draws, strict=True):
        for group in _group(row):
            sample.offer(group, [chance], [row["uid"]], [row])


def _group(row: dict[str, Any]) -> Iterator[Any]:
    if row["images_state"] == FAILED:
        yield FAILED, row["images_reason"]
    if row["images_state"] != KEPT:
        return
    reason = next((row[key] for key in ("duplicates_reason", "selection_reason") if row.get(key)), None)
    # A pair under two uids is dropped for its own image: no cluster to look at.
    if row.get("duplicates_reason") in TIED and row["representative"] != row["image_uid"]:
        yield "cluster", row["duplicates_reason"], row["representative"]
    if reason is not None:
        yield DROPPED, reason
    elif row.get("selection_state", KEPT) == KEPT:
        yield KEPT


def _groups(sample: Smallest, first: str) -> list[Any]:
    return sorted(group for group in sample.rows if isinstance(group, tuple) and group[0] == first)


def _reasoned(workdir: str, sample: Smallest) -> dict[str, list[dict[str, Any]]]:
    """Dropped rows by reason. Rows of the baseline alone get the reason that match or balance gave."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for group in _groups(sample, DROPPED):
        for row in sample.taken(group):
            found[group[1]].append(row)
    alone = found.pop("baseline_only", [])
    traced = trace(workdir, [row["uid"] for row in alone], None)
    for row in alone:
        reasons = [traced[row["uid"]].reason(dataset) for dataset in ("matches", "balanced")]
        found[next((reason for reason in reasons if reason), "baseline_only")].append(row)
    return found


def _spread(by_reason: dict[str, list[dict[str, Any]]], most: int) -> list[dict[str, Any]]:
    """Round after round one row of each reason, reasons in alphabetical order, until there are `most`."""
    rounds = (
        _shown(rows[turn], reason)
        for turn in range(most)
        for reason, rows in sorted(by_reason.items())
        if turn < len(rows)
    )
    return sorted(islice(rounds, most), key=lambda row: row["reason"])


def _shown(row: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    """What the page says of a row: clipped, and with a link only where the URL may be one."""
    score = row.get("score")
    return {
        "uid": row["uid"], "image_uid": row["image_uid"], "url": clip(row["url"], 300), "link": link(row["url"]),
        "text": clip(row["text"]), "characters": len(row["text"]), "width": row["width"], "height": row["height"],
        "reason": reason or row.get("images_reason"), "score": None if score is None else round(score, 4),
        "http_status": row["http_status"], "error": clip(row["error"], 120) if row["error"] else None,
    }  # fmt: skip


def _clusters(sample: Smallest, images: Dataset) -> list[dict[str, Any]]:
    """A few clusters for each way of being a duplicate: the representative first, then members of the sample."""
    clusters = []
    for how in TIED:
        groups = [group for group in _groups(sample, "cluster") if group[1] == how]
        # The larger ones say more; equal ones in the order of their representative's uid, which is a hash.
        groups.sort(key=lambda group: (-len({row["image_uid"] for row in sample.taken(group)}), group[2]))
        for group in groups[:CLUSTERS]:
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
