"""match on Spark, over the bundled pool: the same as without Spark, aligned, resumable, and counted right."""

import shutil
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate import recipe, schema
from curate.concepts import counting, matching
from curate.recipe import Match, RecipeError
from curate.store import Dataset
from jobs import engine, match


def run_over(workdir, engines, *overrides: str, redo=()) -> engine.Run:
    run = engine.Run(recipe.load("demo", overrides), str(workdir), engines, frozenset(redo))
    match.run(run)
    return run


def files(workdir: Path, *datasets: str) -> dict[str, bytes]:
    return {
        str(f.relative_to(workdir)): f.read_bytes() for name in datasets for f in sorted((workdir / name).iterdir())
    }


@pytest.fixture(scope="module")
def matched(pool_pairs, engines, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("match") / "w"
    shutil.copytree(pool_pairs, workdir)
    run_over(workdir, engines)
    return workdir


def test_the_side_table_is_aligned_and_is_what_the_library_says(matched):
    pairs, matches = Dataset(str(matched), "pairs"), Dataset(str(matched), "matches")
    assert matches.part_names() == pairs.part_names()
    for part in pairs.part_names():
        with pairs.open_part(part) as theirs, matches.open_part(part) as ours:
            assert ours.num_row_groups == theirs.num_row_groups
            for group in range(theirs.num_row_groups):
                expected = schema.load("matches").hold(matching.match(theirs.read_row_group(group), Match()))
                assert ours.read_row_group(group).equals(expected)


def test_every_pair_is_accounted_for_and_english_is_what_is_kept(matched):
    ledger = Dataset(str(matched), "matches").require().ledger
    pairs = Dataset(str(matched), "pairs").require().ledger.kept
    assert ledger.rows_in == pairs == ledger.kept + sum(ledger.dropped.values())
    assert set(ledger.dropped) == {"no_metadata", "no_entry"}
    languages = pa.concat_tables(Dataset(str(matched), "pairs").batches(["page_lang"]))["page_lang"].to_pylist()
    states = pa.concat_tables(Dataset(str(matched), "matches").batches(["state"]))["state"].to_pylist()
    kept = Counter(lang for lang, state in zip(languages, states, strict=True) if state == "kept")
    # Of what the pages call English most is kept; of Japanese, Russian, Hindi and Arabic next to nothing.
    assert kept["en"] > 0.8 * languages.count("en")
    assert all(kept[lang] <= 0.02 * languages.count(lang) for lang in ("ja", "ru", "hi", "ar"))


def test_counts_are_those_of_the_rows(matched):
    rows = pa.concat_tables(Dataset(str(matched), "matches").batches()).to_pylist()
    expected = Counter((row["lang"], entry) for row in rows if row["state"] == "kept" for entry in row["entries"])
    counts = Dataset(str(matched), "counts")
    got = [(row["lang"], row["entry"], row["count"]) for row in pa.concat_tables(counts.batches()).to_pylist()]
    assert got == sorted((lang, entry, n) for (lang, entry), n in expected.items())
    assert counts.require().ledger.notes == {"matches": expected.total()}


def test_a_run_that_lost_parts_ends_in_the_same_bytes(matched, engines, tmp_path):
    whole = files(matched, "matches", "counts")
    workdir = tmp_path / "w"
    shutil.copytree(matched, workdir)
    for gone in (
        "matches/part-00001.parquet",
        "matches/_manifest.json",
        "counts/part-00000.parquet",
        "counts/_manifest.json",
    ):
        (workdir / gone).unlink()
    (workdir / "matches" / ".part-00001.parquet.0123.tmp").write_bytes(b"half a part")
    run_over(workdir, engines)
    assert files(workdir, "matches", "counts") == whole


def test_counts_of_a_pool_in_which_nothing_matches_are_empty(engines, make_dataset, tmp_path):
    pair = {name: None if column.nullable else "x" for name, column in schema.load("pairs").columns.items()}
    table = pa.Table.from_pylist(
        [pair | {"text": "これは家の写真です", "record_offset": 0}], schema=schema.load("pairs").arrow()
    )
    make_dataset(tmp_path, "pairs", [[table], []])
    run_over(tmp_path, engines)
    assert Dataset(str(tmp_path), "matches").require().ledger.dropped == {"no_metadata": 1}
    assert Dataset(str(tmp_path), "counts").require().ledger.rows_in == 0


def test_another_list_is_another_dataset(matched, engines, tmp_path):
    folder = tmp_path / "lists" / "en"
    folder.mkdir(parents=True)
    row = {"id": 0, "text": "a", "source": "words", "statistic": 1.0}
    pq.write_table(pa.Table.from_pylist([row], schema=schema.load("entries").arrow()), folder / "entries.parquet")
    with pytest.raises(Exception, match=r"metadata/en was .*--redo match"):
        run_over(matched, engines, f"match.metadata={folder.parent}")


def test_a_language_without_a_list_stops_the_run_at_once(matched, engines):
    with pytest.raises(RecipeError, match="no entry list for 'eng'"):
        run_over(matched, engines, "match.languages=[eng]")


def test_all_languages_are_those_with_a_list_and_each_is_counted_apart(pool_pairs, engines, tmp_path):
    lists = {"en": ["cat", "flower", "A"], "de": ["Katze", "Blume", "Hund"], "ja": ["花", "猫", "犬"]}
    for lang, texts in lists.items():
        (tmp_path / "lists" / lang).mkdir(parents=True)
        rows = [{"id": i, "text": text, "source": "words", "statistic": 1.0} for i, text in enumerate(texts)]
        table = pa.Table.from_pylist(rows, schema=schema.load("entries").arrow())
        pq.write_table(table, tmp_path / "lists" / lang / "entries.parquet")
    shutil.copytree(pool_pairs, tmp_path / "w")
    asked = ("match.languages=[all]", "match.rule=metaclip2", f"match.metadata={tmp_path / 'lists'}")
    run_over(tmp_path / "w", engines, *asked)
    counts = Dataset(str(tmp_path / "w"), "counts")
    assert sorted(counts.require().extra["languages"]) == ["de", "en", "ja"]
    rows = pa.concat_tables(Dataset(str(tmp_path / "w"), "matches").batches()).to_pylist()
    expected = Counter((row["lang"], entry) for row in rows if row["state"] == "kept" for entry in row["entries"])
    for lang in lists:
        found = counting.of_language(counts, lang)
        assert {entry: int(n) for entry, n in enumerate(found) if n} == {
            e: n for (of, e), n in expected.items() if of == lang
        }
    texts = pa.concat_tables(Dataset(str(tmp_path / "w"), "pairs").batches(["text"]))["text"].to_pylist()
    flowers = [row["entries"] for row, text in zip(rows, texts, strict=True) if row["lang"] == "ja" and "花" in text]
    assert flowers and all(0 in entries for entries in flowers), (
        "by the second rule an entry stands inside a row of Han"
    )
