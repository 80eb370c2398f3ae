"""Embeddings beside the parts, as DataComp's tools read them."""

import io

import numpy as np
import pyarrow as pa
import pytest

from curate.recipe import Model
from curate.scores.npz import Npz, key_of


@pytest.mark.parametrize(
    ("model", "key"),
    [
        ("ViT-B-32", "b32"),
        ("ViT-L-14", "l14"),
        ("ViT-B-32-quickgelu", "b32"),
        ("ViT-bigG-14", "bigg14"),
        ("local-dir:x", "my_clip"),
    ],
)
def test_keys_are_those_of_datacomp(model, key):
    assert key_of(Model(name="my-clip", model=model)) == key


def vectors(rows) -> pa.FixedSizeListArray:
    """A column of width 2; under its nulls lie numbers, as any may."""
    numbers = np.array([row or [7, 7] for row in rows], np.float16)
    return pa.FixedSizeListArray.from_arrays(pa.array(numbers.ravel()), 2, mask=pa.array([row is None for row in rows]))


def written(*tables, rows) -> bytes:
    out = io.BytesIO()
    with Npz(out, "b32", rows) as file:
        for table in tables:
            file.add(table)
    return out.getvalue()


def test_rows_are_those_of_the_part_and_nan_where_nothing_was_scored():
    half = [np.float16(x) for x in (0.25, 0.5, 0.75, 1)]
    whole = pa.table(
        {"image_embedding": vectors([half[:2], None, half[2:]]), "text_embedding": vectors([half[2:], None, half[:2]])}
    )
    data = written(whole.slice(0, 1), whole.slice(1), rows=3)
    found = np.load(io.BytesIO(data))
    assert sorted(found) == ["b32_img", "b32_txt"] and found["b32_img"].dtype == np.float16
    np.testing.assert_array_equal(found["b32_img"], np.array([[0.25, 0.5], [np.nan] * 2, [0.75, 1]], np.float16))
    np.testing.assert_array_equal(found["b32_txt"], np.array([[0.75, 1], [np.nan] * 2, [0.25, 0.5]], np.float16))
    assert data == written(whole.slice(0, 1), whole.slice(1), rows=3)


def test_a_part_without_rows_has_arrays_without_rows():
    assert np.load(io.BytesIO(written(rows=0)))["b32_txt"].shape == (0, 0)
