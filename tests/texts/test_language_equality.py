"""The answers are those of the module fasttext, bit for bit: real, random and hostile texts, and every kind of classifier."""

import random
from itertools import pairwise
from pathlib import Path

import numba
import numpy as np
import pyarrow as pa
import pytest

from curate.texts.fasttext.predict import _kept
from curate.texts.language import identify, locate

fasttext = pytest.importorskip("fasttext")

MODEL = "lid.176.ftz"
SCRIPTS = (
    (0x20, 0x7E), (0xA0, 0x17F), (0x370, 0x3FF), (0x400, 0x4FF), (0x530, 0x58F), (0x590, 0x5FF), (0x600, 0x6FF), (0x900, 0x97F),
    (0x980, 0x9FF), (0xA00, 0xA7F), (0xB80, 0xBFF), (0xC00, 0xC7F), (0xD00, 0xD7F), (0xD80, 0xDFF), (0xE00, 0xE7F), (0xE80, 0xEFF),
    (0xF00, 0xFFF), (0x1000, 0x109F), (0x10A0, 0x10FF), (0x1200, 0x137F), (0x13A0, 0x13FF), (0x1780, 0x17FF), (0x1800, 0x18AF),
    (0x1E00, 0x1EFF), (0x2000, 0x206F), (0x3040, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0x1F300, 0x1F64F), (0x10330, 0x1034A),
)  # fmt: skip
BLANKS = (" ", " ", " ", " ", "\t", "\n", "\r", "\0", "\v", "\f", "  ", "\u00a0", "\u2028", "\u3000", "\x85", "\x1c")
ODD = (
    "</s>",
    "</s",
    "</s>x",
    "<",
    ">",
    "__label__en",
    "__label__",
    "__label__zz",
    "__label_",
    "x__label__en",
    "\u200d",
    "\ufeff",
    "é",
    "e\u0301",
)


@pytest.fixture(scope="module")
def dictionary():
    return fasttext.load_model(locate(MODEL)).get_words()


def oracle(texts, path):
    """fastText's own first answers: labels and probabilities."""
    model = fasttext.load_model(locate(path))
    names, scores = model.predict([text.replace("\n", " ") for text in texts])
    first = [answer[0].removeprefix("__label__") if answer else None for answer in names]
    return first, np.array([score[0] if len(score) else 0 for score in scores], dtype=np.float32)


def agree(texts, path, column=None):
    found = identify(pa.array(texts, pa.string()) if column is None else column, path)
    expected, scores = oracle(texts, path)
    names = [found.labels[code] if code >= 0 else None for code in found.codes]
    wrong = [(text, ours, theirs) for text, ours, theirs in zip(texts, names, expected, strict=True) if ours != theirs]
    assert not wrong, wrong[:3]
    # Bits, not values: -0 is not 0 here. fastText may pass 1 by a hair.
    assert (found.scores.view(np.int32) == np.minimum(scores, np.float32(1)).view(np.int32)).all()
    return found


def word(chance, script):
    return "".join(chr(chance.randint(*script)) for _ in range(chance.choice((1, 1, 2, 3, 4, 5, 6, 8, 12))))


def sentence(chance, dictionary):
    """Words of a script or two, of the dictionary, joined and broken, with odd ones between them."""
    scripts, parts = chance.choices(SCRIPTS, k=2), []
    for _ in range(chance.choice((1, 2, 3, 4, 6, 9, 14))):
        kind = chance.random()
        if kind < 0.5:
            parts.append(chance.choice(dictionary) + chance.choice(("", "", "", "s", "\u0301", ".", ">")))
        elif kind < 0.95:
            parts.append(word(chance, chance.choice(scripts)))
        else:
            parts.append(chance.choice(ODD))
        parts.append(chance.choice(BLANKS))
    return "".join(parts)


@pytest.mark.parametrize("seed", range(4))
def test_random_sentences_of_all_scripts(dictionary, seed):
    chance = random.Random(seed)
    agree([sentence(chance, dictionary) for _ in range(20_000)], MODEL)


