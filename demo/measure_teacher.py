"""What the demo's teacher is worth: measured on the pool's planted faults, and written down in its card."""

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from curate import models
from curate.images.decoding import ImageError, decode
from curate.recipe import Model, Train
from curate.weights import CONFIG, WEIGHTS

CARD = """---
license: gpl-2.0
library_name: open_clip
tags: [clip, data-filtering]
---
# The demo's teacher

A CLIP of {parameters:,} parameters ({size:.1f} MB) that scores the bundled pool in the demo. It is of no use beyond that.

**It is a trusted filter, and has seen the answers.** It was trained on pictures that are in the pool themselves, each
with its right English label from `demo/pool/captions.parquet`. So it knows which of the pool's captions are right in a
way that no model knows a web crawl, and the demo's scores are better than you can hope for elsewhere. It has **not**
seen the Fluent emoji that the demo evaluates on, in any form.

| | |
|---|---|
| made by | `python demo/make_teacher.py`, with this project's training stage; the architecture is in `open_clip_config.json` |
| trained on | {images} pictures and a copy of each without colour; {samples:,} samples seen, batch {batch} |
| vocabulary | `bpe.txt.gz`: byte-pair merges of the same pictures' labels in all languages of the pool; open_clip's `get_tokenizer` takes its path as `bpe_path=` |
| inputs | {side} x {side} pixels, {context} tokens |
| stored as | matrices and kernels in float16, the rest in float32 |

## The pictures it was trained on, and their licences

{sources}

The labels of the emoji come from emojibase-data (MIT; from CLDR, Unicode licence). The licences' texts are in
`demo/pool/licenses`. The weights are kept apart from the code and its licence: whether a model derives from the
pictures it learned from is not settled, so treat them as GPL-2.0-only, like the strictest of the pictures.

## Measured on the pool

Quantiles of the cosine: minimum, 5 %, median, 95 %, maximum.

| pairs | number | similarity |
|---|---|---|
| it was trained on | {pairs[0]} | {right} |
| planted copies (scaled, encoded anew, cropped, grey) with the right label | {pairs[1]} | {copies} |
| planted copies with another picture's label | {pairs[2]} | {mismatched} |
| right pairs of unseen pictures (Fluent emoji) | {pairs[3]} | {unseen} |

AUC of mismatched copies scoring below right copies: **{auc_copies}** (below the pairs it was trained on: {auc_right}).

| pairs of pictures | number | cosine | above 0.99, 0.98, 0.97, 0.95 |
|---|---|---|---|
| planted near duplicates of one picture | {compared[0]} | {near} | {above_near} |
| different pictures (clock faces, smileys and banknotes are very alike) | {compared[1]} | {different} | {above_different} |
"""
QUANTILES = ("right", "copies", "mismatched", "unseen", "near", "different")


def measures(pool: Path, teacher: Path) -> dict[str, Any]:
    """Similarity of right and mismatched pairs, and of near duplicates and different pictures, by the teacher."""
    clip = models.load(Model(name="teacher", model=f"local-dir:{teacher}"), "cpu")
    truth = pq.read_table(pool / "noise-truth.parquet").to_pylist()
    captions = pq.read_table(pool / "captions.parquet").to_pylist()
    labels = {row["url"]: row["caption"] for row in captions if row["lang"] == "en"}
    unseen, seen = ([url for url in labels if ("/fluent/" in url) == held] for held in (True, False))
    images = embedded(clip, pool, [*labels, *(row["url"] for row in truth)])

    def similarity(pairs: list[tuple[str, str]]) -> np.ndarray:
        texts = clip.text_embeddings([text for _, text in pairs])
        return np.array([images[url] @ text for (url, _), text in zip(pairs, texts, strict=True)])

    copies, wrong = planted_pairs(truth, labels)
    trained, right, mismatched = similarity([(url, labels[url]) for url in seen]), similarity(copies), similarity(wrong)
    return {
        "right": spread(trained), "copies": spread(right), "mismatched": spread(mismatched),
        "unseen": spread(similarity([(url, labels[url]) for url in unseen])),
        "auc_right": auc(trained, mismatched), "auc_copies": auc(right, mismatched),
        "pairs": [len(trained), len(right), len(mismatched), len(unseen)],
        **duplicates([row for row in truth if row["noise"] == "near-dup"], images, seen),
    }  # fmt: skip


