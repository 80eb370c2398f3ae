"""The score stage with a ViT-B/32 against the bare model on a batch in memory, and against clip-retrieval's inference.

python benchmarks/score.py [POOL] [--runs N]     # a folder with pairs.parquet, web.parquet and the images; the demo's pool by default

All have the same weights (random ones: no weights ship, and speed does not depend on them), the same images and texts, one
text an image, the same batches, float32, and torch with one thread a process, so that CPU seconds hold no spinning. What it takes to
start is left out: the difference of a large and a small run counts. They take turns, N times, and medians are reported: of rates, and of
the ratios of each turn. The bare model is open_clip's as it comes; the floor is the model as our stage has it (curate/packing.py, texts cut
after their longest) without the stage: nothing that reads, decodes or writes can be faster. How much packing gains is the processor's: where
MKL is good, half of the work is left out with the texts' padding and no more.

Our embeddings are compared with clip-retrieval's before anything is reported: they differ by the rounding of float16. Three kinds of
pictures are left out of that. Transparency we lay on white, and clip-retrieval on whatever colour lies under it. Opaque palettes we
turn into RGB before they are resized, as open_clip's own training does (webdataset's "pilrgb"); clip-retrieval hands them to open_clip's
transform as they are, where Pillow resizes numbers of colours by nearest neighbour: coordinates then differ by up to 0.004. And of
pictures longer than models.ELONGATION we resize the middle alone, which changes what the resampling sees at its edges (3e-4).
"""

import argparse
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from harness import Tree, report, row

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / "benchmarks" / ".venv-peers" / "bin" / "python"
SMALL, LARGE, BATCH = 32, 192, 32
ARCHITECTURE = "ViT-B-32"
CLOSE = 2.5e-4
"""Coordinates of two float16 embeddings of length 1: a rounding step between 1/8 and 1/4 is 1.2e-4."""


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
    from curate.scores import making, registry
    from curate.store import Dataset, Plan, part_name

    images, target, model = Dataset(str(folder), "images"), Dataset(str(folder), "scores/b32"), settings(folder)
    plan = Plan(dataset=target.name, stage="score", settings=registry.identity(model), inputs={}, parts=(part_name(0),))
    target.begin(plan)
    task = making.Task(model, target, plan)
    making.score_part(part_name(0), images=images, tasks=[task], device="cpu", threads=2, max_pixels=50_000_000)


def plain(folder: Path) -> Any:
    import open_clip
    import torch

    model = open_clip.create_model(ARCHITECTURE, load_weights=False).eval()
    model.load_state_dict(torch.load(folder.parent / "model.pt", weights_only=True))
    return model


def bare(folder: Path) -> None:
    """Prints CPU seconds on tensors that are ready in memory: of the model as it comes, and of ours."""
    import torch

    from curate import models
    from curate.images.decoding import decode
    from curate.store import Dataset

    clip, other = models.load(settings(folder), "cpu"), plain(folder)
    with tarfile.open(folder / "images" / "part-00000.tar") as tar:
        pixels = torch.stack([clip.pixels(decode(tar.extractfile(entry).read())) for entry in tar])  # type: ignore[union-attr]
    texts = Dataset(str(folder), "images").read_part("part-00000", ["text"])["text"].to_pylist()
    ids = models.tokens(clip.tokenizer, texts)
    by_length = ids[clip.texts.lengths(ids).argsort()]
    last = pixels.contiguous(memory_format=torch.channels_last)

    def seconds(encode: Any, given: Any) -> float:
        with torch.inference_mode():
            encode(given[:BATCH])
            start = time.process_time()
            for batch in given.split(BATCH):
                encode(batch)
            return time.process_time() - start

    whole = seconds(other.encode_image, pixels) + seconds(other.encode_text, ids)
    floor = seconds(clip.model.encode_image, last) + seconds(clip.texts.encode, by_length)
    print(json.dumps({"bare": whole, "floor": floor}))


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


