"""Model files that are cut short, hostile or of another kind: a RecipeError that says what is wrong, never a crash."""

import random
import resource
import struct
from pathlib import Path

import pyarrow as pa
import pytest

from curate.recipe import RecipeError
from curate.texts.language import identify, locate

TEXTS = pa.array(["Das Haus steht auf einem Hügel.", "", "wörd " * 50, "\u3042" * 700])
SETTINGS, SIZES, ENTRIES = 8, 8 + 12 * 4 + 8, 8 + 12 * 4 + 8 + 12 + 16
"""Where in a file they begin."""


@pytest.fixture(scope="module")
def model():
    return Path(locate("lid.176.ftz")).read_bytes()


def answers(folder, data):
    path = folder / f"{random.getrandbits(64):x}.ftz"
    path.write_bytes(data)
    try:
        return identify(TEXTS, str(path))
    finally:
        path.unlink()


def changed(data, at, kind, value):
    return data[:at] + struct.pack(kind, value) + data[at + struct.calcsize(kind) :]


def after_entries(data):
    """Where the pruned n-grams begin, and how many there are."""
    size, pruned, at = struct.unpack_from("<i", data, SIZES)[0], struct.unpack_from("<q", data, SIZES + 20)[0], ENTRIES
    for _ in range(size):
        at = data.index(b"\0", at) + 10
    return at, pruned


def test_a_file_cut_short_anywhere_is_refused(model, tmp_path):
    inner, pruned = after_entries(model)
    inputs = inner + 8 * pruned
    ends = [
        0,
        1,
        7,
        8,
        30,
        SIZES - 1,
        SIZES,
        ENTRIES - 1,
        ENTRIES,
        ENTRIES + 3,
        inner - 1,
        inner,
        inner + 4,
        inputs,
        inputs + 1,
        inputs + 20,
    ]
    for end in [*ends, len(model) // 2, len(model) - 12_000, len(model) - 1]:
        with pytest.raises(RecipeError, match=r"match\.language_model: .*\.ftz is not a fastText model"):
            answers(tmp_path, model[:end])
    assert (answers(tmp_path, model).codes >= 0).all()


WRONG = {
    "magic number 1": (0, "<i", 1),
    "version 13": (4, "<i", 13),
    "dimension 17": (SETTINGS, "<i", 17),
    "n-grams of 1000000 words": (SETTINGS + 5 * 4, "<i", 1_000_000),
    "loss 9": (SETTINGS + 6 * 4, "<i", 9),
    "word vectors": (SETTINGS + 7 * 4, "<i", 2),
    "in 0 buckets": (SETTINGS + 8 * 4, "<i", 0),
    "in -5 buckets": (SETTINGS + 8 * 4, "<i", -5),
    "in 2147483647 buckets; limit": (SETTINGS + 8 * 4, "<i", 2**31 - 1),
    "outside their 1000 buckets": (SETTINGS + 8 * 4, "<i", 1000),
    "-1 to 4 characters": (SETTINGS + 9 * 4, "<i", -1),
    "2 to 99999 characters": (SETTINGS + 10 * 4, "<i", 99_999),
    "dictionary of 2147483647": (SIZES, "<i", 2**31 - 1),
    "-1 words": (SIZES + 4, "<i", -1),
    "and 100000 labels": (SIZES + 8, "<i", 100_000),
    "8000000000000000000 bytes|values need": (SIZES + 20, "<q", 10**18),
}


@pytest.mark.parametrize("says", WRONG)
def test_what_contradicts_itself_is_refused(model, tmp_path, says):
    with pytest.raises(RecipeError, match=says):
        answers(tmp_path, changed(model, *WRONG[says]))


def test_sizes_of_matrices_are_not_believed(model, tmp_path):
    at, pruned = after_entries(model)
    inputs = at + 8 * pruned
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for place, kind, value in (
        (2, "<q", 2**40),
        (10, "<q", 2**40),
        (2, "<q", -1),
        (18, "<i", 2**31 - 1),
        (2, "<q", 2**62),
    ):
        with pytest.raises(RecipeError, match="inputs"):
            answers(tmp_path, changed(model, inputs + place, kind, value))
    with pytest.raises(RecipeError, match="outside"):
        answers(tmp_path, changed(model, at + 4, "<i", 2**30))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024


def test_values_that_are_no_numbers_are_refused(model, tmp_path):
    for value in (float("nan"), float("inf"), 1e30):
        with pytest.raises(RecipeError, match="outputs: values"):
            answers(tmp_path, changed(model, len(model) - 4, "<f", value))


def test_a_label_that_is_no_text_is_refused(model, tmp_path):
    at = model.index(b"__label__en\0")
    with pytest.raises(RecipeError, match="UTF-8"):
        answers(tmp_path, changed(model, at + 9, "<H", 0xFFFF))


@pytest.mark.parametrize("seed", range(24))
def test_random_damage_gives_an_error_or_answers(model, tmp_path, seed):
    """Most of it where sizes stand. An answer from a damaged matrix is as good as any, but it is one of the labels."""
    chance, (at, pruned) = random.Random(seed), after_entries(model)
    places = (
        range(ENTRIES + 200),
        range(at - 200, at + 100),
        range(at + 8 * pruned - 8, at + 8 * pruned + 80),
        range(len(model)),
    )
    data = bytearray(model)
    for _ in range(chance.choice((1, 1, 2, 5, 40))):
        data[chance.choice(chance.choice(places))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
    try:
        found = answers(tmp_path, bytes(data))
    except RecipeError as error:
        assert str(tmp_path) in str(error)
    else:
        assert len(found.codes) == len(TEXTS) and found.codes.max() < len(found.labels)
