"""Makes demo/teacher: the small CLIP that the demo scores its pool with. `python demo/make_teacher.py`, from the root.

It is trained with the training stage of this project on the bundled pool's own trusted labels (Noto emoji and Tux
Paint stamps, never the Fluent emoji that the demo evaluates on), then measured on the pool's planted faults. Takes
about four minutes on two cores.
"""

import gzip
import hashlib
import io
import json
import os
import shutil
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from measure_teacher import card, measures

from curate.images.decoding import decode
from curate.recipe import Train
from curate.shards.samples import Sample
from curate.shards.writing import write_shard
from curate.store import Dataset, Plan
from curate.training.job import Job
from curate.uid import image_uid, pair_uid
from curate.weights import CONFIG, WEIGHTS
from jobs.train import torchrun

DEMO = Path(__file__).resolve().parent
POOL, TEACHER = DEMO / "pool", DEMO / "teacher"
SOURCES = ("noto-emoji", "tuxpaint-stamps")
VOCABULARY = 4096
"""Tokens: 256 bytes, each alone and at the end of a word, two marks, and the merges."""
THREADS = int(os.environ.get("OMP_NUM_THREADS", "0"))
SETTINGS = Train(
    model=str(DEMO / "model.json"), samples_seen=32_768, batch_size=128, learning_rate=2e-3, warmup=40,
    weight_decay=0.1, crop_scale=0.5, checkpoint_every=32, threads=THREADS,
)  # fmt: skip


def main() -> None:
    labels = trusted()
    TEACHER.mkdir(exist_ok=True)
    # The vocabulary is the one of the models that the demo compares, too, and their raw pool has ten languages.
    write_merges(sorted({row["caption"] for row in labels}), TEACHER / "bpe.txt.gz")
    labels = [row for row in labels if row["lang"] == "en"]
    workdir = tempfile.mkdtemp(prefix="teacher-")
    try:
        write_shards(labels, workdir)
        job = Job(workdir=workdir, shards="shards", target="runs/teacher", settings=SETTINGS, seed=0, kind="curated")
        torchrun(job, [])
        export(Path(Dataset(workdir, job.target).root), TEACHER)
    finally:
        shutil.rmtree(workdir)
    described = card(TEACHER, measures(POOL, TEACHER), labels, SETTINGS)
    (TEACHER / "README.md").write_text(described, encoding="utf-8")
    print(described)


def trusted() -> list[dict]:
    """The pool's own labels of the pictures that the teacher may see, in every language, ordered by image."""
    table = pq.read_table(POOL / "captions.parquet")
    table = table.filter(pc.is_in(table["source"], value_set=pa.array(SOURCES)))
    return sorted(table.to_pylist(), key=lambda row: (image_uid(row["url"]), row["lang"], row["caption"]))


def write_merges(texts: list[str], path: Path) -> None:
    """Trains byte-pair merges on lower-cased texts and writes them as open_clip's SimpleTokenizer reads them."""
    from open_clip.tokenizer import get_clean_fn
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

    words = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
    bpe = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    split = pre_tokenizers.Split(Regex(words), "removed", invert=True)
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    # Every symbol has a number beforehand: ties are decided by number, and the library's own follow a random hash.
    symbols = [symbol + end for end in ("", "</w>") for symbol in sorted(pre_tokenizers.ByteLevel.alphabet())]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - 2, end_of_word_suffix="</w>", special_tokens=symbols, show_progress=False
    )
    bpe.train_from_iterator(map(get_clean_fn("lower"), texts), trainer)
    merges = [" ".join(pair) for pair in json.loads(bpe.to_str())["model"]["merges"]]
    with open(path, "wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, filename="") as out:
        out.write("\n".join(["#version: 0.2", *merges]).encode())


def write_shards(labels: list[dict], workdir: str) -> None:
    """One shard of all trusted pictures, through the project's own writer."""
    target = Dataset(workdir, "shards")
    plan = Plan(dataset="shards", stage="shard", settings={}, inputs={}, parts=("00000",))
    target.begin(plan)
    urls = dict.fromkeys(row["url"] for row in labels)
    samples = (sample(url, labels, grey) for url in urls for grey in (False, True))
    part = write_shard("00000", samples, target, plan)
    target.commit(plan, [part])


def sample(url: str, labels: list[dict], grey: bool) -> Sample:
    """A picture with its labels, or its copy without colour, so that shapes count as well."""
    data = (POOL / "www" / url.removeprefix("http://")).read_bytes()
    image = decode(data)
    if grey:
        out = io.BytesIO()
        image.convert("L").convert("RGB").save(out, "PNG")
        data = out.getvalue()
    name = image_uid(f"{url}?grey" if grey else url)
    shared = {
        "image_uid": name, "url": url, "page_url": url, "sha256": hashlib.sha256(data).hexdigest(),
        "width": image.width, "height": image.height, "format": "png", "entries": None, "keep_probability": None,
    }  # fmt: skip
    rows = [
        shared | {"uid": pair_uid(url, row["caption"]), "text": row["caption"], "lang": row["lang"]}
        for row in labels if row["url"] == url
    ]  # fmt: skip
    return Sample(image_uid=name, rows=rows, chosen=rows[0], data=data)


def export(run: Path, teacher: Path) -> None:
    """Copies the run's model, its matrices and kernels as float16: half the size, and no score moves by 0.001."""
    from safetensors.torch import load_file, save_file

    weights = load_file(run / WEIGHTS)
    save_file({name: value.half() if value.ndim > 1 else value for name, value in weights.items()}, teacher / WEIGHTS)
    (teacher / WEIGHTS).chmod(0o644)
    shutil.copyfile(run / CONFIG, teacher / CONFIG)


if __name__ == "__main__":
    main()
