"""What dedup found: pairs by kind of duplicate, and how evaluation images were found in the pool."""

from collections import Counter
from typing import Any

import pyarrow.compute as pc

from curate import schema
from curate.store import Dataset

SETTINGS = ("phash_distance", "semantic_epsilon", "semantic_rule", "semantic_model", "keep", "evaluation_cosine")
"""What of the stage's settings the page tells beside the counts."""


def duplicates(workdir: str) -> dict[str, Any] | None:
    """The account as plain values; None until dedup has run. Streams one column of the dataset."""
    data = Dataset(workdir, "duplicates")
    manifest = data.manifest()
    if manifest is None:
        return None
    ways: Counter[str] = Counter()
    for table in data.batches(["found_by"]):
        for count in pc.value_counts(table["found_by"].drop_null()).to_pylist():
            ways[count["values"]] += count["counts"]
    dropped, settings = manifest.ledger.dropped, manifest.plan.settings
    return {
        "kinds": [
            {"reason": reason, "pairs": dropped.get(reason, 0), "about": about}
            for reason, about in schema.load("duplicates").dropped.items()
        ],
        "pairs": manifest.ledger.rows_in,
        "evaluation": [{"way": way, "pairs": pairs} for way, pairs in sorted(ways.items())],
        "calibration": manifest.extra.get("evaluation"),
        "settings": {name: settings[name] for name in SETTINGS if settings.get(name) not in (None, "")},
    }
