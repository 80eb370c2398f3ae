"""Makes demo/captioner: the small CoCa that describes the demo's images. `python demo/make_captioner.py`, from the root.

It is trained with the training stage of this project on the pictures that the teacher was trained on (Noto emoji and Tux Paint stamps),
with the teacher's vocabulary, and measured on the Fluent emoji, of which it has seen none. Takes about four minutes on two cores.
"""

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from make_teacher import DEMO, POOL, TEACHER, export, sample, trusted
from measure_captioner import card, measures

from curate import models
from curate.recipe import Train
from curate.shards.writing import write_shard
from curate.store import Dataset, Plan
from curate.training.checkpoints import MERGES
from curate.training.job import Job
from curate.weights import merges_of, register
from jobs.train import torchrun

CAPTIONER = DEMO / "captioner"
# Sums in another order are other bytes: whoever makes the same captioner takes as many threads.
THREADS = int(os.environ.get("OMP_NUM_THREADS", "2"))
SETTINGS = Train(
    model=str(DEMO / "captioner.json"), samples_seen=44_800, batch_size=64, learning_rate=2e-3, warmup=40,
    weight_decay=0.1, crop_scale=0.8, checkpoint_every=50, threads=THREADS,
)  # fmt: skip
NOT_SAID = re.compile(r"\s*\([^)]*\)|\s*[.!](\s.*)?$", re.DOTALL)
"""What stands in brackets, and all behind the first sentence."""
SEVERAL = re.compile(r"[^s]s$")
"""A name that ends so stands for several things."""


def main() -> None:
    labels = [row | {"caption": caption(row)} for row in trusted() if row["lang"] == "en"]
    words = models.tokenizer(register(SETTINGS.model), merges_of(SETTINGS.model))
    # A sentence that is cut off would teach to stop in the middle of one.
    labels = [row for row in labels if len(words.encode(row["caption"])) + 2 <= words.context_length]
    CAPTIONER.mkdir(exist_ok=True)
    workdir = tempfile.mkdtemp(prefix="captioner-")
    try:
        write_shards(labels, workdir)
        job = Job(workdir=workdir, shards="shards", target="runs/captioner", settings=SETTINGS, seed=0, kind="curated")
        torchrun(job, [])
        run = Path(Dataset(workdir, job.target).root)
        export(run, CAPTIONER)
        shutil.copyfile(run / MERGES, CAPTIONER / MERGES)
    finally:
        shutil.rmtree(workdir)
    # Threads that wait for each other on cores that others use too take longer than one.
    torch.set_num_threads(1)
    measured = measures(POOL, CAPTIONER, TEACHER, [row["url"] for row in labels])
    described = card(CAPTIONER, measured, labels, SETTINGS)
    (CAPTIONER / "README.md").write_text(described, encoding="utf-8")
    print(described)


def caption(row: dict[str, Any]) -> str:
    """A sentence that says what a picture shows: of an emoji its name, of a stamp the first sentence of its description."""
    said = NOT_SAID.sub("", row["caption"])
    if row["source"] != "noto-emoji":
        return f"{said}." if " " in said else f"A {said}."
    kind, _, rest = row["caption"].partition(": ")
    if kind == "flag":
        return f"The flag of {rest}."
    name = f"{kind} {rest}".strip()
    article = "" if SEVERAL.search(name) else "an " if name[0].lower() in "aeiou" else "a "
    return f"{article}{name} emoji."


def write_shards(labels: list[dict[str, Any]], workdir: str) -> None:
    """One shard of the pictures as they are, through the project's own writer."""
    target = Dataset(workdir, "shards")
    plan = Plan(dataset="shards", stage="shard", settings={}, inputs={}, parts=("00000",))
    target.begin(plan)
    part = write_shard("00000", (sample(row["url"], labels, grey=False) for row in labels), target, plan)
    target.commit(plan, [part])


if __name__ == "__main__":
    main()
