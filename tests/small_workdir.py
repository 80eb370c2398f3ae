"""A small workdir with every dataset, written through the store: real images, hostile captions, duplicates, faults."""

import hashlib
import io
import json
import random
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, ImageDraw

from curate import recipe as recipes
from curate import schema
from curate.images.archive import ArchiveWriter, tar_name
from curate.ledger import Ledger
from curate.store import Dataset, Plan, part_name
from curate.uid import image_uid, pair_uid, part_of

HOSTILE = (
    "<script>alert(1)</script>", '"onerror=alert(1) x="', "nul \x00 inside", "turned \u202egnp.exe\u202c round",
    "x" * 10_000, "<img src=x onerror=alert(1)>", "{{ 7 * 7 }}", "قطة على السجادة",
)  # fmt: skip
PARTS = 2
BROKEN_FILES = {"quarantine": {"files": 1, "places": 1, "examples": [
    {"file": "broken.warc.gz", "offset": 4711, "error": "ends inside a record <b>"}]}}  # fmt: skip
ENTRIES = ("cat", "dog", "tree", "boat", "owl")


def picture(seed: int, size=(64, 48)) -> bytes:
    chance = random.Random(seed)
    image = Image.new("RGB", size, tuple(chance.randrange(256) for _ in range(3)))
    pen = ImageDraw.Draw(image)
    for _ in range(6):
        a, b = sorted(chance.randrange(size[0]) for _ in range(2))
        pen.rectangle(
            (a, 4, b + 4, size[1] // 2 + chance.randrange(20)), fill=tuple(chance.randrange(256) for _ in range(3))
        )
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


@dataclass
class Row:
    """A pair of the fixture and what each stage says of it; None: kept."""

    text: str
    url: str
    data: bytes | None = None
    match: str | None = None
    balance: str | None = None
    download: tuple[str, str] | None = None
    duplicate: tuple[str, str] | None = None
    """(reason, URL of the representative)."""
    select: str | None = None
    score: float = 0.3
    entries: list[int] = field(default_factory=lambda: [0])
    uid: str = ""
    image: str = ""

    def __post_init__(self):
        self.uid, self.image = pair_uid(self.url, self.text), image_uid(self.url)

    def states(self) -> dict[str, tuple[str, str | None]]:
        """(state, reason) by dataset, as the stages would leave them when everything is drawn for the baseline."""
        states = {"matches": ("dropped", self.match) if self.match else ("kept", None)}
        gone = self.match is not None
        states["balanced"] = ("gone", None) if gone else ("dropped", self.balance) if self.balance else ("kept", None)
        alone = gone or self.balance is not None
        states["images"] = self.download or ("kept", None)
        lost = self.download is not None
        states["scores/clip"] = ("gone", None) if lost else ("kept", None)
        twice = self.duplicate is not None
        states["duplicates"] = ("gone", None) if lost else ("dropped", self.duplicate[0]) if twice else ("kept", None)
        reason = "baseline_only" if alone else self.select
        states["selection"] = ("gone", None) if lost or twice else ("dropped", reason) if reason else ("kept", None)
        return states


def pool_rows() -> list[Row]:
    host = "http://photos.example"
    rows = [
        Row(f"a {ENTRIES[i % 5]} number {i}", f"{host}/good/{i}.png", picture(i), entries=[i % 5], score=0.2 + i / 100)
        for i in range(20)
    ]
    # A second text of two images: one that is selected too, and one that matches nothing.
    rows += [Row("another dog", f"{host}/good/1.png", picture(1), entries=[1])]
    rows += [Row("qqq", f"{host}/good/2.png", picture(2), match="no_entry", entries=[])]
    rows += [Row(text, f"{host}/hostile/{i}.png", picture(100 + i)) for i, text in enumerate(HOSTILE)]
    rows += [
        Row("IMG_1.jpg", f"{host}/junk/{i}.png", picture(200 + i), select="file_name", score=0.05) for i in range(3)
    ]
    rows += [Row("a cat asleep", f"{host}/head/{i}.png", picture(300 + i), balance="balanced_out") for i in range(6)]
    rows += [Row("zzz", f"{host}/none/{i}.png", picture(400 + i), match="no_entry", entries=[]) for i in range(4)]
    for i in range(3):
        again = ("exact", f"{host}/dup/0-0.png") if i else None
        rows += [Row("a dog twice", f"{host}/dup/0-{i}.png", picture(500), entries=[1], duplicate=again)]
    for i, c in enumerate("ab"):
        again = ("perceptual", f"{host}/near/0-a.png") if i else None
        rows += [Row("a boat again", f"{host}/near/0-{c}.png", picture(600 + i), entries=[3], duplicate=again)]
    rows += [
        Row(
            f"a {ENTRIES[i % 5]} number {i}",
            f"{host}/copy/{i}.png",
            picture(800 + i),
            match="no_entry",
            entries=[],
            score=0.4,
        )
        for i in range(6)
    ]
    rows += [
        Row("a lost owl", f"{host}/broken/gone-{i}.png", download=("failed", "http_4xx"), entries=[4]) for i in range(2)
    ]
    rows += [Row("a kept out owl", "http://optout.example/0.png", download=("dropped", "opted_out"), entries=[4])]
    rows += [
        Row("a wrong tree", f"{host}/mismatch/{i}.png", picture(700 + i), entries=[2], score=0.05) for i in range(3)
    ]
    return sorted(rows, key=lambda row: (row.image, row.uid))


FAULTS = [
    ("http://photos.example/junk/0.png", "IMG_1.jpg", "junk-alt", "good/1.png"),
    *[(f"http://photos.example/dup/0-{i}.png", "a dog twice", "exact-dup", "good/1.png") for i in range(3)],
    *[(f"http://photos.example/near/0-{c}.png", "a boat again", "near-dup", "good/3.png") for c in "ab"],
    *[(f"http://photos.example/broken/gone-{i}.png", "a lost owl", "broken", "") for i in range(2)],
    ("http://optout.example/0.png#top", "a kept out owl", "opt-out", "good/4.png"),
    *[(f"http://photos.example/mismatch/{i}.png", "a wrong tree", "mismatch", "good/2.png") for i in range(3)],
    ("http://photos.example/pixel.gif", "", "tiny", ""),
    # Copies with the right caption (the pool's own pair has the same), which mismatched ones are compared with.
    *[
        (f"http://photos.example/copy/{i}.png", f"a {ENTRIES[i % 5]} number {i}", "copy", f"good/{i}.png")
        for i in range(6)
    ],
    # A copy with the caption of another picture is no right one.
    ("http://photos.example/hostile/0.png", "a cat number 0", "copy", "good/9.png"),
]


@pytest.fixture(scope="session")
def small_rows():
    return pool_rows()


@pytest.fixture(scope="session")
def small_recipe(tmp_path_factory):
    import pyarrow.parquet as pq

    folder = tmp_path_factory.mktemp("inputs")
    names = ("url", "alt", "noise", "of")
    pq.write_table(pa.table({n: [fault[i] for fault in FAULTS] for i, n in enumerate(names)}), folder / "truth.parquet")
    (folder / "metadata" / "en").mkdir(parents=True)
    texts = {"id": range(len(ENTRIES)), "text": ENTRIES, "source": ["words"] * 5, "statistic": [1.0] * 5}
    entries = pa.table({name: list(values) for name, values in texts.items()}, schema=schema.load("entries").arrow())
    pq.write_table(entries, folder / "metadata" / "en" / "entries.parquet")
    return recipes.build({
        "name": "small", "extract": {"inputs": ["*.warc.gz"], "parts": PARTS}, "balance": {"t": 7, "baseline_fraction": 1.0},
        "match": {"metadata": str(folder / "metadata")},
        "score": {"models": [{"name": "clip", "model": "ViT-B-32"}]},
        "select": {"rules": [{"rule": "low_similarity", "min": 0.1}, {"rule": "file_name"}]},
        "report": {"examples": 12, "truth": str(folder / "truth.parquet")},
    })  # fmt: skip


@pytest.fixture(scope="session")
def small_workdir(tmp_path_factory, small_rows):
    """Every dataset of a run. Tests must not change it."""
    root = str(tmp_path_factory.mktemp("workdir"))
    write_workdir(root, small_rows)
    return root


def write_workdir(root: str, rows: list[Row]) -> None:
    parts = {part_name(i): [row for row in rows if part_of(row.image, PARTS) == i] for i in range(PARTS)}
    # What did not become a pair is in the first part's account.
    first = len(parts[part_name(0)])
    left = Ledger(rows_in=first + 7, kept=first, dropped={"repeated": 5}, failed={"bad_url": 2}, notes={"pages": 9})
    pairs = {name: _pairs(part) for name, part in parts.items()}
    write(root, "pairs", pairs, ledgers={part_name(0): left}, extra=BROKEN_FILES)
    copies = {"cosine": 0.61, "recall": 0.95, "found": {"crop": 1.0, "flip": 0.9}, "strangers": 0.02, "pictures": 40}
    decided = {"balanced": {"t": {"en": 7}, "tail_share": None}, "duplicates": {"evaluation": copies}}
    for name in ("matches", "balanced", "scores/clip", "duplicates", "selection"):
        write(root, name, {part: _side(name, inside) for part, inside in parts.items()}, extra=decided.get(name))
    _images(root, parts)
    counts = np.bincount([entry for row in rows if not row.match for entry in row.entries], minlength=5)
    write(
        root,
        "counts",
        {"part-00000": pa.table({"lang": ["en"] * 5, "entry": pa.array(range(5), pa.int32()), "count": counts})},
        extra={
            "languages": {"en": {"part": "part-00000", "group": 0, "entries": 5, "matches": int(counts.sum())}},
            "matched": {"rule": "metaclip1"},
        },
    )
    for name, kept in (("shards", True), ("shards-raw", False)):
        chosen = [r for r in rows if r.data and (not kept or r.states()["selection"][0] == "kept")]
        samples = list({row.image: row for row in chosen}.values())
        other = {"other_text": len(chosen) - len(samples)} if len(chosen) > len(samples) else {}
        ledger = Ledger(rows_in=len(chosen), kept=len(samples), dropped=other)
        write(root, name, {"00000": _shards(samples)}, ledgers={"00000": ledger})
    for kind, seed in (("raw", 0), ("raw", 1), ("curated", 0), ("curated", 1)):
        _run(root, kind, seed)
    Dataset(root, "evaluations").put("comparison.json", json.dumps(COMPARISON).encode())


def write(root, name, tables, ledgers=None, extra=None):
    """Writes and commits a dataset; parts without a ledger take theirs from the rows' states."""
    data = Dataset(root, name)
    plan = Plan(dataset=name, stage=schema.load(name).stage, settings={}, inputs={}, parts=tuple(tables))
    data.begin(plan)
    for part, table in tables.items():
        with data.write_part(part, plan.hash, (ledgers or {}).get(part)) as out:
            out.write(table)
    data.commit(plan, extra=extra)


def _pairs(rows):
    return pa.Table.from_pylist(
        [{"uid": r.uid, "image_uid": r.image, "url": r.url, "text": r.text, "kind": "alt", "page_url": "http://photos.example/",
          "page_robots": None, "page_lang": "en", "source": "warc", "crawl_file": "a.warc.gz", "record_offset": 0} for r in rows],
        schema=schema.load("pairs").arrow(),
    )  # fmt: skip


def _side(name, rows):
    lists = []
    for row in rows:
        state, reason = row.states()[name]
        facts = {
            "matches": {"lang": "en", "lang_score": 0.9, "entries": row.entries},
            "balanced": {"keep_probability": 0.5, "draw": 0.1, "baseline": True},
            "scores/clip": {"similarity_score": row.score if state == "kept" else None, "image_embedding": None, "text_embedding": None},
            "duplicates": {"representative": None if state == "gone" else image_uid(row.duplicate[1]) if row.duplicate else row.image,
                           "found_by": "phash" if reason == "in_evaluation_set" else None},
            "selection": {"rule": None if reason == "baseline_only" else reason, "rules": None},
        }  # fmt: skip
        lists.append({"uid": row.uid, "state": state, "reason": reason} | facts[name])
    return pa.Table.from_pylist(lists, schema=schema.load(name).arrow(embedding_width=2))


def _images(root, parts):
    data = Dataset(root, "images")
    for part, rows in parts.items():
        with data.sidecar(tar_name(part)) as file:
            tar = ArchiveWriter(file)
            for image, body in {row.image: row.data for row in rows if row.data}.items():
                tar.add(f"{image}.png", body)
            tar.close()
    write(root, "images", {part: _image_rows(rows) for part, rows in parts.items()})


def _image_rows(rows):
    lists = []
    for r in rows:
        state, reason = r.states()["images"]
        fetched = r.data is not None
        lists.append({
            "uid": r.uid, "image_uid": r.image, "url": r.url, "text": r.text, "kind": "alt", "lang": "en",
            "page_url": "http://photos.example/", "curated": r.states()["balanced"][0] == "kept", "baseline": True,
            "state": state, "reason": reason, "http_status": 200 if fetched else 404,
            "error": None if fetched else "<b>Not Found</b>", "nbytes": len(r.data) if fetched else None,
            "sha256": hashlib.sha256(r.data).hexdigest() if fetched else None, "width": 64 if fetched else None,
            "height": 48 if fetched else None, "format": "png" if fetched else None, "phash": None,
            "opt_out": "robots_txt" if reason == "opted_out" else None,
        })  # fmt: skip
    return pa.Table.from_pylist(lists, schema=schema.load("images").arrow())


def _shards(rows):
    return pa.Table.from_pylist(
        [{"key": r.image, "shard": "00000.tar", "uid": r.uid, "image_uid": r.image, "url": r.url, "text": r.text,
          "texts": [r.text], "uids": [r.uid], "entries": r.entries, "keep_probability": 0.5, "keep_probabilities": [0.5], "lang": "en", "sha256": "0" * 64, "width": 64, "height": 48} for r in rows],
        schema=schema.load("shards").arrow(),
    )  # fmt: skip


def _metric(raw, curated, low, high, verdict):
    return {"raw": raw, "curated": curated, "difference": curated - raw, "low": low, "high": high, "verdict": verdict}


COMPARISON = {
    "sets": {"fluent": {
        "zero_shot_top1": _metric(0.101, 0.153, 0.011, 0.093, "curated is better"),
        "zero_shot_top5": _metric(0.302, 0.311, -0.02, 0.041, "within the noise"),
        "image_to_text_recall@1": _metric(0.08, 0.05, -0.05, -0.01, "raw is better"),
    }},
    "seeds": [0, 1],
}  # fmt: skip


def _run(root, kind, seed):
    name = f"{kind}-{seed}"
    chance = random.Random(name)
    lines = [{"step": s, "samples_seen": s * 64, "loss": 4 * 0.99**s + chance.random() / 5} for s in range(1, 301)]
    metrics = {"zero_shot_top1": {"value": 0.1234, "low": 0.1, "high": 0.15}}
    overlap = {"sha256": 0, "phash": 0, "training_images": 40}
    result = {"run": name, "set": kind, "seed": seed, "samples_seen": 19200,
              "sets": {"fluent": {"images": 232, "classes": 232, "texts": 232, "metrics": metrics, "overlap": overlap}}}  # fmt: skip
    files = {"runs": {"run.json": json.dumps({"run": name, "set": kind, "seed": seed, "images": 40, "samples_seen": 19200}), "log.jsonl": "\n".join(map(json.dumps, lines))},
             "evaluations": {"result.json": json.dumps(result)}}  # fmt: skip
    for group, stage in (("runs", "train"), ("evaluations", "evaluate")):
        data = Dataset(root, f"{group}/{name}")
        plan = Plan(dataset=data.name, stage=stage, settings={}, inputs={}, parts=())
        data.begin(plan)
        for file, text in files[group].items():
            data.put(file, text.encode())
        data.commit(plan)
