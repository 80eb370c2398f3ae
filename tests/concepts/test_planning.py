"""Expected set sizes: against brute force, against what counts promise, and against the sets that are drawn."""

import math
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from curate import schema
from curate.concepts import balancing, counting, planning
from curate.concepts.counting import CountError
from curate.concepts.merging import Pool
from curate.concepts.thresholds import Thresholds
from curate.recipe import Balance
from curate.store import Dataset, Plan
from curate.uid import image_uid, pair_uid
from tests.jobs.conftest import commit

ASKED = (
    Thresholds({"de": 2, "en": 1}, None),
    Thresholds({"de": 5, "en": 20}, 0.1),
    Thresholds({"de": 999, "en": 999}, None),
)


def pool_rows(images: int = 900) -> list[dict]:
    """Images with one to three texts in two languages; some match nothing. Low ids are frequent."""
    chance, rows = np.random.default_rng(4), []
    for i in range(images):
        url = f"http://a.example/{i}"
        for text in range(chance.integers(1, 4)):
            entries = sorted({int(e) for e in np.minimum(chance.geometric(0.25, chance.integers(0, 5)) - 1, 30)})
            rows.append({
                "uid": pair_uid(url, str(text)), "image_uid": image_uid(url), "url": url, "text": str(text),
                "lang": "en" if chance.random() < 0.8 else "de", "lang_score": 0.9, "entries": entries,
                "state": "kept" if entries else "dropped", "reason": None if entries else "no_entry",
                "kind": "alt", "page_url": "http://a.example/", "page_robots": None, "page_lang": None, "source": "warc",
                "crawl_file": "a", "record_offset": 0,
            })  # fmt: skip
    return sorted(rows, key=lambda row: (row["image_uid"], row["uid"]))


def table(rows: list[dict], name: str) -> pa.Table:
    arrow = schema.load(name).arrow()
    return pa.Table.from_pylist([{column: row.get(column) for column in arrow.names} for row in rows], schema=arrow)


def put_counts(workdir: str, tally: counting.Tally) -> Dataset:
    target, rows = Dataset(workdir, "counts"), tally.table()
    parts = tuple(sorted(set(counting.parts_of(["de", "en"]).values())))
    plan = Plan(dataset="counts", stage="match", settings={}, inputs={}, parts=parts)
    target.begin(plan)
    for lang, part in counting.parts_of(["de", "en"]).items():
        counting.write(rows.filter(pa.compute.equal(rows["lang"], lang)), target, plan, part)
    target.commit(plan, extra={"languages": counting.placed(target, parts), "matched": {"rule": "metaclip1"}})
    return target


@pytest.fixture(scope="module")
def rows():
    return pool_rows()


@pytest.fixture(scope="module")
def workdir(rows, tmp_path_factory):
    """`pairs`, `matches` and `counts`; two parts, cut between images, with row groups that cut through them."""
    root, half = str(tmp_path_factory.mktemp("plan")), len(rows) // 2
    while rows[half]["image_uid"] == rows[half - 1]["image_uid"]:
        half += 1
    for name in ("pairs", "matches"):
        parts = [table(part, name) for part in (rows[:half], rows[half:])]
        commit(root, name, [[part.slice(at, 101) for at in range(0, len(part), 101)] for part in parts])
    tally = counting.Tally()
    for batch in Dataset(root, "matches").batches():
        tally.add(batch)
    put_counts(root, tally)
    return root


def planned(workdir: str, asked=ASKED, seed: int | None = None, pool: Pool | None = None, cut: bool = True) -> dict:
    """The account as the job makes it, without an engine. With a seed, one text per image is drawn by it."""
    matches, pool = Dataset(workdir, "matches"), pool or Pool((Dataset(workdir, "counts"),))
    names = matches.part_names() if cut else [",".join(matches.part_names())]
    pairs = None if seed is None else Dataset(workdir, "pairs")
    tables = [
        planning.sum_parts(p, matches=matches, pairs=pairs, pool=pool, asked=asked, seed=seed or 0) for p in names
    ]
    summed = pa.concat_tables(tables).group_by(["lang", "asked"]).aggregate([(name, "sum") for name in planning.SUMS])
    return planning.account(
        pool, asked, [{k.removesuffix("_sum"): v for k, v in row.items()} for row in summed.to_pylist()]
    )


