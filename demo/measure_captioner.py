"""What the demo's captioner is worth: whether its captions name what a picture shows, and written down in its card."""

import hashlib
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from measure_teacher import auc, embedded

from curate import models
from curate.backends import coca
from curate.backends.contract import Photo, Request, Sampling
from curate.backends.settings import CoCa
from curate.draw import draw
from curate.recipe import Model, Train
from curate.weights import CONFIG, WEIGHTS

CARD = """---
license: gpl-2.0
library_name: open_clip
tags: [coca, image-captioning]
---
# The demo's captioner

A CoCa of {parameters:,} parameters ({size:.1f} MB) that describes the bundled pool's images in the demo. It is of no use beyond that: it
knows {images} pictures and says little of any other.

**It has seen the answers**, as the demo's teacher has: it was trained on pictures that are in the pool themselves, each with its right
English label from `demo/pool/captions.parquet`. It has **not** seen the Fluent emoji that the demo evaluates on, in any form.

| | |
|---|---|
| made by | `make captioner` (`python demo/make_captioner.py`), with this project's training stage; the architecture is in `open_clip_config.json` |
| trained on | {images} pictures, those whose sentence fits; {samples:,} samples seen, batch {batch} |
| texts | of an emoji its name ("a top hat emoji."), of a stamp the first sentence of its description |
| objectives | contrastive x 1 + caption x 2 (CoCa's) |
| vocabulary | the teacher's, `bpe.txt.gz` |
| inputs | {side} x {side} pixels, {context} tokens |
| stored as | matrices and kernels in float16, the rest in float32 |

## The pictures it was trained on, and their licences

{sources}

The labels of the emoji come from emojibase-data (MIT; from CLDR, Unicode licence). The licences' texts are in
`demo/pool/licenses`. The weights are kept apart from the code and its licence: whether a model derives from the
pictures it learned from is not settled, so treat them as GPL-2.0-only, like the strictest of the pictures.

## Measured on the pool

A caption *names* what a picture shows when it has one of the words of the picture's label (articles, prepositions and "emoji", "flag",
"face", "button" do not count), and *names all* when it has every one. By chance: the captions of other pictures. Similarity is the demo
teacher's, median over pictures; AUC is the chance that a picture's own caption is more similar to it than another's.

| pictures | number | names | by chance | names all | similarity | by chance | AUC |
|---|---|---|---|---|---|---|---|
{rows}

Of five captions that are drawn (top-p 0.9) of each unseen picture {mean:.1%} name it; the one that the teacher ranks first does for {ranked:.1%}.

What it says of unseen pictures, every {every}th:

{examples}
"""
EMPTY = frozenset(["a", "an", "and", "button", "emoji", "face", "flag", "in", "of", "on", "the", "with"])
EVERY = 29


def measures(pool: Path, captioner: Path, teacher: Path, seen: list[str]) -> dict[str, Any]:
    """Shares of captions that name the right thing, and their similarity by the teacher, on pictures that were seen (URLs) and on others."""
    captions = pq.read_table(pool / "captions.parquet").to_pylist()
    labels = {row["url"]: row["caption"] for row in captions if row["lang"] == "en"}
    clip = models.load(Model(name="teacher", model=f"local-dir:{teacher}"), "cpu")
    asked = coca.load(CoCa(model=f"local-dir:{captioner}", batch_size=64), "cpu")
    unseen = [url for url in labels if "/fluent/" in url]
    images, rows = embedded(clip, pool, list(labels)), []
    for name, urls in (("that it was trained on", seen), ("unseen (Fluent emoji)", unseen)):
        said = answers(asked, pool, urls, Sampling(max_tokens=40), [0] * len(urls))
        rows.append([name, len(urls), *row(clip, images, urls, said, [labels[url] for url in urls])])
    drawn = np.array([
        answers(asked, pool, unseen, Sampling(40, 1.0, 0.9, (".",)), [int(d * 2**31) for d in draw(0, f"{i}", unseen)])
        for i in range(5)
    ]).T  # fmt: skip
    right = np.array([[names(text, labels[url]) for text in some] for url, some in zip(unseen, drawn, strict=True)])
    best = [
        int((clip.text_embeddings(list(some)) @ images[url]).argmax()) for url, some in zip(unseen, drawn, strict=True)
    ]
    pairs = list(zip((labels[url] for url in unseen), said, strict=True))
    return {
        "rows": rows, "mean": float(right.mean()), "ranked": float(right[np.arange(len(best)), best].mean()),
        "examples": pairs[::EVERY],
    }  # fmt: skip


def answers(asked: coca.Captioner, pool: Path, urls: list[str], how: Sampling, seeds: list[int]) -> list[str]:
    """What the captioner says of pictures."""
    requests = []
    for url, seed in zip(urls, seeds, strict=True):
        data = (pool / "www" / url.removeprefix("http://")).read_bytes()
        requests.append(Request("", photo=Photo(data, hashlib.sha256(data).hexdigest()), sampling=how, seed=seed))
    size = asked.batch_size
    return [one.text for at in range(0, len(requests), size) for one in asked.answers(requests[at : at + size])]


def row(clip: models.Clip, images: dict[str, np.ndarray], urls: list[str], said: list[str], labels: list[str]) -> list:
    """Of captions and of the same captions a third of the pictures on: shares, medians, AUC."""
    other = np.roll(np.array(said, object), len(said) // 3).tolist()
    texts = dict(zip(said, clip.text_embeddings(said), strict=True))
    own, others = (
        np.array([images[url] @ texts[t] for url, t in zip(urls, some, strict=True)]) for some in (said, other)
    )
    shares = [
        float(np.mean([names(t, label) for t, label in zip(some, labels, strict=True)])) for some in (said, other)
    ]
    whole = float(np.mean([words(label) <= words(text) for text, label in zip(said, labels, strict=True)]))
    return [*shares, whole, float(np.median(own)), float(np.median(others)), auc(own, others)]


def words(text: str) -> set[str]:
    """The words of a text that say something."""
    return set(re.findall(r"\w+", text.lower())) - EMPTY


def names(text: str, label: str) -> bool:
    """Whether a caption has a word of a label."""
    return bool(words(text) & words(label))


def card(captioner: Path, measured: dict[str, Any], labels: list[dict[str, Any]], settings: Train) -> str:
    """The card of the captioner in a folder, in Markdown with front matter."""
    from safetensors import safe_open

    config = json.loads((captioner / CONFIG).read_text(encoding="utf-8"))["model_cfg"]
    with safe_open(captioner / WEIGHTS, "np") as weights:
        shapes = [weights.get_slice(name).get_shape() for name in weights.keys()]  # noqa: SIM118 - not a mapping
    counts = Counter((label["source"], label["license"]) for label in labels)
    line = "| {} | {} | {:.1%} | {:.1%} | {:.1%} | {:.2f} | {:.2f} | {:.3f} |"
    return CARD.format(
        size=sum(file.stat().st_size for file in captioner.iterdir() if file.suffix != ".md") / 1e6,
        parameters=sum(int(np.prod(shape)) for shape in shapes), images=len(labels), samples=settings.samples_seen,
        batch=settings.batch_size, side=config["vision_cfg"]["image_size"], context=config["text_cfg"]["context_length"],
        sources="\n".join(f"- {source}: {n} pictures, {licence}" for (source, licence), n in sorted(counts.items())),
        rows="\n".join(line.format(*row) for row in measured["rows"]), mean=measured["mean"], ranked=measured["ranked"],
        every=EVERY, examples="\n".join(f"- {label}: “{text}”" for label, text in measured["examples"]),
    )  # fmt: skip
