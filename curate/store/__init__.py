"""Datasets on disk or object store: parts, an atomic commit for each, a manifest last, and resume.

A dataset is a folder:

    _plan.json          written first: what is about to be made (stage, settings, inputs, part names)
    part-00000.parquet  a part; its ledger and the plan's hash stand in its footer, so one file is one commit
    _manifest.json      written last; only what it lists exists

Killed anywhere, the same command goes on with the parts that are missing and ends in the same bytes. Nothing in here
holds a rank, a worker count or a time.
"""

from curate.hints import nearest
from curate.store.dataset import MANIFEST, PLAN, Dataset, StoreError
from curate.store.plan import Manifest, Part, Plan, difference, part_name
from curate.store.writing import ROW_GROUP, PartWriter

__all__ = [
    "MANIFEST",
    "PLAN",
    "ROW_GROUP",
    "Dataset",
    "Manifest",
    "Part",
    "PartWriter",
    "Plan",
    "StoreError",
    "difference",
    "nearest",
    "part_name",
]
