"""A retry over a real loopback web: only what failed is asked for again, into new files, generation upon generation."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from curate import cli
from curate.images import generations, retrying
from curate.images.archive import images_of
from curate.images.downloading import download_part
from curate.images.retrying import Failures, RetryError
from curate.recipe import build
from curate.report.funnel import funnel
from curate.store import Dataset, StoreError
from jobs import download, engine, retry, road
from tests.hostile_web import picture
from tests.images import test_held as held
from tests.jobs.test_download import PARTS, pool, recipe

FLAKY = [f"flaky.{n}" for n in range(6)]
WANTED = [
    *((f"ok{n}.jpg", "good", None, "kept", False) for n in range(1, 9)),
    *((path, "heals", None, "kept", False) for path in FLAKY),
    ("flaky.0", "heals, and is drawn", None, "dropped", True),
    ("flaky.0", "is forbidden here", "noai", "kept", False),
    ("cut", "hangs up", None, "kept", True),
    ("404", "is gone", None, "kept", False),
    ("429", "wants fewer", None, "kept", False),
    ("robots.noai", "forbidden", None, "kept", False),
]  # fmt: skip
CONSENT = ("/robots.txt", "/.well-known/tdmrep.json")


def job(engines, workdir, redo=(), **changes) -> engine.Run:
    quick = {"retries": 0, "max_retry_after": 0, "retry_wait": 0.01} | changes
    return engine.Run(recipe(**quick), str(workdir), engines, frozenset(redo))


def files(workdir, name: str) -> dict[str, bytes]:
    return {f.name: f.read_bytes() for f in sorted((Path(workdir) / name).iterdir())}


def rows_of(data: Dataset) -> list[dict]:
    return pa.concat_tables(data.batches()).to_pylist()


def asked(web) -> dict[str, int]:
    return {path.strip("/"): n for path, n in web.asked.items() if path not in CONSENT and n}


@pytest.fixture
def here(monkeypatch):
    """Engines whose parts are made in this process: what a worker runs, without the seconds that it takes to start one."""
    monkeypatch.setattr(engine, "ray_parts", lambda _, function, parts, **how: [function(part) for part in parts])
    return engine.Engines()


@pytest.fixture
def fetched(tmp_path, hostile_web):
    """A workdir after a download in which everything flaky failed; made in this process, which is quicker."""
    pool(tmp_path, hostile_web, WANTED)
    here = job(engine.Engines(), tmp_path)
    plan = here.plan("images", here.recipe.download.identity(), retrying.SOURCES, PARTS)
    images, sources = here.dataset("images"), {name: here.dataset(name) for name in retrying.SOURCES}
    images.begin(plan)
    for part in PARTS:
        download_part(part, **sources, target=images, plan=plan, settings=here.recipe.download)
    failed = images.commit(plan).ledger.failed
    assert failed == {"http_5xx": 7, "connection_error": 1, "http_4xx": 1, "rate_limited": 1}
    hostile_web.asked.clear()
    return tmp_path


def heal(web, *but: str) -> None:
    """From the next request on, what is flaky answers, but for some."""
    web.asked.update({f"/{path}": 1 for path in FLAKY if path not in but})


def test_only_what_failed_is_asked_again_and_old_files_stay(engines, fetched, hostile_web, capsys):
    before, old = files(fetched, "images"), rows_of(Dataset(str(fetched), "images"))
    heal(hostile_web, "flaky.5")
    retry.run(job(engines, fetched), Failures.parse("http_5xx", None))
    said = capsys.readouterr().out
    assert "retry: retried 7 rows, recovered 6: http_5xx 6 of 7" in said
    assert asked(hostile_web) == dict.fromkeys(FLAKY[:5], 2) | {"flaky.5": 1}, "one request an image, for any texts"
    assert files(fetched, "images") == before

    new = generations.newest(str(fetched))
    rows, ledger = rows_of(new), new.require().ledger
    assert new.name == "images-1" and [r["uid"] for r in rows] == [r["uid"] for r in old]
    assert ledger.rows_in == len(rows) and ledger.failed == {
        "http_5xx": 1,
        "connection_error": 1,
        "http_4xx": 1,
        "rate_limited": 1,
    }
    assert ledger.notes == {"retried": 7, "recovered": 6, "retried_http_5xx": 7, "recovered_http_5xx": 6}
    for one, other in zip(old, rows, strict=True):
        assert one == other or one["reason"] == "http_5xx"
    for part in PARTS:
        with new.open_part(part) as file, Dataset(str(fetched), "images").open_part(part) as first:
            groups = range(first.num_row_groups)
            assert [file.metadata.row_group(g).num_rows for g in groups] == [
                first.metadata.row_group(g).num_rows for g in groups
            ]

    # Another on top: the failure that is left heals, what answers otherwise keeps its new ending.
    first = files(fetched, "images-1")
    hostile_web.asked.clear()
    heal(hostile_web)
    retry.run(job(engines, fetched), Failures.parse("connection_error,http_5xx", "429"))
    assert (
        "retried 3 rows, recovered 1: connection_error 0 of 1, rate_limited 0 of 1, http_5xx 1 of 1"
        in capsys.readouterr().out
    )
    assert {path for path in asked(hostile_web) if asked(hostile_web)[path] > 1 or path in ("cut", "429")} == {
        "flaky.5",
        "cut",
        "429",
    }
    assert (files(fetched, "images"), files(fetched, "images-1")) == (before, first)
    newest = generations.newest(str(fetched))
    assert newest.name == "images-2" and not newest.require().ledger.failed.get("http_5xx")

    # The bytes of all generations, in the order of the rows, each image once.
    for part in PARTS:
        kept = [r for r in newest.read_part(part).to_pylist() if r["state"] == "kept"]
        stored = list(images_of(newest, part))
        assert [image for image, _ in stored] == list(dict.fromkeys(r["image_uid"] for r in kept))
        hashes = {r["image_uid"]: r["sha256"] for r in kept}
        assert all(hashes[image] == hashlib.sha256(data).hexdigest() for image, data in stored)
    assert sum(len(list(images_of(newest, part))) for part in PARTS) == 8 + len(FLAKY)
    stages = {stage["dataset"]: stage for stage in funnel(str(fetched), job(engines, fetched).recipe)["stages"]}
    assert stages["images"]["kept"] == newest.require().ledger.kept == 8 + 7 and stages["images"]["balances"]

    hostile_web.asked.clear()
    retry.run(job(engines, fetched), Failures.parse("http_5xx", None))
    assert "nothing to retry: no row of images-2 failed with http_5xx" in capsys.readouterr().out
    assert not Dataset(str(fetched), "images-3").fs.exists(str(fetched / "images-3")) and not asked(hostile_web)


def test_an_http_status_chooses_by_itself(here, fetched, hostile_web, capsys):
    retry.run(job(here, fetched), Failures.parse(None, "404"))
    assert asked(hostile_web) == {"404": 1} and "http_4xx 0 of 1" in capsys.readouterr().out
    retry.run(job(here, fetched), Failures.parse(None, "418"))
    assert "nothing to retry: no row of images-1 failed with HTTP 418" in capsys.readouterr().out


def test_by_default_what_may_pass_is_retried(here, fetched, hostile_web):
    heal(hostile_web)
    retry.run(job(here, fetched), Failures.parse(None, None))
    assert {*asked(hostile_web)} == {*FLAKY, "cut", "429"}


def test_a_killed_retry_goes_on_where_it_stopped(here, fetched, hostile_web):
    heal(hostile_web)
    failures = Failures.parse("http_5xx,rate_limited", None)
    retry.run(job(here, fetched), failures)
    whole = {name: data for name, data in files(fetched, "images-1").items() if ".times." not in name}
    (fetched / "images-1/_manifest.json").unlink()
    (fetched / "images-1/part-00001.parquet").unlink()
    (fetched / "images-1/.part-00001.tar.0.tmp").write_bytes(b"left by a killed run")
    assert generations.newest(str(fetched)).name == "images"
    hostile_web.asked.clear()
    heal(hostile_web)
    with pytest.raises(StoreError, match=r"http_5xx.*--redo download"):
        retry.run(job(here, fetched), Failures.parse("timeout,connection_error", None))
    assert {path for path, n in asked(hostile_web).items() if n > 1} == set()
    retry.run(job(here, fetched, workers=1, concurrency=1), failures)
    assert {name: data for name, data in files(fetched, "images-1").items() if ".times." not in name} == whole
    second = {r["image_uid"] for r in Dataset(str(fetched), "images-1").read_part("part-00001").to_pylist()}
    again = {path for path, n in asked(hostile_web).items() if n > 1}
    assert again == {p for p in FLAKY if generations_part(hostile_web, p) == 1} and second


def generations_part(web, path: str) -> int:
    from curate.uid import image_uid, part_of

    return part_of(image_uid(web.url(path)), 2)


def test_a_new_download_leaves_no_old_generation_standing(here, fetched, hostile_web):
    heal(hostile_web)
    retry.run(job(here, fetched), Failures.parse("http_5xx", None))
    assert generations.newest(str(fetched)).name == "images-1"
    with pytest.raises(StoreError, match="--redo download"):
        download.run(job(here, fetched, max_pixels=10_000_000))
    download.run(job(here, fetched, ["download"], max_pixels=10_000_000))
    assert generations.newest(str(fetched)).name == "images" and not (fetched / "images-1").exists()


def test_a_generation_of_another_download_is_not_read(here, fetched, hostile_web):
    heal(hostile_web)
    retry.run(job(here, fetched), Failures.parse("http_5xx", None))
    manifest = fetched / "images/_manifest.json"
    manifest.write_bytes(manifest.read_bytes() + b"\n")
    assert generations.newest(str(fetched)).name == "images"
    assert [data.name for data in generations.stale(str(fetched))] == ["images-1"]


def test_other_pairs_than_the_download_had_are_refused(here, fetched):
    balanced = fetched / "balanced/_manifest.json"
    balanced.write_bytes(balanced.read_bytes() + b"\n")
    with pytest.raises(StoreError, match=r"other balanced .*--redo download"):
        retry.run(job(here, fetched), Failures.parse(None, None))


@pytest.mark.parametrize(
    ("status", "http", "words"),
    [
        ("http_5x", None, "no status 'http_5x': did you mean 'http_5xx'"),
        ("timeout,opted_out", None, "opted_out may not be retried: such rows did not fail"),
        ("sha256_differs", None, "may not be retried"),
        (None, "5xx", "'5xx' is no HTTP status"),
        (None, "4290", "'4290' is no HTTP status"),
        (" , ", None, "no status is named"),
    ],
)  # fmt: skip
def test_what_cannot_be_retried_is_said(status, http, words):
    with pytest.raises(RetryError) as error:
        Failures.parse(status, http)
    assert words in str(error.value)


def test_every_default_is_a_status_and_none_of_an_image_at_hand():
    assert Failures.parse(",".join(retrying.TRANSIENT), None) and "not_at_hand" not in retrying.TRANSIENT


def test_the_command_and_the_script_are_one(tmp_path, capsys, monkeypatch):
    root = Path(__file__).resolve().parents[2]
    asked = ["-c", "demo", "-w", str(tmp_path), "--status", "http_5x"]
    script = subprocess.run(
        [sys.executable, "jobs/retry.py", *asked], capture_output=True, text=True, cwd=root, check=False
    )
    assert script.returncode == 2 and "did you mean 'http_5xx'" in script.stderr
    monkeypatch.setattr(sys, "argv", ["curate", "retry", *asked])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert (ended.value.code, capsys.readouterr().err) == (2, script.stderr)


def test_a_dry_run_lists_generations(here, fetched, hostile_web, capsys):
    def listed() -> dict[str, str]:
        road.show(job(here, fetched).recipe, str(fetched), ["balance", "download", "dedup"])
        return {line.split()[1]: line[33:40].strip() for line in capsys.readouterr().out.splitlines()}

    assert listed() == {"balanced": "done", "images": "done", "duplicates": "to do"}
    heal(hostile_web, "flaky.5")
    retry.run(job(here, fetched), Failures.parse("http_5xx", None))
    capsys.readouterr()
    assert listed() == {"balanced": "done", "images": "done", "images-1": "done", "duplicates": "to do"}
    road.show(job(here, fetched).recipe, str(fetched), ["download"])
    first, above = capsys.readouterr().out.splitlines()
    assert "retry: {'http': [], 'statuses': ['http_5xx']}" in above and "statuses" not in first
    (fetched / "images-1/_manifest.json").unlink()
    assert listed()["images-1"] == "begun"
    manifest = fetched / "images/_manifest.json"
    manifest.write_bytes(manifest.read_bytes() + b"\n")
    assert listed()["images-1"] == "stale"


def test_images_at_hand_are_read_again_and_never_asked_for(here, tmp_path, hostile_web):
    for shard, numbers in (("s", (0, 1, 2)), ("t", (3,))):
        samples = ({f"{n}.jpg": picture(seed=n), f"{n}.txt": f"text {n}".encode()} for n in numbers)
        held.tar(tmp_path / f"{shard}.tar", {name: data for sample in samples for name, data in sample.items()})
    inputs = {"sources": [{"name": "here", "inputs": [f"{tmp_path}/*.tar"]}]}
    held.pool(tmp_path, held.read(f"{tmp_path}/*.tar") + held.web_rows(hostile_web, ["flaky.0", "ok9.jpg"]))
    settings = {"allow_addresses": ["127.0.0.1"], "retries": 0, "retry_wait": 0.01}
    pool = build({"name": "t", "extract": inputs, "score": {"models": []}, "download": settings})
    run = engine.Run(pool, str(tmp_path), here)

    def failed() -> dict[str, int]:
        return generations.newest(run.workdir).require().ledger.failed

    (tmp_path / "s.tar").rename(tmp_path / "away")
    download.run(run)
    assert failed() == {"not_at_hand": 3, "http_5xx": 1}
    # What the web failed is asked for again; what was not at hand is looked for when that is said.
    (tmp_path / "away").rename(tmp_path / "s.tar")
    retry.run(run, Failures.parse(None, None))
    assert failed() == {"not_at_hand": 3} and asked(hostile_web) == {"flaky.0": 2, "ok9.jpg": 1}
    hostile_web.asked.clear()
    retry.run(run, Failures.parse("not_at_hand", None))
    newest = generations.newest(run.workdir)
    assert newest.name == "images-2" and not failed() and not hostile_web.asked
    (part,) = newest.part_names()
    stored = list(images_of(newest, part))
    assert [image for image, _ in stored] == sorted({image for image, _ in stored})
    assert sorted(data for _, data in stored) == sorted(
        [picture(), picture(seed=9), *(picture(seed=n) for n in range(4))]
    )
