"""Each section's numbers against what the small workdir was written from."""

from itertools import pairwise

import msgspec
import numpy as np
import pyarrow as pa

from curate.recipe import Rule
from curate.report import entries, examples, pool, proof, similarity
from curate.store import Dataset, Plan


def test_head_and_tail_before_and_after_balancing(small_workdir, small_recipe, small_rows):
    (account,) = entries.entries(small_workdir, small_recipe)
    matched = [row for row in small_rows if row.match is None]
    kept = [row for row in matched if row.balance is None]
    assert account["pairs_matched"] == len(matched) and account["pairs_kept"] == len(kept)
    before, after = (np.bincount([e for row in rows for e in row.entries], minlength=5) for rows in (matched, kept))
    found = {row["text"]: (row["before"], row["after"]) for row in account["top"]}
    assert found == {text: (before[i], after[i]) for i, text in enumerate(("cat", "dog", "tree", "boat", "owl"))}
    assert account["matches_before"] == before.sum() and account["matches_after"] == after.sum()
    assert account["tail_share_before"] == before[before <= 7].sum() / before.sum()
    assert account["tail_share_after"] == after[before <= 7].sum() / after.sum()
    assert 7 in before and 0 < account["tail_share_before"] < 1, (
        "an entry with exactly t matches keeps all: it is in the tail"
    )
    assert account["entries_in_head"] == (before > 7).sum()
    assert (account["t"], account["tail_share_of_t"]) == (7, None)
    assert account["pairs_expected"] == 0.5 * len(matched), "the fixture's keep probability is a half"
    assert account["pairs_sigma"] == (0.25 * len(matched)) ** 0.5
    assert (account["online"], account["counts_of"]) == (False, "all pools")
    assert account["curve_before"][0] == [1, before.max()] and account["curve_before"][-1][1] == before.min()


def test_a_curve_of_many_entries_keeps_its_ends():
    counts = np.random.default_rng(0).zipf(1.3, 100_000).clip(max=10**9)
    curve = entries._curve(counts)
    assert len(curve) <= entries.POINTS
    assert curve[0] == [1, counts.max()] and curve[-1] == [100_000, counts.min()]
    assert all(later[1] <= earlier[1] for earlier, later in pairwise(curve))


def test_similarities_are_counted_once_with_the_threshold(small_workdir, small_recipe, small_rows):
    (account,) = similarity.similarity(small_workdir, small_recipe)
    scored = [row for row in small_rows if row.states()["scores/clip"][0] == "kept"]
    assert account["rows"] == len(scored) == sum(sum(account[key]) for key in ("selected", "other", "baseline"))
    assert sum(account["selected"]) == sum(row.states()["selection"][0] == "kept" for row in small_rows)
    assert account["thresholds"] == [0.1]
    assert (
        account["edges"][0] <= min(row.score for row in scored)
        and max(row.score for row in scored) <= account["edges"][-1]
    )


