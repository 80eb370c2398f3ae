"""The score stage with a ViT-B/32 against the bare model on a batch in memory, and against clip-retrieval's inference.

python benchmarks/score.py [POOL] [--runs N]     # a folder with pairs.parquet, web.parquet and the images; the demo's pool by default

All three have the same weights (random ones: no weights ship, and speed does not depend on them), the same images and texts, one
text an image, the same batches, and torch with one thread a process, so that CPU seconds hold no spinning. What it takes to start is left out: the
difference of a large and a small run counts, the best of N of each. Our embeddings are compared with clip-retrieval's before anything is reported.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from harness import Tree, report, row

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / "benchmarks" / ".venv-peers" / "bin" / "python"
SMALL, LARGE, BATCH = 32, 192, 32
ARCHITECTURE = "ViT-B-32"
CLOSE = 4e-3
"""Coordinates of two float16 embeddings of length 1."""


def pairs(pool: Path, number: int) -> list[tuple[str, str, bytes]]:
    """(image_uid, text, bytes) of as many images, in the order of their uids; again under other names where the pool is out of them."""
    from curate.images.decoding import ImageError, decode
    from curate.uid import image_uid

    members = {r["url"]: pool / r["member"] for r in pq.read_table(pool / "web.parquet").to_pylist() if r["member"]}
    found = {}
    for line in pq.read_table(pool / "pairs.parquet", columns=["url", "caption"]).to_pylist():
        file = members.get(line["url"])
        if line["caption"] and line["url"] not in found and file is not None and file.is_file():
            try:
                decode(file.read_bytes())
            except ImageError:
                continue
            found[line["url"]] = (line["caption"], file.read_bytes())
    # A mixture of the pool, not its first site.
    known = sorted(found.items(), key=lambda item: image_uid(item[0]))
    named = ((f"{url}#{n}", text, body) for n in range(-(-number // len(known))) for url, (text, body) in known)
    return sorted((image_uid(url), text, body) for url, text, body in list(named)[:number])


def write_model(folder: Path) -> None:
    import open_clip
    import torch

    torch.manual_seed(0)
    torch.save(open_clip.create_model(ARCHITECTURE, load_weights=False).state_dict(), folder / "model.pt")


def write_inputs(given: list[tuple[str, str, bytes]], folder: Path) -> None:
    """The images as our stage reads them and, with their texts, as img2dataset would have written them."""
    from curate import schema
    from curate.images.archive import ArchiveWriter, tar_name
    from curate.store import Dataset, Plan, part_name

    images = Dataset(str(folder), "images")
    plan = Plan(dataset="images", stage="download", settings={}, inputs={}, parts=(part_name(0),))
    images.begin(plan)
    known = schema.load("images")
    rows = [
        dict.fromkeys(known.columns)
        | {"uid": image, "image_uid": image, "url": image, "text": text, "kind": "alt", "curated": True, "baseline": True, "state": "kept"}
        for image, text, _ in given
    ]  # fmt: skip
    with images.sidecar(tar_name(part_name(0))) as file:
        tar = ArchiveWriter(file)
        for image, _, body in given:
            tar.add(f"{image}.jpg", body)
        tar.close()
    with images.write_part(part_name(0), plan.hash) as part:
        part.write(pa.Table.from_pylist(rows, schema=known.arrow()))
    images.commit(plan)
    with tarfile.open(folder / "00000.tar", "w") as samples:
        for image, text, body in given:
            for suffix, data in (("jpg", body), ("txt", text.encode())):
                entry = tarfile.TarInfo(f"{image}.{suffix}")
                entry.size = len(data)
                samples.addfile(entry, io.BytesIO(data))


def settings(folder: Path) -> Any:
    from curate.recipe import Model

    return Model(name="b32", model=ARCHITECTURE, pretrained=str(folder.parent / "model.pt"), batch_size=BATCH)


def ours(folder: Path) -> None:
    """The stage itself on one worker, as its job runs it but for the engine that starts it."""
    from curate.scores import passing, registry
    from curate.store import Dataset, Plan, part_name

    images, target, model = Dataset(str(folder), "images"), Dataset(str(folder), "scores/b32"), settings(folder)
    plan = Plan(dataset=target.name, stage="score", settings=registry.identity(model), inputs={}, parts=(part_name(0),))
    target.begin(plan)
    task = passing.Task(model, target, plan)
    passing.score_part(part_name(0), images=images, tasks=[task], device="cpu", threads=2)


def bare(folder: Path) -> None:
    """Prints CPU seconds of the model alone, on tensors that are ready in memory; and of it with texts cut as ours are."""
    import torch

    from curate import models
    from curate.images.decoding import decode
    from curate.store import Dataset

    clip = models.load(settings(folder), "cpu")
    with tarfile.open(folder / "images" / "part-00000.tar") as tar:
        pixels = torch.stack([clip.pixels(decode(tar.extractfile(entry).read())) for entry in tar])  # type: ignore[union-attr]
    texts = Dataset(str(folder), "images").read_part("part-00000", ["text"])["text"].to_pylist()
    ids = models.tokens(clip.tokenizer, texts)
    ids_by_length = ids[clip.texts.lengths(ids).argsort()]

    def seconds(encode: Any, given: Any) -> float:
        with torch.inference_mode():
            encode(given[:BATCH])
            start = time.process_time()
            for batch in given.split(BATCH):
                encode(batch)
            return time.process_time() - start

    image = seconds(clip.model.encode_image, pixels)
    whole, cut = seconds(clip.model.encode_text, ids), seconds(clip.texts.encode, ids_by_length)
    print(json.dumps({"whole": image + whole, "cut": image + cut}))


def peer(folder: Path) -> None:
    """clip-retrieval's worker on one partition."""
    from clip_retrieval.clip_inference.worker import worker

    worker(
        [0], str(folder / "00000.tar"), str(folder / "peer"), 1, input_format="webdataset", batch_size=BATCH, num_prepro_workers=1,
        clip_model=f"open_clip:{ARCHITECTURE}/{folder.parent / 'model.pt'}", use_jit=False,
    )  # fmt: skip


