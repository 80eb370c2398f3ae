"""plan select: grids as people write them, and sums that are what select then does."""

from itertools import product

import pyarrow as pa
import pytest
from msgspec.structs import replace

from curate import schema
from curate.recipe import Branch, RecipeError, Rule
from curate.selection import planning
from curate.selection.planning import FRACTION, Grid, Point, account, asked, opened, usual
from curate.selection.selecting import needed, select
from curate.store import Dataset, Plan
from tests.selection.pool import SCORES, rules, tables

RULES = rules(
    Rule(rule="language", languages=("en",)),
    Rule(rule="few_words", min=3),
    Rule(rule="low_similarity", min=0.3),
    Rule(rule="threshold", column="text.words", min=2, max=8),
    Rule(rule="any", branches=(Branch(rules=(Rule(rule="small_image", min=200),)),)),
    Rule(rule="top_fraction", column="pixels.contrast", top_fraction=0.5),
)


@pytest.mark.parametrize(
    ("words", "grid"),
    [
        ("low_similarity.min=0.2:0.35:0.05", Grid(2, "min", (0.2, 0.25, 0.3, 0.35))),
        ("clip.similarity_score.min=0.3", Grid(2, "min", (0.3,))),
        ("text.words.max=5,1,5", Grid(3, "max", (1.0, 5.0))),
        ("text.words >= 2, <= 8.above=1", Grid(3, "above", (1.0,))),
        ("top_fraction.top_fraction=0:1:0.5", Grid(5, FRACTION, (0.0, 0.5, 1.0))),
        ("few_words.min=1:3:1", Grid(1, "min", (1.0, 2.0, 3.0))),
        ("low_similarity.min=0.2:0.2:1", Grid(2, "min", (0.2,))),
    ],
)
def test_a_grid_as_it_is_asked_for(words, grid):
    assert asked(words, RULES) == grid


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("low_similarty.min=0.2", "did you mean 'low_similarity'"),
        ("low_similarity.max=0.2", "has no limit 'max': .*known are min, top_fraction"),
        ("low_similarity=0.2", "no rule ''"),
        ("low_similarity.min", "no rule"),
        ("few_words.min=a", "give numbers"),
        ("few_words.min=", "give numbers"),
        ("few_words.min=3:1:1", "give numbers"),
        ("few_words.min=1:3:0", "give numbers"),
        ("few_words.min=0:inf:1", "give numbers"),
        ("few_words.min=0:1000:1", "more than 200 values"),
        ("few_words.min=nan", "finite"),
        ("top_fraction.top_fraction=1.5", "lies in 0..1"),
    ],
)
def test_a_grid_that_makes_no_sense_is_refused(words, message):
    with pytest.raises(RecipeError, match=message):
        asked(words, RULES)


def test_the_usual_grids_lie_around_each_limit():
    grids = usual(RULES)
    assert [(grid.place, grid.limit) for grid in grids] == [
        (1, "min"),
        (2, "min"),
        (3, "min"),
        (3, "max"),
        (5, FRACTION),
    ]
    assert grids[0].values == (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)
    assert grids[1].values == tuple(round(0.25 + i / 100, 2) for i in range(11))
    assert all(getattr(RULES[grid.place], grid.limit) in grid.values for grid in grids)
    assert min(usual([replace(RULES[5], top_fraction=0.05)])[0].values) == 0.0


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    """Aligned datasets of two parts with row groups of five rows; images have up to seven texts, across row groups."""
    rows = [
        {"text": text, "lang": lang, "clip.similarity_score": value, "text.words": 9 if i % 3 == 0 else 6, "width": width,
         "pixels.contrast": 0.05 if i % 4 == 0 else 0.2, "curated": i % 5 != 0, "duplicate": "dropped" if i % 7 == 0 else "kept"}
        for i, (text, lang, value, width) in enumerate(
            product(("a red house", "house", "a b c d e f g h i"), ("en", "de"), (0.25, 0.3, 0.31, None), (100, 300)))
        for value in [value or 0.0]
    ]  # fmt: skip
    runs = [image for image, texts in enumerate((1, 7, 2, 12, 3, 1, 6, 9, 7)) for _ in range(texts)]
    rows = [row | {"image": f"image-{image:02}"} for row, image in zip(rows, runs, strict=True)]
    made, root = tables(rows), str(tmp_path_factory.mktemp("plan"))
    inputs = {}
    for name, table in made.items():
        scorer = {"scores/clip": "clip", "scores/text": "text", "scores/pixels": "pixels"}.get(name)
        if name == "scores/clusters":
            continue
        data = Dataset(root, name)
        plan = Plan(
            dataset=name,
            stage="score",
            settings={"scorer": scorer} if scorer else {},
            inputs={},
            parts=("part-00000", "part-00001"),
        )
        data.begin(plan)
        for part, some in (("part-00000", table.slice(0, 25)), ("part-00001", table.slice(25))):
            with data.write_part(part, plan.hash) as out:
                for start in range(0, len(some), 5):
                    out.write(whole(some.slice(start, 5), data))
        data.commit(plan)
        inputs[name] = (data, needed(RULES, {"images": ("image_uid",)}).get(name, ["state"]))
    assert set(SCORES) >= {name.removeprefix("scores/") for name in made if name.startswith("scores/")}
    return {name: one for name, one in inputs.items() if name in needed(RULES)}, made


