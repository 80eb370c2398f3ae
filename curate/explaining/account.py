"""The account of one pair: what each stage found out about it and decided, as plain values."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from curate import CurateError, schema
from curate.explaining import finding, mixing, selecting
from curate.explaining.balancing import Explainer
from curate.explaining.finding import Place, Row
from curate.images import generations
from curate.ledger import KEPT
from curate.pools.addresses import absolute
from curate.recipe import Recipe
from curate.report.untrusted import clip
from curate.store import Dataset
from curate.uid import image_uid

EXAMPLE = "0f3c9a61d2b84e5790ab13cd56ef2478"
IMAGE_FACTS = ("http_status", "error", "nbytes", "sha256", "width", "height", "format", "phash", "curated", "baseline")
HEAD = ("stage", "dataset", "state", "reason", "why")
"""What is said of every stage; the rest are its facts."""
NOT_RUN, ABSENT = "not run yet", "absent"
"""Besides the states of the ledger: the stage has not run; it has, and never saw the row."""
LEFT_OUT = "image_missing or undecodable"
"""Of what select kept, the index of the shards has no row for these."""


class ExplainError(CurateError, ValueError):
    """What was asked for cannot be found, or is no uid or URL; the message says where it was looked for."""


@dataclass(frozen=True)
class Workdir:
    """Where to look, and what is known about how it was made."""

    root: str
    recipe: Recipe | None = None
    every_rule: bool = False
    """Whether it is asked for what each rule of the selection says, not the first alone."""

    def dataset(self, name: str) -> Dataset:
        return generations.current(self.root, name)

    def scored(self) -> list[str]:
        """Names of the models and scorers with finished scores."""
        scores = self.dataset("scores")
        found = scores.fs.glob(scores.path("*/_manifest.json"))
        return sorted(path.split("/")[-2] for path in found)


# -- what was asked for


def places(workdir: Workdir, uid: str | None, url: str | None) -> list[Place]:
    """The rows of `pairs` that are meant: a pair by its uid, or all texts of an image by its URL or image_uid.

    With both, the pair among the image's texts: no column of uids is read, which takes long where there are billions.
    Raises ExplainError when there are none, or when it is no uid or URL.
    """
    if uid is None and url is None:
        raise ExplainError(f"give the uid of a pair or image, such as {EXAMPLE}, or the URL of an image: --url URL")
    pairs, name = workdir.dataset("pairs"), None if uid is None else checked(uid)
    if url is None:
        assert name is not None
        found = finding.of_image(pairs, name)
        if not found and (place := finding.of_uid(pairs, name)):
            found = [place]
        where = f"no pair or image {name} is in {pairs.root}"
    elif name is None:
        found = next((rows for image in images(url) if (rows := finding.of_image(pairs, image))), [])
        where = f"no text of an image at {clip(url)} is in {pairs.root}"
    else:
        found = next(([place] for image in images(url) if (place := finding.of_pair(pairs, image, name))), [])
        where = f"the image at {clip(url)} has no text with the uid {name} in {pairs.root}"
    if not found:
        manifest = pairs.require()
        raise ExplainError(
            f"{where} ({len(manifest.parts)} parts, {sum(part.rows for part in manifest.parts):,} rows). What extract left out "
            f"(repeated, over_quota, empty_text, bad_url and the like) is in no dataset; uids are 32 hex digits, such as {EXAMPLE}"
            + (f". {said}" if name is not None and (said := mixing.unseen(manifest, name)) else "")
        )
    return found


def checked(uid: str) -> str:
    """The uid in lower case. Raises ExplainError when it is none."""
    name = uid.strip().lower()
    if not re.fullmatch("[0-9a-f]{32}", name):
        raise ExplainError(
            f"{clip(uid, 60)!r} ({len(uid)} characters) is no uid: those are 32 hex digits, such as {EXAMPLE}. They stand in the "
            "column uid of every dataset; an image's texts are found by its address: --url URL"
        )
    return name


def images(url: str) -> list[str]:
    """The uids that an image at this URL may have: of the URL as extract writes it, and as it stands."""
    try:
        return [image_uid(absolute(url.strip(), None)), image_uid(url)]
    except ValueError as error:
        raise ExplainError(
            f"{clip(url)!r} is no absolute URL; write it with its scheme, as in https://a.example/b.jpg"
        ) from error


# -- the account


def explain(workdir: Workdir, place: Place) -> dict[str, Any]:
    """Everything about the pair at a place of `pairs`: provenance, a list of stages in the order of the road, and where it ended."""
    pairs = workdir.dataset("pairs")
    pair = finding.read(pairs, place, list(schema.load("pairs").columns))
    stages = list(_texts(workdir, place, pair["uid"]))
    stages += _images(workdir, pair["uid"], pair["image_uid"])
    texts = len(finding.of_image(pairs, pair["image_uid"]))
    at = {"part": place.part, "row_group": place.group, "row": place.row}
    mix = next((cut for cut in mixing.cuts(pairs.require(), pair["uid"]) if cut["source"] == pair["source"]), None)
    return pair | {"texts_of_image": texts, "place": at, "mix": mix, "stages": stages, "end": end(stages)}


def end(stages: list[Row]) -> dict[str, str]:
    """The stage that took the pair out of the curated set and why, the first of them; or the last stage that kept it."""
    road = [stage for stage in stages if stage["dataset"] != "shards-raw"]
    out = next((stage for stage in road if stage["reason"] is not None), None)
    if out is not None:
        return {"stage": out["stage"], "outcome": out["reason"]}
    kept = [stage for stage in road if stage["state"] == KEPT]
    if kept and kept[-1]["dataset"] == "selection" and road[-1]["state"] == ABSENT:
        return {"stage": "shard", "outcome": LEFT_OUT}
    return {"stage": kept[-1]["stage"] if kept else "extract", "outcome": KEPT}


def _texts(workdir: Workdir, place: Place, uid: str) -> Iterator[Row]:
    """match and balance."""
    matched = _side(workdir, "matches", place, uid, ("lang", "lang_score", "entries"))
    balanced = _side(workdir, "balanced", place, uid, ("keep_probability", "draw", "baseline"))
    if matched["state"] == KEPT:
        explainer = Explainer(workdir.root, workdir.recipe)
        matched["entries"] = explainer.entries(matched["lang"], matched["entries"])
        balanced |= explainer.decision(matched["entries"], balanced)
    else:
        matched["entries"] = []
    yield matched
    yield balanced


def _images(workdir: Workdir, uid: str, image: str) -> Iterator[Row]:
    """Everything from download on."""
    images = workdir.dataset("images")
    place = finding.of_pair(images, image, uid) if images.manifest() is not None else None
    yield _side(workdir, "images", place, uid, IMAGE_FACTS)
    for name in [f"scores/{scorer}" for scorer in workdir.scored()] or ["scores"]:
        yield _side(workdir, name, place, uid, facts(workdir.dataset(name).schema))
    duplicates = _side(workdir, "duplicates", place, uid, ("representative", "found_by"))
    representative = duplicates.get("representative")
    if representative:
        stands = finding.of_image(images, representative)
        duplicates["representative_url"] = finding.read(images, stands[0], ["url"])["url"] if stands else None
        duplicates["is_representative"] = representative == image
    yield duplicates
    yield _rule(workdir, place, _side(workdir, "selection", place, uid, ("rule", "rules")))
    for name in ("shards", "shards-raw"):
        yield _shard(workdir, name, uid, image)


def facts(known: schema.Schema) -> tuple[str, ...]:
    """The columns of a side table that people can read."""
    return tuple(
        n for n, c in known.columns.items() if n not in ("uid", "state", "reason") and c.type != schema.EMBEDDING
    )


def _side(workdir: Workdir, name: str, place: Place | None, uid: str, columns: tuple[str, ...]) -> Row:
    """What a dataset with states says of the pair: stage, dataset, state, reason, why, and the columns asked for."""
    data = workdir.dataset(name)
    known = data.schema
    head = {"stage": known.stage, "dataset": name, "reason": None, "why": None}
    if data.manifest() is None:
        return head | {"state": NOT_RUN}
    if place is None:
        return head | {"state": ABSENT}
    row = finding.read(data, place, ["uid", "state", "reason", *columns], uid)
    why = (known.dropped | known.failed).get(row["reason"])
    return head | {"state": row["state"], "reason": row["reason"], "why": why} | {name: row[name] for name in columns}


def _rule(workdir: Workdir, place: Place | None, selected: Row) -> Row:
    """With the rule that dropped the pair and its limits, and what each of the rules says of it."""
    if place is not None and selected["state"] not in (NOT_RUN, ABSENT):
        selected["limits"] = selecting.limits_of(workdir.dataset("selection"), selected["rule"])
        selected["every_rule"] = selecting.every_rule(workdir.root, place, selected) if workdir.every_rule else []
    return selected


def _shard(workdir: Workdir, name: str, uid: str, image: str) -> Row:
    """Which shard has the pair, under which key, and whether its text is the sample's."""
    data = workdir.dataset(name)
    head: Row = {"stage": "shard", "dataset": name, "reason": None, "why": None}
    if data.manifest() is None:
        return head | {"state": NOT_RUN}
    for place in finding.in_order(data, image):
        row = finding.read(data, place, ["uid", "uids", "key", "shard"])
        if uid == row["uid"]:
            return head | {"state": KEPT, "shard": row["shard"], "key": row["key"], "text_is_the_samples": True}
        if uid in row["uids"]:
            other = {"shard": row["shard"], "key": row["key"], "text_is_the_samples": False, "text_chosen": row["uid"]}
            return head | {"state": KEPT} | other
    return head | {"state": ABSENT}
