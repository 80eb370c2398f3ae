"""Who is in the pool: hosts, languages, kinds of text, directives of pages, answers of servers."""

from collections import Counter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curate.images import generations
from curate.report.sampling import Top
from curate.store import Dataset

HOST = r"^[a-z][a-z0-9+.-]*://(?:[^/?#@]*@)?(?P<host>[^/?#]+)"
TOP = 15


def pool(workdir: str) -> dict[str, Any]:
    """Counts of the pool as plain values; a part whose dataset is not there is None."""
    return {
        "pairs": _pairs(Dataset(workdir, "pairs")),
        "languages": _languages(Dataset(workdir, "matches"), Dataset(workdir, "balanced")),
        "downloads": _downloads(generations.newest(workdir)),
        "hosts_shipped": _shipped(Dataset(workdir, "shards")),
    }


def _pairs(pairs: Dataset) -> dict[str, Any] | None:
    manifest = pairs.manifest()
    if manifest is None:
        return None
    hosts, kinds, sources, robots = Top(), Top(), Top(), Top()
    for table in pairs.batches(["url", "kind", "source", "page_robots"]):
        hosts.add(counted(host_of(table["url"])))
        kinds.add(counted(table["kind"]))
        sources.add(counted(table["source"]))
        robots.add(counted(table["page_robots"].drop_null()))
    return {
        "hosts": _rows(hosts), "hosts_met": len(hosts.counts), "hosts_error": hosts.error,
        "kinds": _rows(kinds), "sources": _rows(sources), "robots": _rows(robots),
        "quarantine": manifest.extra.get("quarantine"),
    }  # fmt: skip


def host_of(urls: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    """Host and port of absolute URLs; an empty text where there is none."""
    return pc.fill_null(pc.struct_field(pc.extract_regex(urls, HOST), "host"), "")


def _languages(matches: Dataset, balanced: Dataset) -> list[dict[str, Any]] | None:
    """Pairs of each language, how many of them matched an entry, and how many balance kept."""
    if matches.manifest() is None:
        return None
    found, matched, kept = Top(), Top(), Top()
    decided = balanced.manifest() is not None
    decisions = balanced.batches(["state"]) if decided else None
    for table in matches.batches(["lang", "state"]):
        langs = pc.fill_null(table["lang"], "unknown")
        found.add(counted(langs))
        matched.add(counted(langs.filter(pc.equal(table["state"], "kept"))))
        if decisions is not None:
            kept.add(counted(langs.filter(pc.equal(next(decisions)["state"], "kept"))))
    return [
        {"name": lang, "pairs": n, "matched": matched.counts[lang], "kept": kept.counts[lang] if decided else None}
        for lang, n in found.most(TOP)
    ]


def _downloads(images: Dataset) -> dict[str, Any] | None:
    """Answers of servers, formats and bytes of distinct images, and ways of failing, and hosts that failed most."""
    if images.manifest() is None:
        return None
    answers, formats, failed, ways = Top(), Top(), Top(), Top()
    total, distinct, last = 0, 0, None
    for table in images.batches(["image_uid", "url", "state", "reason", "http_status", "format", "nbytes"]):
        # Rows of one image are adjacent, so an image is a change of image_uid: no set of all images is needed.
        uids = table["image_uid"].combine_chunks()
        first = pc.not_equal(uids, pa.concat_arrays([pa.array([last], pa.string()), uids[:-1]]))
        table, last = table.filter(pc.fill_null(first, True)), uids[-1].as_py() if len(uids) else last
        distinct += len(table)
        answers.add(counted(table["http_status"].cast(pa.string()).fill_null("not asked, or no answer")))
        kept = table.filter(pc.equal(table["state"], "kept"))
        formats.add(counted(kept["format"].fill_null("unknown")))
        total += pc.sum(kept["nbytes"]).as_py() or 0
        broken = table.filter(pc.equal(table["state"], "failed"))
        failed.add(counted(host_of(broken["url"])))
        ways.add(counted(broken["reason"].fill_null("unknown")))
    return {
        "images": distinct, "bytes": total, "answers": _rows(answers), "formats": _rows(formats),
        "failures": _rows(ways), "failed_hosts": _rows(failed),
    }  # fmt: skip


def _shipped(shards: Dataset) -> list[dict[str, Any]] | None:
    if shards.manifest() is None:
        return None
    hosts = Top()
    for table in shards.batches(["url"]):
        hosts.add(counted(host_of(table["url"])))
    return _rows(hosts)


def counted(values: pa.ChunkedArray | pa.Array) -> Counter[str]:
    """How often each value stands in a column."""
    counts = pc.value_counts(values)
    return Counter(dict(zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True)))


def _rows(top: Top) -> list[dict[str, Any]]:
    return [{"name": name, "rows": rows} for name, rows in top.most(TOP)]
