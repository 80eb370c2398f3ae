"""The download stage against img2dataset alone, on one loopback web: images had on the hostile part, images a second on the easy one.

python benchmarks/download.py [POOL] [--latency SECONDS]     # a folder with web.parquet; the demo's pool by default

img2dataset gets its best form: several numbers of processes, threads and retries are tried, and the best run of each part counts; no
resize, and bytes are not encoded again where that can be avoided. Both give all images and a table with sizes and sha256; ours also decodes to a
perceptual hash, asks each host for its robots.txt and tdmrep.json, and waits where a server asks for it.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from bench_web import FORBIDDEN, HOPELESS, WANTED, easy_urls, hostile_urls, serving
from harness import Tree, report, row

ROOT = Path(__file__).resolve().parent.parent
SMALL, LARGE = 1_000, 9_000
"""Images of two runs of the easy part; their difference in CPU time has no start of processes and imports in it."""
PEER = [(1, 64, 0), (2, 16, 0), (2, 64, 0)]
PEER_HOSTILE = [(2, 32, 0), (2, 32, 3)]


def ours(urls: list[str], folder: Path) -> int:
    """The stage itself on two workers, as its job runs it but for the engine that starts them. Images that it kept."""
    from concurrent.futures import ProcessPoolExecutor
    from functools import partial
    from multiprocessing import get_context

    from curate import uid
    from curate.images.downloading import download_part
    from curate.recipe import Download
    from curate.store import Dataset, Plan, part_name

    parts = tuple(part_name(n) for n in range(2))
    data = {name: Dataset(str(folder), name) for name in ("pairs", "matches", "balanced", "images")}
    rows = sorted((uid.image_uid(url), url) for url in urls)
    stages = {"pairs": "extract", "matches": "match", "balanced": "balance", "images": "download"}
    plans = {n: Plan(dataset=n, stage=s, settings={}, inputs={}, parts=parts) for n, s in stages.items()}
    for name in ("pairs", "matches", "balanced"):
        data[name].begin(plans[name])
        for index, part in enumerate(parts):
            with data[name].write_part(part, plans[name].hash) as out:
                mine = [(image, url) for image, url in rows if uid.part_of(image, 2) == index]
                plain = [_row(name, image, url) for image, url in mine]
                out.write(pa.Table.from_pylist(plain, schema=out._schema.arrow()))
        data[name].commit(plans[name])
    settings = Download(allow_addresses=("127.0.0.0/8",), timeout=5, max_seconds=20)
    inputs = {name: data[name] for name in ("pairs", "matches", "balanced")}
    work = partial(download_part, **inputs, target=data["images"], plan=plans["images"], settings=settings)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        return sum(part.ledger.kept for part in pool.map(work, parts))


def _row(name: str, image: str, url: str) -> dict[str, Any]:
    kept = {"uid": image, "state": "kept", "reason": None}
    return {
        "pairs": {"uid": image, "image_uid": image, "url": url, "text": "x", "kind": "alt", "source": "table",
                  "crawl_file": "x", "record_offset": 0},
        "matches": kept | {"lang": "en", "lang_score": 1.0, "entries": []},
        "balanced": kept | {"keep_probability": 1.0, "draw": 0.5, "baseline": False},
    }[name]  # fmt: skip


def peer(urls: list[str], folder: Path, processes: int, threads: int, retries: int) -> int:
    """img2dataset alone. Images that it says it has."""
    from img2dataset import download

    table = folder / "urls.parquet"
    pq.write_table(pa.table({"url": urls}), table)
    download(
        url_list=str(table), input_format="parquet", output_format="webdataset", output_folder=str(folder / "out"),
        resize_mode="no", skip_reencode=True, processes_count=processes, thread_count=threads, retries=retries, timeout=5,
        number_sample_per_shard=max(1, len(urls) // 2), compute_hash="sha256", enable_wandb=False,
        disallowed_header_directives=["noai", "noimageai", "noindex", "noimageindex"],
    )  # fmt: skip
    tables = [pq.read_table(file, columns=["status"]) for file in (folder / "out").glob("*.parquet")]
    return sum(column.to_pylist().count("success") for found in tables for column in found.columns)


def run(who: str, urls: list[str], *settings: int) -> dict[str, float]:
    """{images, wall, cpu, mb} of a fetcher in a process of its own, and of all that it starts."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "urls.json").write_text(json.dumps(urls))
        command = [sys.executable, __file__, "--child", who, folder, *map(str, settings)]
        start = time.monotonic()
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        with Tree(child.pid) as tree:
            output, _ = child.communicate(timeout=3600)
            wall, cpu = time.monotonic() - start, tree.cpu_seconds()
        images = int(output.strip().splitlines()[-1])
    print(
        f"  {who} {settings or ''}: {images} of {len(urls)} in {wall:.1f} s, {cpu:.1f} CPU s, {tree.peak_mb:.0f} MB",
        flush=True,
    )
    return {"images": images, "wall": wall, "cpu": cpu, "mb": tree.peak_mb}