def test_random_bytes_and_random_characters():
    chance = np.random.default_rng(5)
    lengths, data = chance.integers(0, 60, 10_000), chance.integers(0, 256, 10_000 * 60, dtype=np.uint8).tobytes()
    agree([data[60 * row : 60 * row + size].decode(errors="replace") for row, size in enumerate(lengths)], MODEL)
    agree([data[60 * row : 60 * row + size].decode("latin-1") for row, size in enumerate(lengths)], MODEL)


def test_bytes_that_are_no_utf8():
    """fasttext takes str alone, which holds none: this is that nothing breaks, and neighbours keep their answers."""
    column = pa.array([b"\x80\x80abc", b"\xff\xfe\xfd", b"das ist ein Haus", b"\xe3\x81"], pa.binary())
    found = identify(column, MODEL)
    assert found.labels[found.codes[2]] == "de" and (found.codes >= 0).all()


def test_empty_blank_odd_and_single(dictionary):
    singles = [chr(code) for code in range(0x20000) if not 0xD800 <= code < 0xE000][:0x3100]
    agree(
        [
            "",
            *BLANKS,
            *ODD,
            *(f"{odd} {odd}" for odd in ODD),
            *(f"a{blank}b" for blank in BLANKS),
            *singles,
            *dictionary,
        ],
        MODEL,
    )


def test_long_texts_and_long_words(dictionary):
    chance = random.Random(11)
    texts = [" ".join(sentence(chance, dictionary) for _ in range(400))[:16_384] for _ in range(20)]
    texts += [
        "".join(word(chance, script) for _ in range(60)).replace(" ", "")[:300] for script in SCRIPTS for _ in range(10)
    ]
    texts += [
        "x" * 100_000,
        "\u3042" * 50_000,
        "der " * 30_000,
        "a b " * 30_000,
        " " * 100_000,
        "\u3042b" * 257,
        "z" * 256,
        "z" * 257,
    ]
    agree(texts, MODEL)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
def test_slices_chunks_and_widths(dictionary, kind):
    chance = random.Random(12)
    texts = [sentence(chance, dictionary) for _ in range(500)]
    column = pa.array(texts, kind)
    whole = agree(texts, MODEL, column)
    for start, end in ((0, 1), (3, 3), (499, 500), (7, 263)):
        part = identify(column[start:end], MODEL)
        assert (part.codes == whole.codes[start:end]).all() and (part.scores == whole.scores[start:end]).all()
    chunks = pa.chunked_array([column[start:end] for start, end in pairwise((0, 0, 100, 101, 350, 500))])
    assert (identify(chunks, MODEL).scores == whole.scores).all() and (
        identify(chunks, MODEL).codes == whole.codes
    ).all()


KINDS = {
    "softmax": {"loss": "softmax", "dim": 10},
    "softmax-bigrams": {"loss": "softmax", "dim": 16, "wordNgrams": 2, "bucket": 5000},
    "softmax-characters": {"loss": "softmax", "dim": 5, "minn": 1, "maxn": 3, "bucket": 999},
    "hs": {"loss": "hs", "dim": 20},
    "hs-all": {"loss": "hs", "dim": 33, "minn": 2, "maxn": 5, "wordNgrams": 3, "bucket": 20_000},
    "ova": {"loss": "ova", "dim": 16, "minn": 3, "maxn": 3, "bucket": 100},
    "ns": {"loss": "ns", "dim": 64, "wordNgrams": 5, "bucket": 1},
    "unsure": {"loss": "hs", "dim": 4, "epoch": 0, "minn": 2, "maxn": 3, "bucket": 50},
}
SHRUNK = {
    "plain": {},
    "norms": {"qnorm": True, "dsub": 3},
    "pruned": {"cutoff": 600, "qnorm": True, "dsub": 2},
    "no-ngrams": {"cutoff": 300, "dsub": 4},
    "outputs": {"qout": True, "qnorm": True},
}


@pytest.fixture(scope="module")
def lines(tmp_path_factory, dictionary):
    """A text for training: 300 labels, which words tell apart only in part."""
    chance, path = random.Random(3), tmp_path_factory.mktemp("lines") / "train.txt"
    rows = []
    for row in range(3000):
        label = min(int(chance.expovariate(0.015)), 299) if row >= 300 else row
        rows.append(
            f"__label__l{label} "
            + " ".join(dictionary[1 + (7 * label + chance.randrange(25)) % 3000] for _ in range(6))
        )
    path.write_text("\n".join(rows) + "\n")
    return path


