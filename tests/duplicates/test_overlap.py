"""Images of evaluation sets: known by bytes and by hash; what is missing is named."""

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate.duplicates import hashes, overlap
from curate.images.held_out import EvaluationError
from curate.images.inspecting import perceptual_hash
from curate.recipe import EvaluationSet


def evaluation(folder, files: dict[str, bytes], table="set.csv", names=None) -> EvaluationSet:
    names = names or sorted(files)
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    if table.endswith(".parquet"):
        pq.write_table(pa.table({"path": names, "label": names}), folder / table)
    else:
        (folder / table).write_text("path,label,text\n" + "".join(f'"{n}",x,"a, b"\n' for n in names))
    return EvaluationSet(name="held", table=str(folder / table), images=str(folder))


@pytest.mark.parametrize("table", ["set.csv", "set.parquet"])
def test_images_are_known_exactly_and_perceptually(tmp_path, picture_bytes, table):
    jpeg, png = picture_bytes("JPEG", 1, quality=90), picture_bytes("PNG", 2)
    held = overlap.held([evaluation(tmp_path, {"a/1.jpg": jpeg, "2.png": png, "x.png": b"broken"}, table)], 10**6)
    again = picture_bytes("JPEG", 1, quality=60)
    other = picture_bytes("JPEG", 9)
    assert hashlib.sha256(b"broken").hexdigest() in held.sha256 and len(held.phash) == 2 and held.undecodable == 1
    bits = hashes.parse([perceptual_hash(data, 10**6) for data in (jpeg, again, other)])
    names = [hashlib.sha256(data).hexdigest() for data in (jpeg, again, other)]
    assert held.found(names, bits, 4).tolist() == ["sha256", "phash", None]
    assert held.found(names, bits, -1).tolist() == ["sha256", None, None]
    assert overlap.Held().found(names, bits, 4).tolist() == [None] * 3
    assert held.found([], np.zeros(0, np.uint64), 4).tolist() == []


def test_the_fingerprint_follows_the_images(tmp_path, picture_bytes):
    one = evaluation(tmp_path, {"1.png": picture_bytes("PNG", 1)})
    before = overlap.fingerprint(one)
    assert before == overlap.fingerprint(one)
    (tmp_path / "1.png").write_bytes(picture_bytes("PNG", 2))
    assert overlap.fingerprint(one) != before


def test_what_is_not_there_is_named(tmp_path):
    one = evaluation(tmp_path, {}, names=["lost.png"])
    with pytest.raises(EvaluationError, match=r"evaluation set held: .*lost.png, which .*set.csv names, is not there"):
        overlap.held([one], 10**6)
    (tmp_path / "set.csv").write_text("file,label\nx,y\n")
    with pytest.raises(EvaluationError, match=r"set.csv lacks path; it has \['file', 'label'\]"):
        overlap.fingerprint(one)
