"""The recaption stage against a bare client that posts the same bodies, at an endpoint that takes its time.

python benchmarks/captions.py [--runs N]

The endpoint is a process of its own on loopback with room for everybody: what it takes is time, not a processor. The bare client (aiohttp,
as many requests open at a time) has its bodies ready in memory before its clock starts, reads each answer and parses it. Our clock goes over the whole
stage on one worker: tables and tars read, images made ready, requests written and marked, answers kept, captions tidied, a part of Parquet written. Both waits
count (an endpoint is waited for), so wall time is compared, the median of N runs that take turns; CPU seconds stand beside it. What it takes to start is left out.
"""

import argparse
import asyncio
import hashlib
import io
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from bench_endpoint import SAID
from harness import report, row
from PIL import Image

PART = "part-00000"


class Case(NamedTuple):
    """As many requests, so many open at a time, each answered after so many milliseconds, give or take a share; pictures of so many
    pixels, or none. Where no time is spread, all answers come at once, and what a client does with them adds up."""

    number: int
    open: int
    milliseconds: float
    spread: float
    shape: tuple[int, int] | None


CASES = {
    "vs_bare_client": Case(2000, 32, 100, 0.5, (480, 360)),
    "vs_bare_client_texts": Case(2000, 32, 100, 0.5, None),
    "vs_bare_client_large_images": Case(400, 8, 200, 0.5, (1280, 960)),
    "vs_bare_client_20_ms": Case(2000, 8, 20, 0, (480, 360)),
}


# -- what is captioned


def picture(number: int, shape: tuple[int, int]) -> bytes:
    """A JPEG of colours that run into each other, with grain: as many bytes as a photograph of its size."""
    chance = np.random.default_rng(number)
    colours = Image.fromarray(chance.integers(0, 256, (12, 16, 3), np.uint8)).resize(shape, Image.Resampling.BICUBIC)
    grain = chance.integers(-6, 7, (shape[1], shape[0], 1))
    out = io.BytesIO()
    Image.fromarray((np.asarray(colours) + grain).clip(0, 255).astype(np.uint8)).save(out, "JPEG", quality=85)
    return out.getvalue()


def write_workdir(folder: Path, case: Case) -> None:
    """A part of `images` and of `duplicates`, a text an image. Of pictures there are 40: that others are the same changes no cost."""
    from curate import schema
    from curate.images.archive import ArchiveWriter, tar_name
    from curate.store import Dataset, Plan
    from curate.uid import image_uid

    pictures = [picture(number, case.shape or (64, 48)) for number in range(40)]
    names = sorted(image_uid(f"http://pictures.example/{number}.jpg") for number in range(case.number))
    images = [
        dict.fromkeys(schema.load("images").columns)
        | {"uid": name, "image_uid": name, "url": f"http://pictures.example/{name}", "text": f"alt text {name} of a boat", "kind": "alt"}
        | {"curated": True, "baseline": True, "state": "kept", "sha256": hashlib.sha256(name.encode()).hexdigest()}
        for name in names
    ]  # fmt: skip
    duplicates = [dict.fromkeys(schema.load("duplicates").columns) | {"uid": name, "state": "kept"} for name in names]
    for dataset, rows in (("images", images), ("duplicates", duplicates)):
        data, known = Dataset(str(folder), dataset), schema.load(dataset)
        plan = Plan(dataset=dataset, stage=known.stage, settings={}, inputs={}, parts=(PART,))
        data.begin(plan)
        if dataset == "images":
            with data.sidecar(tar_name(PART)) as file:
                tar = ArchiveWriter(file)
                for index, name in enumerate(names):
                    tar.add(f"{name}.jpg", pictures[index % len(pictures)])
                tar.close()
        with data.write_part(PART, plan.hash) as part:
            part.write(pa.Table.from_pylist(rows, schema=known.arrow()))
        data.commit(plan)


def only_texts() -> None:
    """Describe without its pictures, which asks about each pair's own text instead: the cheapest request that there is."""
    from curate.backends.contract import Request, Sampling
    from curate.captions import describe

    def converse(self: Any, given: Any) -> Any:
        answers = yield [Request(f"Say in other words: {given.text}", describe.SYSTEM, None, Sampling(max_tokens=160))]
        return describe.described(answers)

    describe.Describe.shows = False
    describe.Describer.converse = converse  # type: ignore[method-assign]


def task_of(folder: Path, url: str, target: str, number_open: int) -> Any:
    from curate import recipe
    from curate.captions import registry
    from curate.captions.making import Task
    from curate.store import Dataset, Plan

    asks = {"backend": "openai", "endpoint": url, "model": "eyes", "concurrency": number_open}
    section = {"backends": [asks], "captioners": [{"captioner": "describe", "backend": "openai", "name": target}]}
    told = recipe.build({"name": "bench", "extract": {"inputs": ["x"]}, "recaption": section}).recaption
    settings, backend = told.captioners[0], told.backends[0]
    identity = registry.identity(settings, backend)
    plan = Plan(dataset=f"captions/{target}", stage="recaption", settings=identity, inputs={}, parts=(PART,))
    images, data = Dataset(str(folder), "images"), Dataset(str(folder), plan.dataset)
    data.begin(plan)
    answers = str(folder / f"answers-{target}")
    return Task(settings, backend, (), images, data, plan, 0, "cpu", 2, 50_000_000, answers)


