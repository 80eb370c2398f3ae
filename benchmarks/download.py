"""The download stage against img2dataset alone, on one loopback web: images had on the hostile part, images a second on the easy one.

python benchmarks/download.py [POOL] [--latency SECONDS]     # a folder with web.parquet; the demo's pool by default

img2dataset gets its best form. No resize, no EXIF, no look at headers, bytes that are not encoded again where that can be avoided, as
many shards as processes. It opens its images, since without that (disable_all_reencoding) pages count as images too. Numbers of
processes, threads and retries, the format and the timeout are searched for, one after the other from the usual ones, by the measure
that each row is about. Both give all images and a table with sizes and sha256; ours also decodes to a perceptual hash, asks each host
for its robots.txt and tdmrep.json, and waits where a server asks for it.
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
MIDDLE = 4_000
"""Images of a run of the search."""
USUAL = {"processes_count": 2, "thread_count": 64, "encode_format": "jpg", "retries": 0, "timeout": 5}
SEARCH = [
    {}, {"thread_count": 16}, {"thread_count": 32}, {"thread_count": 128}, {"thread_count": 256}, {"processes_count": 1},
    {"processes_count": 4}, {"encode_format": "png", "encode_quality": 1}, {"encode_format": "webp"},
]  # fmt: skip
"""What the easy part is tried with, each apart from the usual."""
SEARCH_HOSTILE = [
    {}, {"retries": 3}, {"retries": 3, "timeout": 15}, {"retries": 3, "encode_format": "png", "encode_quality": 1},
]  # fmt: skip
DIRECTIVES = ["noai", "noimageai", "noindex", "noimageindex"]
"""What img2dataset heeds by itself: the part that is about being forbidden leaves it that."""
Setting = dict[str, Any]


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


def peer(urls: list[str], folder: Path, setting: Setting) -> int:
    """img2dataset alone. Images that it says it has."""
    from img2dataset import download

    table = folder / "urls.parquet"
    pq.write_table(pa.table({"url": urls}), table)
    how = USUAL | {"disallowed_header_directives": []} | setting
    download(
        url_list=str(table), input_format="parquet", output_format="webdataset", output_folder=str(folder / "out"),
        resize_mode="no", skip_reencode=True, extract_exif=False, save_additional_columns=None, compute_hash="sha256",
        number_sample_per_shard=max(1, -(-len(urls) // how["processes_count"])), enable_wandb=False, **how,
    )  # fmt: skip
    tables = [pq.read_table(file, columns=["status"]) for file in (folder / "out").glob("*.parquet")]
    return sum(column.to_pylist().count("success") for found in tables for column in found.columns)


def run(who: str, urls: list[str], setting: Setting | None = None) -> dict[str, float]:
    """{images, wall, cpu, mb} of a fetcher in a process of its own, and of all that it starts."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "urls.json").write_text(json.dumps(urls))
        command = [sys.executable, __file__, "--child", who, folder, json.dumps(setting or {})]
        start = time.monotonic()
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        with Tree(child.pid) as tree:
            output, _ = child.communicate(timeout=3600)
            wall, cpu = time.monotonic() - start, tree.cpu_seconds()
        images = int(output.strip().splitlines()[-1])
    print(
        f"  {who} {setting or ''}: {images} of {len(urls)} in {wall:.1f} s, {cpu:.1f} CPU s, {tree.peak_mb:.0f} MB",
        flush=True,
    )
    return {"images": images, "wall": wall, "cpu": cpu, "mb": tree.peak_mb}


def rates(who: str, port: int, setting: Setting | None = None) -> dict[str, float]:
    """Images a CPU second without what it takes to start, and a second of the whole larger run with it; the best of two runs of
    each size. Wall time of a machine that others use too is not fit to be subtracted."""
    least: dict[int, dict[str, float]] = {}
    for number in (SMALL, LARGE, SMALL, LARGE):
        found = run(who, easy_urls(port, number), setting)
        before = least.setdefault(number, found)
        least[number] = {key: min(found[key], before[key]) for key in found}
    small, large = least[SMALL], least[LARGE]
    more = large["images"] - small["images"]
    return {
        "rate": more / (large["cpu"] - small["cpu"]),
        "wall_rate": large["images"] / large["wall"],
        "mb": large["mb"],
    }


def best_of(search: list[Setting], urls: list[str], *measures: str) -> list[Setting]:
    """For each measure, in images for each of it, the usual setting with every change that did more by itself
    than the usual one did; the best change of each name."""
    found = [(change, run("peer", urls, change)) for change in search]

    def worth(result: dict[str, float], measure: str) -> float:
        return result["images"] / result[measure]

    best = []
    for measure in measures:
        ranked = sorted(found, key=lambda one: worth(one[1], measure))
        usual = worth(found[0][1], measure)
        better = [change for change, result in ranked if worth(result, measure) > usual]
        best.append({name: value for change in better for name, value in change.items()})
    return best


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("pool", nargs="?", type=Path, default=ROOT / "demo" / "pool")
    parser.add_argument("--latency", type=float, default=0.0)
    args = parser.parse_args()
    with serving(args.pool, args.latency) as (port, images):
        print(f"easy: {LARGE:,} URLs of {images:,} images")
        mine = rates("ours", port)
        thrifty, quick = best_of(SEARCH, easy_urls(port, MIDDLE), "cpu", "wall")
        tried = [(setting, rates("peer", port, setting)) for setting in (thrifty, quick, {})]
        fast, fastest = max(tried, key=lambda one: one[1]["rate"])
        soon, soonest = max(tried, key=lambda one: one[1]["wall_rate"])
        print("hostile")
        wanted = hostile_urls(port, WANTED + HOPELESS)
        got = run("ours", wanted)
        theirs = [(run("peer", wanted, setting), setting) for setting in SEARCH_HOSTILE]
        most, how = max(theirs, key=lambda found: found[0]["images"])
        forbidden = hostile_urls(port, FORBIDDEN)
        heeding = {"disallowed_header_directives": DIRECTIVES}
        respect = (run("ours", forbidden)["images"], run("peer", forbidden, heeding)["images"])
    report(
        "download",
        f"{args.pool.name}: easy {LARGE:,} URLs of {images:,} images on 250 hosts, latency {args.latency} s, 2 workers; "
        f"hostile {len(wanted)} URLs of 22 habits on 176 hosts; img2dataset 1.47: {USUAL | fast} most images a CPU second, {USUAL | soon} a second, "
        f"{USUAL | how} most images of the hostile part, of {len(SEARCH)} and {len(SEARCH_HOSTILE)} settings; forbidden by robots.txt or header: {len(forbidden)} URLs, taken by ours {respect[0]}, by img2dataset {respect[1]}",
        [
            row("images_vs_img2dataset", got["images"], most["images"], f"images of {len(hostile_urls(0, WANTED))} to be had", got["mb"]),
            row("rate_vs_img2dataset", mine["rate"], fastest["rate"], "images / CPU s, start left out", mine["mb"]),
            row("wall_rate_vs_img2dataset", mine["wall_rate"], soonest["wall_rate"], "images / s of wall time, start included", mine["mb"]),
            row("peak_rss_vs_img2dataset", mine["mb"], fastest["mb"], "MB, all processes", mine["mb"]),
        ],
    )  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        who, folder = sys.argv[2], Path(sys.argv[3])
        urls = json.loads((folder / "urls.json").read_text())
        print(peer(urls, folder, json.loads(sys.argv[4])) if who == "peer" else ours(urls, folder))
    else:
        main()