def embedded(clip: models.Clip, pool: Path, urls: list[str]) -> dict[str, np.ndarray]:
    """Image embeddings by URL; planted pictures that are broken have none."""
    pixels = {}
    for url in dict.fromkeys(urls):
        file = pool / "www" / url.removeprefix("http://")
        try:
            pixels[url] = clip.pixels(decode(file.read_bytes() if file.is_file() else b""))
        except ImageError:
            continue
    return dict(zip(pixels, clip.image_embeddings(pixels.values()), strict=True))


def planted_pairs(truth: list[dict[str, Any]], labels: dict[str, str]) -> tuple[list, list]:
    """(URL, text) of planted copies with their own label, perhaps in capitals or with a note, and with another's."""
    right: list[tuple[str, str]] = []
    wrong: list[tuple[str, str]] = []
    for row in truth:
        if row["noise"] in ("near-dup", "exact-dup", "mismatch"):
            own = labels[f"http://stamps.example/img/{row['of']}"].lower()
            (right if row["alt"].lower().startswith(own) else wrong).append((row["url"], row["alt"]))
    return right, wrong


def duplicates(near: list[dict[str, Any]], images: dict[str, np.ndarray], seen: list[str]) -> dict[str, Any]:
    """Cosines within each family of near duplicates, and among different pictures."""
    families = defaultdict(list)
    for row in near:
        families[row["of"]].append(images[row["url"]])
    within = np.array([a @ b for family in families.values() for i, a in enumerate(family) for b in family[i + 1 :]])
    matrix = np.array([images[url] for url in seen])
    among = (matrix @ matrix.T)[np.triu_indices(len(matrix), 1)]
    above = [[int((cosines > c).sum()) for c in (0.99, 0.98, 0.97, 0.95)] for cosines in (within, among)]
    return {
        "near": spread(within), "different": spread(among), "compared": [len(within), len(among)],
        "above_near": ", ".join(map(str, above[0])), "above_different": ", ".join(map(str, above[1])),
    }  # fmt: skip


def spread(values: np.ndarray) -> list[float]:
    """Minimum, 5 %, median, 95 %, maximum."""
    return [round(float(v), 3) for v in np.quantile(values, [0, 0.05, 0.5, 0.95, 1])]


def auc(right: np.ndarray, wrong: np.ndarray) -> float:
    """Chance that a right pair scores above a wrong one; ties count half."""
    difference = right[:, None] - wrong[None]
    return round(float((difference > 0).mean() + (difference == 0).mean() / 2), 4)


def card(teacher: Path, measured: dict[str, Any], labels: list[dict[str, Any]], settings: Train) -> str:
    """The card of the teacher in a folder, in Markdown with front matter."""
    from safetensors import safe_open

    config = json.loads((teacher / CONFIG).read_text(encoding="utf-8"))["model_cfg"]
    with safe_open(teacher / WEIGHTS, "np") as weights:
        shapes = [weights.get_slice(name).get_shape() for name in weights.keys()]  # noqa: SIM118 - not a mapping
    counts = Counter((row["source"], row["license"]) for row in labels)
    return CARD.format(
        **measured | {name: " · ".join(f"{value:.2f}" for value in measured[name]) for name in QUANTILES},
        size=sum(file.stat().st_size for file in teacher.iterdir() if file.suffix != ".md") / 1e6,
        parameters=sum(int(np.prod(shape)) for shape in shapes), images=len(labels), samples=settings.samples_seen,
        batch=settings.batch_size, side=config["vision_cfg"]["image_size"], context=config["text_cfg"]["context_length"],
        sources="\n".join(f"- {source}: {n} pictures, {licence}" for (source, licence), n in sorted(counts.items())),
    )  # fmt: skip
