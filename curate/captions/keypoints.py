"""Joints of a person: which limbs are visible, how they are held in words, and where they are as a heat map. Geometry alone."""

from collections.abc import Sequence
from typing import Any

import numpy as np

JOINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow",
    "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip
"""COCO's keypoints, in its order. Left and right are the person's own."""
PLACE = {name: place for place, name in enumerate(JOINTS)}
LIMBS = {
    "head": ("nose", "left_eye", "right_eye", "left_ear", "right_ear"),
    "torso": ("left_shoulder", "right_shoulder", "left_hip", "right_hip"),
    "left arm": ("left_shoulder", "left_elbow", "left_wrist"),
    "right arm": ("right_shoulder", "right_elbow", "right_wrist"),
    "left leg": ("left_hip", "left_knee", "left_ankle"),
    "right leg": ("right_hip", "right_knee", "right_ankle"),
}
"""Groups of joints that a description speaks of."""
STRAIGHT, BENT = 155.0, 100.0
"""Degrees at an elbow or knee from which it is straight, and below which it is sharply bent."""


def main_person(people: Any, width: int, height: int) -> np.ndarray | str | None:
    """The joints of the person with the most visible ones, (17, 3): x and y relative to the image, visibility 0 or 1.

    None where there is nobody; `bad_keypoints` for what is no list of 17 joints. A joint outside the image is not visible.
    """
    found = []
    for person in people or ():
        values = np.asarray(person, np.float64).ravel() if _numbers(person) else np.zeros(0)
        if values.size != 3 * len(JOINTS):
            return "bad_keypoints"
        joints = values.reshape(-1, 3) / (width, height, 1)
        inside = np.isfinite(joints).all(axis=1) & (joints[:, :2] >= 0).all(axis=1) & (joints[:, :2] <= 1).all(axis=1)
        visible = inside & (joints[:, 2] > 0)
        found.append(np.where(visible[:, None], joints, 0) * (1, 1, 0) + np.where(visible[:, None], (0, 0, 1.0), 0))
    return max(found, key=lambda joints: joints[:, 2].sum()) if found else None


def _numbers(person: Any) -> bool:
    flat = [value for item in person or () for value in (item if isinstance(item, list) else [item])]
    return all(isinstance(value, int | float) for value in flat)


def visible_limbs(joints: np.ndarray) -> list[str]:
    """Groups of LIMBS of which some joint of their own is visible: of an arm or leg not the shoulder or hip alone."""
    found = []
    for name, parts in LIMBS.items():
        own = parts[1:] if name.endswith(("arm", "leg")) else parts
        if any(joints[PLACE[joint], 2] > 0 for joint in own):
            found.append(name)
    return found


def described(joints: np.ndarray) -> str:
    """A sentence that says of every visible limb group how it is held; by geometry alone, in words of this file."""
    said = []
    for limb in visible_limbs(joints):
        side = limb.split()[0]
        if limb == "head":
            said.append(f"the head {_head(joints)}")
        elif limb == "torso":
            said.append(f"the torso {_torso(joints)}")
        elif limb.endswith("arm"):
            said.append(f"the {limb} {_arm(joints, side)}")
        else:
            said.append(f"the {limb} {_leg(joints, side)}")
    whole = ", ".join(said[:-1]) + (" and " if len(said) > 1 else "") + said[-1]
    return f"A person with {whole}."


def _point(joints: np.ndarray, name: str) -> np.ndarray | None:
    """x and y of a visible joint, y downwards."""
    joint = joints[PLACE[name]]
    return joint[:2] if joint[2] > 0 else None


def _angle(joints: np.ndarray, names: Sequence[str]) -> float | None:
    """Degrees at the middle one of three joints; None where one is not visible."""
    points = [_point(joints, name) for name in names]
    if any(point is None for point in points):
        return None
    one, middle, other = (np.asarray(point) for point in points)
    a, b = one - middle, other - middle
    length = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.degrees(np.arccos(np.clip(a @ b / length, -1, 1)))) if length else None


def _bend(angle: float | None, joint: str) -> str:
    if angle is None:
        return ""
    return " and straight" if angle >= STRAIGHT else f" and {'sharply bent' if angle < BENT else 'bent'} at the {joint}"


def _head(joints: np.ndarray) -> str:
    left, right = (
        _point(joints, f"{side}_ear") is not None or _point(joints, f"{side}_eye") is not None
        for side in ("left", "right")
    )
    if _point(joints, "nose") is None:
        return "seen from behind or the side"
    return "facing the viewer" if left and right else f"turned to the {'left' if right else 'right'}"


def _torso(joints: np.ndarray) -> str:
    ends = [[_point(joints, f"{side}_{part}") for side in ("left", "right")] for part in ("shoulder", "hip")]
    tops = [
        np.mean([point for point in end if point is not None], axis=0)
        for end in ends
        if any(p is not None for p in end)
    ]
    if len(tops) < 2:
        return "partly seen"
    across, down = np.abs(tops[1] - tops[0])
    return "upright" if down > 2 * across else "lying" if across > 2 * down else "leaning"


def _arm(joints: np.ndarray, side: str) -> str:
    shoulder, elbow, wrist = (_point(joints, f"{side}_{part}") for part in ("shoulder", "elbow", "wrist"))
    bend = _bend(_angle(joints, [f"{side}_{part}" for part in ("shoulder", "elbow", "wrist")]), "elbow")
    hand = wrist if wrist is not None else elbow
    if shoulder is None or hand is None:
        return f"partly seen{bend}"
    rise, reach = shoulder[1] - hand[1], abs(hand[0] - shoulder[0])
    where = (
        "raised above the shoulder"
        if rise > 0.5 * reach and rise > 0.02
        else "hanging down"
        if -rise > reach
        else "stretched to the side"
    )
    return where + bend


def _leg(joints: np.ndarray, side: str) -> str:
    hip, knee, ankle = (_point(joints, f"{side}_{part}") for part in ("hip", "knee", "ankle"))
    bend = _bend(_angle(joints, [f"{side}_{part}" for part in ("hip", "knee", "ankle")]), "knee")
    foot = ankle if ankle is not None else knee
    if hip is None or foot is None:
        return f"partly seen{bend}"
    fall, reach = foot[1] - hip[1], abs(foot[0] - hip[0])
    where = "standing on the ground" if fall > 2 * reach else "raised" if fall < 0 else "set apart"
    return where + bend


def heat_map(joints: np.ndarray, side: int, sigma: float) -> np.ndarray:
    """The greatest of a Gaussian around each visible joint, float64, (side, side), 1 at the cell of each joint.

    `joints`: (17, 3), x and y relative to the image; `sigma`: in sides of the image.
    """
    centres = (np.arange(side) + 0.5) / side
    points = joints[joints[:, 2] > 0, :2]
    # To the middle of its cell, so that the peak is in a cell and not between four.
    points = (np.minimum(np.floor(points * side), side - 1) + 0.5) / side
    if not len(points):
        return np.zeros((side, side))
    x = (centres[None, :] - points[:, 0, None]) ** 2
    y = (centres[None, :] - points[:, 1, None]) ** 2
    return np.exp(-(y[:, :, None] + x[:, None, :]) / (2 * sigma**2)).max(axis=0)