def trained(lines, **settings):
    return fasttext.train_supervised(
        str(lines), **{"epoch": 3, "lr": 0.5, "thread": 1, "verbose": 0, "minCount": 1, **settings}
    )


def probes(lines, dictionary):
    chance = random.Random(4)
    seen = [line.split(" ", 1)[1] for line in lines.read_text().splitlines()[:1500]]
    return seen + [sentence(chance, dictionary) for _ in range(1500)] + ["", "</s>", "no such words", *ODD, "x" * 1000]


@pytest.mark.parametrize("kind", KINDS)
def test_plain_classifiers(lines, dictionary, tmp_path, kind):
    path = str(tmp_path / "model.bin")
    trained(lines, **KINDS[kind]).save_model(path)
    found = agree(probes(lines, dictionary), path)
    assert len(found.labels) == 300


@pytest.mark.parametrize("loss", ["ova", "ns"])
def test_products_beyond_the_ends_of_the_table_of_sigmoids(dictionary, tmp_path, loss):
    """Two labels learnt by heart: fastText's table ends at 8, and beyond it a probability is 0 or 1."""
    lines, path = tmp_path / "sure.txt", str(tmp_path / "sure.bin")
    lines.write_text(
        "".join(f"__label__l{row % 2} {dictionary[row % 2 + 1]} {dictionary[10 + row]}\n" for row in range(200))
    )
    trained(lines, loss=loss, dim=16, lr=1.0, epoch=60).save_model(path)
    one, two = (f"{word} " for word in dictionary[1:3])
    texts = [one * n + two * m + other for n in range(8) for m in range(8) for other in dictionary[:60]]
    found = agree(texts, path)
    assert min((found.scores == 1).mean(), (found.scores < 1).mean()) > 0.02


@pytest.mark.parametrize("shrunk", SHRUNK)
@pytest.mark.parametrize("loss", ["hs", "softmax"])
def test_quantised_classifiers(lines, dictionary, tmp_path, loss, shrunk):
    path, model = (
        str(tmp_path / "model.ftz"),
        trained(lines, loss=loss, dim=16, minn=2, maxn=3, bucket=3000, wordNgrams=2),
    )
    model.quantize(**SHRUNK[shrunk])
    model.save_model(path)
    agree(probes(lines, dictionary), path)


@pytest.mark.parametrize("loss", ["hs", "softmax", "ova"])
@pytest.mark.parametrize("rate", [0.0, 1e-5, 1e-3])
def test_ties(dictionary, tmp_path, loss, rate):
    """Nothing learnt, or next to nothing: labels are as likely but for roundings, and the order of the search decides."""
    lines, path = tmp_path / "ties.txt", str(tmp_path / "ties.bin")
    lines.write_text("".join(f"__label__l{label} {dictionary[label + 1]}\n" for label in range(256)))
    trained(lines, loss=loss, dim=8, lr=rate, epoch=30).save_model(path)
    agree(dictionary[:2000], path)


def test_kernels_run_where_no_compiled_code_can_be_kept():
    """As in a package that cannot be written by a user without a home; a function without a file is in the same place."""
    names = {}
    exec("def double(x):\n    return 2 * x", names)
    with pytest.raises(RuntimeError, match="no locator"):
        numba.njit(cache=True)(names["double"])
    assert _kept(names["double"])(21) == 42


def test_version_11_had_no_character_ngrams(dictionary, tmp_path):
    data, path = Path(locate(MODEL)).read_bytes(), tmp_path / "old.ftz"
    path.write_bytes(data[:4] + b"\x0b" + data[5:])
    chance = random.Random(13)
    agree([sentence(chance, dictionary) for _ in range(1000)], str(path))


def test_one_label(tmp_path, dictionary):
    lines = tmp_path / "one.txt"
    lines.write_text("__label__only a b c\n" * 20)
    trained(lines, loss="hs", dim=8).save_model(str(tmp_path / "one.bin"))
    agree(["a", "b c", "", "nothing"], str(tmp_path / "one.bin"))