def whole(table: pa.Table, data: Dataset) -> pa.Table:
    """With the columns that the schema has besides."""
    arrow = data.schema.arrow(embedding_width=1)
    usual_of = {"string": "-", "bool": True}
    for field in arrow:
        if field.name not in table.column_names:
            value = None if field.nullable else usual_of[str(field.type)]
            values = [value] * len(table)
            if field.name == "reason":
                values = ["exact" if state == "dropped" else None for state in table["state"].to_pylist()]
            table = table.append_column(field.name, pa.array(values, field.type))
    return table


def test_the_sums_are_what_select_then_does(pool):
    inputs, made = pool
    now = (*RULES[:5], replace(RULES[5], top_fraction=None, min=0.1))
    grids = [
        *usual(now[:5]), Grid(5, "min", (0.0, 0.1, 0.1033, 1.0)), Grid(2, "above", (0.25, 0.3)), Grid(1, "min", (1e9,)),
    ]  # fmt: skip
    points = opened(now, grids)
    sums: dict = {}
    for names in ("part-00000", "part-00001"):
        for row in planning.sum_parts(names, inputs=inputs, rules=now, points=points).to_pylist():
            sums[row["key"]] = {name: sums.get(row["key"], {}).get(name, 0) + row[name] for name in planning.SUMS}
    told = account(now, grids, points, sums)
    images = made["images"]["image_uid"].to_pylist()

    def kept(*some: Rule) -> tuple[int, int]:
        states = select(made, some)["state"].to_pylist()
        rows = [image for image, state in zip(images, states, strict=True) if state == "kept"]
        return len(rows), len(set(rows))

    assert tuple(told["entered"].values()) == kept() and tuple(told["kept"].values()) == kept(*now)
    assert 0 < kept(*now)[0] < kept()[0]
    for grid, one in zip(grids, told["grids"], strict=True):
        for value, point in zip(grid.values, one["points"], strict=True):
            changed = replace(now[grid.place], **{grid.limit: value})
            rest = [changed if place == grid.place else rule for place, rule in enumerate(now)]
            assert (point["rows"], point["images"]) == kept(changed)
            assert (point["rows_with_others"], point["images_with_others"]) == kept(*rest)
    # Some looser limit keeps more and some stricter one less: other rules do not hide what a limit does.
    sizes = [point["rows_with_others"] for one in told["grids"] for point in one["points"]]
    assert min(sizes) < told["kept"]["rows"] < max(sizes)
    reasons = select(made, now, why="all")
    for rule, one in zip(now, told["rules"], strict=True):
        assert one["drops_first"] == sum(
            label is not None and label.split(": ")[0] == rule.label for label in reasons["rule"].to_pylist()
        )
        curated = zip(reasons["rules"].to_pylist(), made["images"]["curated"].to_pylist(), strict=True)
        assert one["drops"] == sum(rule.label in labels for labels, mine in curated if labels and mine)


def test_parts_may_be_summed_together(pool):
    inputs, _ = pool
    now = RULES[:5]
    both = planning.sum_parts("part-00000,part-00001", inputs=inputs, rules=now, points=[Point(0, now[0])]).to_pylist()
    each = [
        planning.sum_parts(name, inputs=inputs, rules=now, points=[Point(0, now[0])]).to_pylist()
        for name in ("part-00000", "part-00001")
    ]
    assert both == [
        {name: a[name] + (b[name] if name != "key" else 0) for name in a} for a, b in zip(*each, strict=True)
    ]
    assert schema.load("images").columns["image_uid"]