def brute_force(rows: list[dict], found: Thresholds) -> dict:
    """The figures, row by row, from the definitions."""
    counts: dict = {}
    for row in rows:
        for entry in row["entries"]:
            counts[row["lang"], entry] = counts.get((row["lang"], entry), 0) + 1
    classes = {name: {"pairs": 0, "expected": 0.0, "keeps": 0.0} for name in planning.CLASSES}
    out = {"expected_matches": 0.0, "expected_tail": 0.0, "variance": 0.0, "matches": 0, "tail_matches": 0}
    for row in rows:
        if not row["entries"]:
            continue
        t, mine = found.t[row["lang"]], [counts[row["lang"], entry] for entry in row["entries"]]
        odds = [t / max(t, count) for count in mine]
        keep = 1 - math.prod(1 - p for p in odds)
        tail = sum(count <= t for count in mine)
        name = "tail_entry" if tail else "one_head_entry" if len(mine) == 1 else "several_head_entries"
        classes[name]["pairs"] += 1
        classes[name]["expected"] += keep
        classes[name]["keeps"] += sum(odds)
        out["expected_matches"] += keep * len(mine)
        out["expected_tail"] += keep * tail
        out["variance"] += keep * (1 - keep)
        out["matches"] += len(mine)
        out["tail_matches"] += tail
    heads = {key for key, count in counts.items() if count > found.t[key[0]]}
    return out | {
        "counts": counts,
        "classes": classes,
        "head_entries": len(heads),
        "tail_entries": len(counts) - len(heads),
    }


@pytest.mark.parametrize("number", range(len(ASKED)))
def test_the_account_is_that_of_brute_force(workdir, rows, number):
    expected, one = brute_force(rows, ASKED[number]), planned(workdir)["thresholds"][number]
    for name in planning.CLASSES:
        assert one["classes"][name] == pytest.approx(expected["classes"][name], abs=2e-3), name
    for name in ("matches", "tail_matches", "head_entries", "tail_entries"):
        assert one[name] == expected[name], name
    assert one["expected_matches"] == pytest.approx(expected["expected_matches"], abs=2e-3)
    assert one["sigma"] == pytest.approx(math.sqrt(expected["variance"]), abs=2e-3)
    assert one["expected"] == pytest.approx(sum(c["expected"] for c in expected["classes"].values()), abs=2e-3)
    assert one["pairs"] == sum(row["state"] == "kept" for row in rows)
    shares = {
        "share": one["expected"] / one["pairs"],
        "tail_share_of_matches": expected["tail_matches"] / expected["matches"],
        "expected_tail_share": expected["expected_tail"] / expected["expected_matches"],
        "matches_a_pair": expected["expected_matches"] / one["expected"],
        "keeps_a_pair": sum(c["keeps"] for c in expected["classes"].values()) / one["expected"],
    }
    assert {name: one[name] for name in shares} == pytest.approx(shares, abs=1e-4)
    promised = sum(min(count, ASKED[number].t[lang]) for (lang, _), count in expected["counts"].items())
    assert one["keeps_of_counts"] == promised


def test_all_classes_occur_and_a_tail_entry_keeps_for_certain(workdir):
    small, middle, large = planned(workdir)["thresholds"]
    assert all(middle["classes"][name]["pairs"] for name in planning.CLASSES)
    for one in (small, middle, large):
        assert one["classes"]["tail_entry"]["expected"] == one["classes"]["tail_entry"]["pairs"]
        alone = one["classes"]["one_head_entry"]
        assert alone["expected"] == alone["keeps"]
    assert large["expected"] == large["pairs"] and large["sigma"] == 0 and large["head_entries"] == 0


def test_keeps_are_what_the_counts_promise(workdir):
    # Over all texts, the sum of p over matches is the sum of min(count, t) over entries: both count keeps.
    for one in planned(workdir)["thresholds"]:
        assert one["keeps"] == pytest.approx(one["keeps_of_counts"], abs=1e-2)
        assert one["keeps"] >= one["expected"]
    assert planned(workdir)["thresholds"][1]["keeps_a_pair"] > 1.1