def run(who: str, folder: Path) -> tuple[float, float, str]:
    """(CPU seconds, peak MB, last line printed) of a process and all that it starts."""
    python = str(PEERS) if who == "peer" else sys.executable
    command = [python, __file__, "--child", who, str(folder)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    with Tree(child.pid) as tree:
        output, _ = child.communicate(timeout=3600)
        cpu = tree.cpu_seconds()
    if child.returncode:
        raise SystemExit(f"{who} ended with {child.returncode}: {output[-2000:]}")
    print(f"  {who} {folder.name}: {cpu:.1f} CPU s, {tree.peak_mb:.0f} MB", flush=True)
    return cpu, tree.peak_mb, output.strip().splitlines()[-1] if output.strip() else ""


def rate(who: str, folders: dict[int, Path], runs: int) -> tuple[float, float]:
    """(images a CPU second without what it takes to start, peak MB)."""
    least, most = dict.fromkeys(folders, float("inf")), 0.0
    for number, folder in runs * list(folders.items()):
        for name in ("scores", "peer"):
            subprocess.run(["rm", "-rf", str(folder / name)], check=True)
        cpu, peak, _ = run(who, folder)
        least[number], most = min(least[number], cpu), max(most, peak)
        if who == "ours":
            vectors = pq.read_table(
                folder / "scores" / "b32" / "part-00000.parquet", columns=["image_embedding", "text_embedding"]
            )
            arrays = {name: np.array(vectors[name].to_pylist(), np.float32) for name in vectors.column_names}
            np.savez(folder / "ours.npz", **arrays)
    return (LARGE - SMALL) / (least[LARGE] - least[SMALL]), most


def check(folder: Path) -> float:
    """The greatest difference of any coordinate of ours and clip-retrieval's; ends the benchmark where it is not rounding.

    Pictures with transparency are left out: we lay them on white, and clip-retrieval on whatever colour lies under it.
    """
    from curate.images.decoding import open_image

    mine, far = np.load(folder / "ours.npz"), 0.0
    with tarfile.open(folder / "images" / "part-00000.tar") as tar:
        opened = [open_image(tar.extractfile(entry).read(), sys.maxsize) for entry in tar]  # type: ignore[union-attr]
    opaque = np.array([not image.has_transparency_data for image in opened])
    if opaque.sum() < 8:
        raise SystemExit(f"{opaque.sum()} pictures without transparency are too few to compare embeddings by")
    for name, kind in (("image_embedding", "img"), ("text_embedding", "text")):
        theirs = np.load(folder / "peer" / f"{kind}_emb" / f"{kind}_emb_0.npy").astype(np.float32)
        compared = opaque if kind == "img" else np.ones(len(opaque), bool)
        far = max(far, float(np.abs(mine[name] - theirs)[compared].max()))
    if not far < CLOSE:
        raise SystemExit(f"our embeddings and clip-retrieval's differ by {far}: they do not compute the same")
    return far


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("pool", nargs="?", type=Path, default=ROOT / "demo" / "pool")
    parser.add_argument("--runs", type=int, default=2)
    args = parser.parse_args()
    pool = args.pool
    with tempfile.TemporaryDirectory() as place:
        write_model(Path(place))
        folders = {number: Path(place) / str(number) for number in (SMALL, LARGE)}
        for number, folder in folders.items():
            folder.mkdir()
            write_inputs(pairs(pool, number), folder)
        mine, mb = rate("ours", folders, args.runs)
        theirs, peer_mb = rate("peer", folders, args.runs)
        far = check(folders[LARGE])
        alone = [json.loads(run("bare", folders[LARGE])[2]) for _ in range(args.runs)]
    whole, cut = (LARGE / min(found[name] for found in alone) for name in ("whole", "cut"))
    report(
        "score",
        f"{pool.name}: {LARGE} images and texts less {SMALL}, the best of {args.runs}, {ARCHITECTURE} with random weights, fp32 on a CPU, batches of {BATCH}, one torch "
        f"thread; clip-retrieval 2.45.0 reads img2dataset's tar with one process of its loader; embeddings differ by {far:.4f} at most",
        [
            row("vs_bare_model", mine, whole, "pairs / CPU s; stage against model", mb),
            row("vs_bare_model_cut_texts", mine, cut, "the same, the model spared padding as well", mb),
            row("vs_clip_retrieval", mine, theirs, "pairs / CPU s, start left out", mb),
            row("peak_rss_vs_clip_retrieval", mb, peer_mb, "MB, all processes", mb),
        ],
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        {"ours": ours, "bare": bare, "peer": peer}[sys.argv[2]](Path(sys.argv[3]))
    else:
        main()