# -- the two


def ours(folder: Path, url: str, case: Case) -> None:
    """The stage as its job runs it, but for the engine that starts it; once on a small part, to be warm."""
    from curate.captions.making import caption_part

    caption_part(PART, task=task_of(folder.parent / "warm", url, "warm", case.open))
    task = task_of(folder, url, "mine", case.open)
    with Clock() as clock:
        made = caption_part(PART, task=task)
    if made.part.ledger.kept != made.counts["asked"] or made.counts["known"]:
        raise SystemExit(f"not every pair was asked for once and captioned: {made}")
    clock.print(made.counts["asked"])


def bodies(folder: Path, url: str, case: Case) -> list[bytes]:
    """What the stage posts, as it makes it."""
    from curate.backends import protocol
    from curate.captions import registry
    from curate.captions.making import inputs_of, rows_of

    task = task_of(folder, url, "bare", case.open)
    captioner = registry.kind(task.settings).load(task.settings, "cpu", {})
    made = []
    for given in rows_of(PART, inputs_of(task, captioner.reads), task):
        for request in next(captioner.converse(given)):
            image = request.photo.sent(task.backend.side) if request.photo else None
            made.append(protocol.body(task.backend.model, request, image))
    return made


def bare(folder: Path, url: str, case: Case) -> None:
    import aiohttp

    ready = bodies(folder, url, case)

    async def post_all(some: list[bytes]) -> None:
        waiting, connector = iter(some), aiohttp.TCPConnector(limit=case.open)

        async def work(session: Any) -> None:
            for body in waiting:
                headers = {"Content-Type": "application/json"}
                async with session.post(f"{url}/chat/completions", data=body, headers=headers) as response:
                    assert (await response.json())["choices"][0]["message"]["content"] == SAID

        async with aiohttp.ClientSession(connector=connector) as session:
            await asyncio.gather(*(work(session) for _ in range(case.open)))

    asyncio.run(post_all(ready[:64]))
    with Clock() as clock:
        asyncio.run(post_all(ready))
    clock.print(len(ready))


class Clock:
    """Wall and CPU seconds of a block in this process."""

    def __enter__(self) -> "Clock":
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: Any) -> None:
        self._wall, self._cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu

    def print(self, requests: int) -> None:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"rate": requests / self._wall, "cpu": 1000 * self._cpu / requests, "mb": peak}))


def run(who: str, name: str, folder: Path, url: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", who, name, str(folder), url]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=600)
    if done.returncode:
        raise SystemExit(f"{who} ended with {done.returncode}: {done.stdout[-2000:]}")
    found = json.loads(done.stdout.strip().splitlines()[-1])
    print(f"  {name} {who}: {found}", flush=True)
    return found


def compared(name: str, case: Case, place: Path, runs: int) -> list[dict[str, Any]]:
    """The rows of a case."""
    found: dict[str, list[dict[str, float]]] = {"ours": [], "bare": []}
    for number in range(runs):
        root = place / f"{name}-{number}"
        for folder, size in (("warm", 40), ("pool", case.number)):
            (root / folder).mkdir(parents=True)
            write_workdir(root / folder, case._replace(number=size))
        program = str(Path(__file__).with_name("bench_endpoint.py"))
        command = [sys.executable, program, str(case.milliseconds), str(case.spread)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            try:
                url = f"http://127.0.0.1:{int(server.stdout.readline())}/v1"  # type: ignore[union-attr]
                for who in ("ours", "bare") if number % 2 else ("bare", "ours"):
                    found[who].append(run(who, name, root / "pool", url))
            finally:
                server.kill()
        subprocess.run(["rm", "-rf", str(root)], check=True)
    middle = {who: {key: statistics.median(one[key] for one in some) for key in some[0]} for who, some in found.items()}
    mine, peer = middle["ours"], middle["bare"]
    return [
        row(name, mine["rate"], peer["rate"], f"requests / s; {case.open} open, {case.milliseconds:g} ms each", mine["mb"]),
        row(f"{name}_cpu", mine["cpu"], peer["cpu"], "CPU s / 1,000 requests", mine["mb"]),
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        rows = [line for name, case in CASES.items() for line in compared(name, case, Path(place), args.runs)]
    report(
        "captions",
        "one worker, an endpoint on loopback that takes a time for each request (half to one and a half times what stands there, the 20 ms exactly); JPEGs of 480 x 360 sent as they are, texts, JPEGs of 1280 x 960 made smaller; the peer is "
        f"aiohttp posting the same bodies from memory; medians of {args.runs} runs that take turns, wall time",
        rows,
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        case = CASES[sys.argv[3]]
        if case.shape is None:
            only_texts()
        {"ours": ours, "bare": bare}[sys.argv[2]](Path(sys.argv[4]), sys.argv[5], case)
    else:
        main()