def rate(who: str, folders: dict[int, Path]) -> tuple[float, float]:
    """(images a CPU second without what it takes to start, peak MB), once."""
    seconds, most = dict.fromkeys(folders, 0.0), 0.0
    for number, folder in folders.items():
        shutil.rmtree(folder / {"ours": "scores", "peer": "peer"}[who], ignore_errors=True)
        seconds[number], peak, _ = run(who, folder)
        most = max(most, peak)
        if who == "ours":
            vectors = pq.read_table(
                folder / "scores" / "b32" / "part-00000.parquet", columns=["image_embedding", "text_embedding"]
            )
            arrays = {name: np.array(vectors[name].to_pylist(), np.float32) for name in vectors.column_names}
            np.savez(folder / "ours.npz", **arrays)
    return (LARGE - SMALL) / (seconds[LARGE] - seconds[SMALL]), most


def check(folder: Path) -> float:
    """The greatest difference of any coordinate of ours and clip-retrieval's; ends the benchmark where it is not rounding.

    Pictures that the two mean to treat otherwise are left out, see above.
    """
    from curate.images.decoding import open_image
    from curate.models import ELONGATION

    mine, far = np.load(folder / "ours.npz"), 0.0
    with tarfile.open(folder / "images" / "part-00000.tar") as tar:
        opened = [open_image(tar.extractfile(entry).read(), sys.maxsize) for entry in tar]  # type: ignore[union-attr]
    alike = np.array([
        not image.has_transparency_data and image.mode != "P" and max(image.size) <= ELONGATION * min(image.size) for image in opened
    ])  # fmt: skip
    if alike.sum() < 8:
        raise SystemExit(f"{alike.sum()} opaque pictures without a palette are too few to compare embeddings by")
    for name, kind in (("image_embedding", "img"), ("text_embedding", "text")):
        theirs = np.load(folder / "peer" / f"{kind}_emb" / f"{kind}_emb_0.npy").astype(np.float32)
        compared = alike if kind == "img" else np.ones(len(alike), bool)
        far = max(far, float(np.abs(mine[name] - theirs)[compared].max()))
    if not far < CLOSE:
        raise SystemExit(f"our embeddings and clip-retrieval's differ by {far}: they do not compute the same")
    return far


def turn(folders: dict[int, Path]) -> dict[str, float]:
    """Rates in pairs a CPU second of everyone, one after the other, and peak MB."""
    found: dict[str, float] = {}
    for who in ("ours", "peer"):
        found[who], found[f"{who}_mb"] = rate(who, folders)
    alone = json.loads(run("bare", folders[LARGE])[2])
    return found | {name: LARGE / seconds for name, seconds in alone.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("pool", nargs="?", type=Path, default=ROOT / "demo" / "pool")
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    pool = args.pool
    with tempfile.TemporaryDirectory() as place:
        write_model(Path(place))
        folders = {number: Path(place) / str(number) for number in (SMALL, LARGE)}
        for number, folder in folders.items():
            folder.mkdir()
            write_inputs(pairs(pool, number), folder)
        turns = [turn(folders) for _ in range(args.runs)]
        far = check(folders[LARGE])

    def line(what: str, ours: str, peer: str, unit: str) -> dict[str, Any]:
        middle = {name: median(t[name] for t in turns) for name in turns[0]}
        found = row(what, middle[ours], middle[peer], unit, middle["ours_mb"])
        return found | {"ratio": round(median(t[ours] / t[peer] for t in turns), 3),
                        "ratios": [round(t[ours] / t[peer], 3) for t in turns]}  # fmt: skip

    report(
        "score",
        f"{pool.name}: {LARGE} images and texts less {SMALL}, medians of {args.runs} turns, {ARCHITECTURE} with random weights, fp32 on a CPU, batches of {BATCH}, "
        f"one torch thread; clip-retrieval 2.45.0 reads img2dataset's tar with one process of its loader; embeddings differ by {far:.5f} at most",
        [
            line("vs_bare_model", "ours", "bare", "pairs / CPU s; stage against open_clip's model alone"),
            line("vs_floor", "ours", "floor", "the same against our model alone, packed, texts cut"),
            line("vs_clip_retrieval", "ours", "peer", "pairs / CPU s, start left out"),
            line("peak_rss_vs_clip_retrieval", "ours_mb", "peer_mb", "MB, all processes"),
        ],
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        {"ours": ours, "bare": bare, "peer": peer}[sys.argv[2]](Path(sys.argv[3]))
    else:
        main()
