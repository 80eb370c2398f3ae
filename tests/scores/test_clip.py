import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from curate import models, schema
from curate.facts import passing
from curate.facts.passing import Desk, Pictures
from curate.ledger import of_states
from curate.recipe import Model
from curate.scores.clip import ClipScorer
from curate.store import StoreError


@pytest.fixture(scope="module")
def clip(small_run):
    return models.load(Model(name="small", model=f"local-dir:{small_run}", batch_size=3), "cpu")


def score(rows, pictures, model) -> pa.Table:
    with ThreadPoolExecutor(2) as pool:
        return next(passing.score(rows, [Desk(ClipScorer(model), True, schema.load("scores/clip"))], pictures, pool))


def rows(*given) -> pa.Table:
    """(image, text, state) as rows of `images`."""
    return pa.table(
        {
            "uid": [f"{i:032x}" for i in range(len(given))],
            "image_uid": [row[0] for row in given],
            "text": [row[1] for row in given],
            "state": [row[2] for row in given],
        }
    )


@pytest.fixture
def batch():
    return rows(
        ("a", "red disc", "kept"), ("a", "a red disc", "kept"), ("b", "blue line", "failed"), ("c", "", "kept"),
        ("d", "not a picture", "kept"), ("d", "nor this", "kept"), ("e", "black cross", "kept"), ("f", "gone", "gone"),
    )  # fmt: skip


@pytest.fixture
def archive(make_picture):
    return [
        ("a", make_picture("disc", "red")), ("c", make_picture("line", "green")), ("d", b"<html>not a picture</html>"),
        ("e", make_picture("cross", "black")),
    ]  # fmt: skip


def by_hand(clip, data: bytes, text: str) -> float:
    """Cosine from raw, not normalised outputs of the model."""
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    with torch.no_grad():
        one = clip.model.encode_image(clip.preprocess(picture)[None])[0].double().numpy()
        other = clip.model.encode_text(clip.tokenizer([text]))[0].double().numpy()
    return float(one @ other / np.sqrt((one @ one) * (other @ other)))


def test_similarity_is_the_cosine_and_rows_keep_their_order(clip, batch, archive):
    found = score(batch, Pictures(iter(archive)), clip)
    assert found["uid"].equals(batch["uid"])
    data, texts, similarity = dict(archive), batch["text"].to_pylist(), found["similarity_score"].to_pylist()
    for row, image in ((0, "a"), (1, "a"), (3, "c"), (6, "e")):
        assert similarity[row] == pytest.approx(by_hand(clip, data[image], texts[row]), abs=1e-5)
    assert len({round(s, 4) for s in similarity if s is not None}) == 4


def test_every_row_has_a_state_and_the_account_balances(clip, batch, archive):
    found = score(batch, Pictures(iter(archive)), clip)
    assert found["state"].to_pylist() == ["kept", "kept", "gone", "kept", "failed", "failed", "kept", "gone"]
    ledger = of_states(found["state"], found["reason"])
    assert (ledger.rows_in, ledger.kept, ledger.failed) == (6, 4, {"undecodable": 2})


def test_embeddings_are_unit_float16_null_where_there_is_none_and_survive_parquet(clip, batch, archive):
    held = schema.load("scores/clip").hold(score(batch, Pictures(iter(archive)), clip))
    file = io.BytesIO()
    pq.write_table(held, file)
    again = pq.read_table(file)
    assert again.equals(held) and again.schema.field("image_embedding").type == pa.list_(pa.float16(), 16)
    for column in ("image_embedding", "text_embedding"):
        values = again[column].to_pylist()
        assert [value is None for value in values] == [False, False, True, False, True, True, False, True]
        lengths = [np.linalg.norm(np.array(value, np.float64)) for value in values if value is not None]
        assert lengths == pytest.approx([1] * 4, abs=2e-3)
    images = again["image_embedding"].to_pylist()
    assert images[0] == images[1] != images[3]


def test_an_image_goes_on_in_the_next_row_group(clip, batch, archive):
    whole = score(batch, Pictures(iter(archive)), clip)
    pictures = Pictures(iter(archive))
    pieces = [score(batch.slice(start, 1), pictures, clip) for start in range(len(batch))]
    for column in ("state", "reason"):
        assert pa.concat_tables(pieces)[column].to_pylist() == whole[column].to_pylist()
    one, other = (t["similarity_score"].to_numpy(zero_copy_only=False) for t in (pa.concat_tables(pieces), whole))
    assert one == pytest.approx(other, abs=1e-5, nan_ok=True)


def test_answers_that_are_not_finite_fail(clip, batch, archive, monkeypatch):
    with torch.no_grad():
        before = clip.model.token_embedding.weight.clone()
        clip.model.token_embedding.weight[clip.tokenizer(["black"])[0, 1]] = float("inf")
    found = score(batch, Pictures(iter(archive)), clip)
    with torch.no_grad():
        clip.model.token_embedding.weight.copy_(before)
    assert found["reason"].to_pylist() == [None, None, None, None, "undecodable", "undecodable", "not_finite", None]
    assert found["text_embedding"].to_pylist()[6] is None


def test_nothing_alive_is_nothing_scored(clip):
    found = score(rows(("a", "t", "failed"), ("b", "t", "gone")), Pictures(iter([])), clip)
    assert found["state"].to_pylist() == ["gone", "gone"] and found["similarity_score"].null_count == 2
    assert schema.load("scores/clip").hold(found).num_rows == 2


def test_an_image_that_is_not_in_the_archive_is_damage_not_a_status(clip, batch, archive):
    with pytest.raises(StoreError, match="image c is not in its part's tar"):
        score(batch, Pictures(iter(archive[:1])), clip)
