"""Captions of a label, from templates (UniMed, Khattak et al. 2024): as many as there are templates, one of which training draws.

Where somebody wrote a report or a caption of the image, that says more than its class: such pairs keep their text.
"""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
import numpy as np
import pyarrow as pa

from curate.captions.contract import REASON, Columns, Computing, Kind
from curate.captions.settings import Captioner
from curate.settings import Name
from curate.texts import templates


class Labels(Captioner, frozen=True, kw_only=True, tag="labels"):
    """Captions by templates; see `curate.captions.labels`."""

    of: Name | None = None
    """The scorer whose column `label` names the class (`pseudo_labels`); by default the pair's text is the label."""
    templates: Annotated[tuple[str, ...], msgspec.Meta(max_length=1000)] = ()
    """With `{label}`; by default the ten that labelled sets are read with."""
    names: dict[str, str] = {}
    """Readable names of labels; by default underscores become blanks."""
    except_kinds: tuple[str, ...] = ("report", "caption")
    """Kinds of text that say more than a label."""

    def __post_init__(self) -> None:
        super().__post_init__()
        templates.check(self.templates)

    def scores(self) -> tuple[str, ...]:
        return () if self.of is None else (self.of,)


class Labeller(Computing):
    """`schemas/captions/labels.yaml`."""

    reads = ("text", "kind")

    def __init__(self, settings: Labels):
        self._settings = settings
        self.tables = {f"scores/{name}": ("label",) for name in settings.scores()}

    def score(self, rows: pa.Table, images: Columns, image_of: np.ndarray) -> Columns:
        column = next((f"{table}.label" for table in self.tables), "text")
        labels, kinds = rows[column].to_pylist(), rows["kind"].to_pylist()
        made: dict[str, list[str]] = {}
        said, reasons = [], np.full(len(rows), None, object)
        for place, (label, kind) in enumerate(zip(labels, kinds, strict=True)):
            if kind in self._settings.except_kinds:
                reasons[place] = "has_report"
            elif not label or not label.strip("_ "):
                reasons[place] = "no_label"
            elif label not in made:
                made[label] = templates.captions([label], self._settings.templates, self._settings.names)
            said.append(None if reasons[place] else made[label])
        return {
            "label": pa.array(labels, pa.string()),
            "captions": pa.array(said, pa.list_(pa.string())),
            REASON: reasons,
        }


def identity(settings: Labels) -> dict[str, Any]:
    return settings.identity() | {"templates": list(settings.templates or templates.TEMPLATES)}


def load(settings: Labels, device: str, identity: Mapping[str, Any]) -> Labeller:
    return Labeller(settings)


KIND = Kind(needs="rows", load=load, identity=identity)