def test_examples_stand_under_what_dropped_them_and_show_pictures(small_workdir, small_recipe, small_rows):
    shown, thumbnails = examples.examples(small_workdir, small_recipe)
    by_uid = {row.uid: row for row in small_rows}
    assert len(shown["kept"]) == small_recipe.report.examples
    for row in shown["kept"]:
        assert by_uid[row["uid"]].states()["selection"] == ("kept", None)
        assert row["image_uid"] in thumbnails
    groups = {(group["dataset"], group["reason"]): group for group in shown["dropped"]}
    assert list(groups) == [
        ("matches", "no_entry"), ("balanced", "balanced_out"), ("duplicates", "exact"), ("duplicates", "perceptual"),
        ("selection", "file_name"),
    ]  # fmt: skip
    for (_, reason), group in groups.items():
        assert 0 < len(group["rows"]) <= -(-small_recipe.report.examples // examples.PART)
        for row in group["rows"]:
            truth = by_uid[row["uid"]]
            assert reason in (truth.match, truth.balance, truth.select, truth.duplicate and truth.duplicate[0])
    named = groups["selection", "file_name"]
    assert named["rule"] == "file_name" and named["dropped"] == sum(row.select == "file_name" for row in small_rows)
    assert {row["value"] for row in named["rows"]} == {"file name true"}
    assert [row["reason"] for row in shown["failed"]] == ["http_4xx", "http_4xx"]
    # Whoever opted out is not shown.
    opted = {row.image for row in small_rows if row.download and row.download[1] == "opted_out"}
    assert opted and not opted & set(thumbnails)


def test_no_examples_when_none_are_asked_for(small_workdir, small_recipe):
    import msgspec

    none = msgspec.structs.replace(small_recipe, report=msgspec.structs.replace(small_recipe.report, examples=0))
    shown, _ = examples.examples(small_workdir, none)
    assert shown["kept"] == shown["dropped"] == []


def test_clusters_begin_with_their_representative(small_workdir, small_recipe, small_rows):
    shown, _ = examples.examples(small_workdir, small_recipe)
    ways = {cluster["how"]: cluster for cluster in shown["clusters"]}
    assert set(ways) == {"exact", "perceptual"}
    assert [row["reason"] for row in ways["exact"]["members"]] == ["representative", "exact", "exact"]
    for cluster in ways.values():
        assert cluster["members"][0]["image_uid"] == cluster["representative"]


def test_hosts_languages_and_answers(small_workdir, small_rows):
    account = pool.pool(small_workdir)
    hosts = {row["name"]: row["rows"] for row in account["pairs"]["hosts"]}
    assert hosts == {"photos.example": len(small_rows) - 1, "optout.example": 1}
    downloads = account["downloads"]
    assert downloads["images"] == len({row.image for row in small_rows})
    assert downloads["bytes"] == sum(map(len, {row.image: row.data for row in small_rows if row.data}.values()))
    assert downloads["failures"] == [{"name": "http_4xx", "rows": 2}]
    assert account["languages"][0]["matched"] == sum(row.match is None for row in small_rows)


def test_the_host_of_odd_urls():
    urls = ["http://user@a.example:80/x", "https://b.example?q", "nothing", "http://[::1]:8080/x"]
    assert pool.host_of(pa.array(urls)).to_pylist() == ["a.example:80", "b.example", "", "[::1]:8080"]


def test_losses_and_verdicts(small_workdir):
    runs = proof.training(small_workdir)
    assert [(run["set"], run["seed"], run["steps"]) for run in runs] == [
        (kind, seed, 300) for kind in ("curated", "raw") for seed in ("0", "1")
    ]
    assert all(len(run["curve"]) <= proof.POINTS and run["curve"][-1][0] == 19_200 for run in runs)
    found = proof.evaluation(small_workdir)
    assert (found["verdict"]["better"], found["verdict"]["worse"], found["verdict"]["noise"]) == (1, 1, 1)


def test_a_difference_within_the_noise_is_said_to_be_so():
    def said(*verdicts):
        metrics = {str(i): {"verdict": verdict} for i, verdict in enumerate(verdicts)}
        return proof.verdict({"sets": {"x": metrics}, "seeds": [0]})["sentence"]

    assert "exceeds the noise" in said(proof.NOISE, proof.NOISE)
    assert said(proof.BETTER, proof.NOISE) == "The curated set trains the better model."
    assert said(proof.WORSE).startswith("The raw pool trains the better model")
    assert proof.verdict(None) is None


def test_a_top_fraction_is_drawn_as_the_threshold_that_select_settled(tmp_path, small_recipe):
    from curate.recipe import Select

    top = Select(preset=None, rules=(Rule(rule="low_similarity", top_fraction=0.3),))
    recipe = msgspec.structs.replace(small_recipe, select=top)
    assert similarity._limits(similarity.settled(str(tmp_path), recipe), "clip")["thresholds"] == []
    data, plan = (
        Dataset(str(tmp_path), "selection"),
        Plan(dataset="selection", stage="select", settings={}, inputs={}, parts=()),
    )
    data.begin(plan)
    data.commit(plan, extra={"rules": [{"rule": "low_similarity", "model": "clip", "min": 0.25}]})
    limits = similarity._limits(similarity.settled(str(tmp_path), recipe), "clip")
    assert limits == {"thresholds": [0.25], "top_fractions": [0.3]}