def test_languages_add_up_to_the_whole(workdir):
    for one in planned(workdir)["thresholds"]:
        for name in ("pairs", "matches", "head_entries", "tail_entries", "keeps_of_counts"):
            assert one[name] == sum(lang[name] for lang in one["languages"].values())
        assert one["expected"] == pytest.approx(sum(lang["expected"] for lang in one["languages"].values()), abs=0.01)
    assert [one["languages"]["de"]["t"] for one in planned(workdir)["thresholds"]] == [2, 5, 999]


def test_the_account_does_not_depend_on_how_the_parts_are_cut(workdir):
    assert planned(workdir, cut=True) == planned(workdir, cut=False)


def test_the_curve_rises_to_all_matches_and_says_what_the_rare_half_has(workdir, rows):
    curve = planned(workdir)["curves"]["en"]
    assert [point["entries"] for point in curve] == list(planning.CURVE)
    assert curve[-1]["matches"] == 1
    assert all(a["matches"] <= b["matches"] and a["count"] <= b["count"] for a, b in pairwise(curve))
    assert planning.curve(np.array([0, 1, 2, 3, 94]))[2] == {"entries": 0.5, "count": 2, "matches": 0.03}


# -- against the sets that balance draws


@pytest.mark.parametrize("one_text", [False, True])
def test_drawn_sets_are_as_large_as_expected_within_four_sigma(workdir, rows, one_text):
    found, seeds, z, excess = ASKED[1], 40, [], []
    pool = Pool((Dataset(workdir, "counts"),))
    sizes = np.array([len(row["entries"]) for row in rows])
    matched = np.array([row["state"] == "kept" for row in rows])
    whole, images = table(rows, "matches"), pa.chunked_array([[row["image_uid"] for row in rows]])
    offline = planned(workdir)["thresholds"][1]
    for seed in range(seeds):
        chosen, one = None, offline
        if one_text:
            chosen = balancing.chosen_texts(images, whole["uid"], matched, seed)
            one = planned(workdir, (found,), seed)["thresholds"][0]
            assert one["pairs"] == chosen.sum() < matched.sum()
        drawn = balancing.balance(
            whole, lambda lang: balancing.odds(pool.of(lang), found.t[lang]), Balance(), seed, chosen
        )
        kept = np.array(drawn["state"].to_pylist()) == "kept"
        z.append((kept.sum() - one["expected"]) / one["sigma"])
        excess.append(sizes[kept].sum() / one["expected_matches"] - 1)
    assert np.abs(z).max() < 4.5 and abs(sum(z)) / math.sqrt(seeds) < 4
    assert 0.6 < np.std(z) < 1.4
    assert abs(np.mean(excess)) < 0.01


def test_one_text_per_image_leaves_fewer_pairs_and_keeps_the_counts(workdir):
    both, one = planned(workdir)["thresholds"][1], planned(workdir, seed=3)["thresholds"][1]
    assert one["expected"] < both["expected"] and one["keeps"] < one["keeps_of_counts"] == both["keeps_of_counts"]


# -- what goes wrong


def test_another_pools_counts_lower_the_odds(workdir):
    own = Dataset(workdir, "counts")
    twice = planned(workdir, pool=Pool((own, own)))["thresholds"]
    assert twice[1]["expected"] < planned(workdir)["thresholds"][1]["expected"]


def test_counts_of_another_pool_are_refused(workdir, tmp_path):
    other = put_counts(str(tmp_path), counting.Tally())
    with pytest.raises(CountError, match=r"has no count: .*run the stage match again"):
        planned(workdir, pool=Pool((other,)))


def test_nothing_matched_is_an_account_of_nothing(tmp_path, rows):
    none = [row | {"state": "dropped", "reason": "no_entry", "entries": []} for row in rows[:50]]
    commit(tmp_path, "matches", [[table(none, "matches")]])
    put_counts(str(tmp_path), counting.Tally())
    one = planned(str(tmp_path), (Thresholds({}, None),))["thresholds"][0]
    assert (one["pairs"], one["expected"], one["share"], one["languages"]) == (0, 0, None, {})
