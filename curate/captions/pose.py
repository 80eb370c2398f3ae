"""A person's pose in words and as a heat map, from keypoints (FocusCLIP, Khan et al. 2024).

Keypoints come from a pose estimator of yours, as a Parquet file: `image_uid`, and `keypoints`, a list for each person of 17 times x, y and
visibility in COCO's order, x and y in pixels of the image as fetched, visibility above 0 where the joint is labelled. The person with the most
visible joints is described, limb by limb; the heat map is 1 at that person's joints.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from curate.captions.contract import REASON, Columns, Computing, Kind
from curate.captions.keypoints import described, heat_map, main_person, visible_limbs
from curate.captions.settings import Captioner
from curate.weights import ModelError


class Pose(Captioner, frozen=True, kw_only=True, tag="pose"):
    """A description of a pose, and its heat map; see `curate.captions.pose`."""

    keypoints: str
    """Parquet file or folder of files; where it is sorted by image_uid, little of it is read for each part."""
    heat_side: Annotated[int, msgspec.Meta(ge=4, le=128)] = 28
    """Cells of a side of the heat map."""
    sigma: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.05
    """Of the Gaussian around a joint, in sides of the image."""
    fewest_joints: Annotated[int, msgspec.Meta(ge=1, le=17)] = 5
    """A person with fewer visible ones is not described."""


class Describer(Computing):
    """`schemas/captions/pose.yaml`."""

    reads = ("image_uid", "width", "height")

    def __init__(self, settings: Pose):
        self._settings = settings
        self._table = ds.dataset(settings.keypoints, format="parquet")

    def score(self, rows: pa.Table, images: Columns, image_of: np.ndarray) -> Columns:
        known = self._known(rows["image_uid"].combine_chunks())
        answers = []
        for uid, width, height in zip(*(rows[name].to_pylist() for name in self.reads), strict=True):
            answers.append(self._answer(known.get(uid), width, height))
        columns = {
            "captions": pa.list_(pa.string()),
            "limbs": pa.list_(pa.string()),
            "joints": pa.list_(pa.list_(pa.float64())),
            "heat": pa.list_(pa.int32()),
        }
        found: Columns = {
            name: pa.array([answer.get(name) for answer in answers], kind) for name, kind in columns.items()
        }
        reasons = np.full(len(answers), None, object)
        reasons[:] = [answer.get(REASON) for answer in answers]
        return found | {REASON: reasons}

    def _known(self, uids: pa.Array) -> dict[str, Any]:
        if not len(uids):
            return {}
        near = (pc.field("image_uid") >= pc.min(uids)) & (pc.field("image_uid") <= pc.max(uids))
        table = self._table.to_table(
            columns=["image_uid", "keypoints"], filter=near & pc.field("image_uid").isin(uids.unique())
        )
        return dict(zip(table["image_uid"].to_pylist(), table["keypoints"].to_pylist(), strict=True))

    def _answer(self, people: Any, width: int, height: int) -> dict[str, Any]:
        joints = main_person(people, width, height)
        if joints is None:
            return {REASON: "no_person"}
        if isinstance(joints, str):
            return {REASON: joints}
        seen = joints[:, 2] > 0
        if seen.sum() < self._settings.fewest_joints:
            return {REASON: "few_joints"}
        limbs = visible_limbs(joints)
        return {
            "captions": [described(joints)],
            "limbs": limbs,
            "joints": joints.tolist(),
            "heat": (255 * heat_map(joints, self._settings.heat_side, self._settings.sigma))
            .round()
            .astype(int)
            .ravel()
            .tolist(),
        }


def identity(settings: Pose) -> dict[str, Any]:
    """Raises ModelError when the keypoints are not there. What is in them stands for them, not their place."""
    path = Path(settings.keypoints)
    files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    if not files or not all(file.is_file() for file in files):
        raise ModelError(
            f"{settings.name}: keypoints are looked for in {path}, and no Parquet file is there; a pose estimator of yours makes it"
        )
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as data:
            digest.update(hashlib.file_digest(data, "sha256").digest())
    return {name: value for name, value in settings.identity().items() if name != "keypoints"} | {
        "keypoints": digest.hexdigest()
    }


def load(settings: Pose, device: str, identity: Mapping[str, Any]) -> Describer:
    return Describer(settings)


KIND = Kind(needs="rows", load=load, identity=identity)
