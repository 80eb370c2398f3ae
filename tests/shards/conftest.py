"""What tests of shards share."""

import pytest

from curate.store import Dataset
from curate.uid import image_uid
from tests.shards.small_sets import MATCHED, pair, plan_of, write_part


@pytest.fixture
def workdir(tmp_path):
    """Six images with two matched texts each and one that the baseline alone drew, in two parts; the last image's bytes
    are missing from its archive. `matches` and `balanced` also have rows that were not fetched, and other row groups."""
    urls = sorted((f"http://a.example/{i}.png" for i in range(6)), key=image_uid)
    for index, chunk in enumerate([urls[:2], urls[2:]]):
        rows = sorted(
            (pair(url, text) for url in chunk for text in (*MATCHED, "only drawn", "not fetched", "nor this")),
            key=lambda row: (row["image_uid"], row["uid"]),
        )
        write_part(tmp_path, f"part-{index:05d}", rows, missing=urls[-1])
    for name in ("images", "selection", "duplicates", "scores/clip", "matches", "balanced"):
        data = Dataset(str(tmp_path), name)
        data.commit(plan_of(name))
    return str(tmp_path)