def rates(who: str, port: int, *settings: int) -> dict[str, float]:
    """Images a CPU second without what it takes to start, and a second of the whole larger run with it; the best of two runs of
    each size. Wall time of a machine that others use too is not fit to be subtracted."""
    least: dict[int, dict[str, float]] = {}
    for number in (SMALL, LARGE, SMALL, LARGE):
        found = run(who, easy_urls(port, number), *settings)
        before = least.setdefault(number, found)
        least[number] = {key: min(found[key], before[key]) for key in found}
    small, large = least[SMALL], least[LARGE]
    more = large["images"] - small["images"]
    return {
        "rate": more / (large["cpu"] - small["cpu"]),
        "wall_rate": large["images"] / large["wall"],
        "mb": large["mb"],
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("pool", nargs="?", type=Path, default=ROOT / "demo" / "pool")
    parser.add_argument("--latency", type=float, default=0.0)
    args = parser.parse_args()
    with serving(args.pool, args.latency) as (port, images):
        print(f"easy: {LARGE:,} URLs of {images:,} images")
        mine = rates("ours", port)
        best = {setting: rates("peer", port, *setting) for setting in PEER}
        fast = max(best, key=lambda setting: best[setting]["rate"])
        quick = max(best, key=lambda setting: best[setting]["wall_rate"])
        print("hostile")
        wanted = hostile_urls(port, WANTED + HOPELESS)
        got = run("ours", wanted)
        theirs = [(run("peer", wanted, *setting), setting) for setting in PEER_HOSTILE]
        most, how = max(theirs, key=lambda found: found[0]["images"])
        forbidden = hostile_urls(port, FORBIDDEN)
        respect = (run("ours", forbidden)["images"], run("peer", forbidden, 2, 32, 0)["images"])
    report(
        "download",
        f"{args.pool.name}: easy {LARGE:,} URLs of {images:,} images on 250 hosts, latency {args.latency} s, 2 workers; "
        f"hostile {len(wanted)} URLs of 22 habits on 176 hosts; img2dataset 1.47 (processes, threads, retries) {fast} most images a CPU second, {quick} a second, {how} "
        f"most images of the hostile part; forbidden by robots.txt or header: {len(forbidden)} URLs, taken by ours {respect[0]}, by img2dataset {respect[1]}",
        [
            row("images_vs_img2dataset", got["images"], most["images"], f"images of {len(hostile_urls(0, WANTED))} to be had", got["mb"]),
            row("rate_vs_img2dataset", mine["rate"], best[fast]["rate"], "images / CPU s, start left out", mine["mb"]),
            row("wall_rate_vs_img2dataset", mine["wall_rate"], best[quick]["wall_rate"], "images / s of wall time, start included", mine["mb"]),
            row("peak_rss_vs_img2dataset", mine["mb"], best[fast]["mb"], "MB, all processes", mine["mb"]),
        ],
    )  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        who, folder = sys.argv[2], Path(sys.argv[3])
        urls = json.loads((folder / "urls.json").read_text())
        print(peer(urls, folder, *map(int, sys.argv[4:])) if who == "peer" else ours(urls, folder))
    else:
        main()
