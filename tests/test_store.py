"""The commit protocol: whole or not at all, resumable, refusing what changed."""

import pyarrow as pa
import pytest

from curate.ledger import Ledger, LedgerError
from curate.parts import annotate
from curate.schema import SchemaError
from curate.store import Dataset, Plan, StoreError, difference


def plan(parts=("part-00000", "part-00001"), **settings):
    return Plan(dataset="balanced", stage="balance", settings=settings, inputs={}, parts=parts)


def rows(n=3, state="kept", reason=None):
    return pa.table(
        {
            "uid": [f"{i:032x}" for i in range(n)],
            "state": [state] * n,
            "reason": pa.array([reason] * n, pa.string()),
            "keep_probability": pa.array([0.5] * n, pa.float64()),
            "draw": pa.array([0.1] * n, pa.float64()),
            "baseline": [True] * n,
        }
    )


def test_a_dataset_exists_when_its_manifest_does(tmp_path):
    data, p = Dataset(str(tmp_path), "balanced"), plan()
    assert data.begin(p) == ["part-00000", "part-00001"]
    with data.write_part("part-00000", p.hash) as out:
        out.write(rows())
    assert data.begin(p) == ["part-00001"]
    with pytest.raises(StoreError, match="part-00001"):
        data.commit(p)
    with pytest.raises(StoreError, match="'balance'"):
        data.require()
    with data.write_part("part-00001", p.hash) as out:
        out.write(rows(2, "dropped", "balanced_out"))
    manifest = data.commit(p)
    assert manifest.ledger == Ledger(rows_in=5, kept=3, dropped={"balanced_out": 2})
    assert data.begin(p) == []


def test_a_writer_that_fails_leaves_nothing(tmp_path):
    data, p = Dataset(str(tmp_path), "balanced"), plan()
    data.begin(p)
    with pytest.raises(RuntimeError, match="killed"), data.write_part("part-00000", p.hash) as out:
        out.write(rows())
        raise RuntimeError("killed")
    assert data.begin(p) == ["part-00000", "part-00001"]
    assert sorted(f.name for f in (tmp_path / "balanced").iterdir()) == ["_plan.json"]


def test_a_part_of_another_plan_or_a_torn_one_does_not_count(tmp_path):
    data, p = Dataset(str(tmp_path), "balanced"), plan(t=1)
    data.begin(p)
    with data.write_part("part-00000", plan(t=2).hash) as out:
        out.write(rows())
    assert data.committed("part-00000", p.hash) is None
    file = tmp_path / "balanced" / "part-00000.parquet"
    file.write_bytes(file.read_bytes()[:-20])
    assert data.committed("part-00000", p.hash) is None


def test_changed_settings_are_refused_with_what_changed_and_what_to_do(tmp_path):
    data = Dataset(str(tmp_path), "balanced")
    data.begin(plan(t=20))
    with pytest.raises(StoreError, match=r"t was 20, is now 30.*--redo balance"):
        data.begin(plan(t=30))
    assert "input pairs was 'a', is now 'b'" in difference(
        Plan(dataset="x", stage="x", settings={}, inputs={"pairs": "a"}, parts=()),
        Plan(dataset="x", stage="x", settings={}, inputs={"pairs": "b"}, parts=()),
    )


@pytest.mark.parametrize(
    ("table", "error"),
    [
        (rows().drop(["draw"]), SchemaError),
        (rows().append_column("more", pa.array([1, 2, 3])), SchemaError),
        (rows().set_column(5, "baseline", pa.array([None, True, True])), SchemaError),
        (rows(state="dropped", reason="whim"), LedgerError),
        (rows(state="dropped", reason=None), LedgerError),
        (rows(state="kept", reason="balanced_out"), LedgerError),
        (rows(state="lost"), LedgerError),
    ],
)
def test_a_part_is_held_to_its_schema_and_its_account(tmp_path, table, error):
    data, p = Dataset(str(tmp_path), "balanced"), plan()
    with pytest.raises(error), data.write_part("part-00000", p.hash) as out:
        out.write(table)


def test_a_ledger_that_does_not_balance_is_an_error():
    with pytest.raises(LedgerError, match="5 rows in, but 4"):
        Ledger(rows_in=5, kept=3, dropped={"a": 1}).check("here", ["a"], [])


def test_equal_plans_make_equal_bytes(tmp_path):
    for name in ("one", "two"):
        data, p = Dataset(str(tmp_path / name), "balanced"), plan(parts=("part-00000",))
        data.begin(p)
        with data.write_part("part-00000", p.hash) as out:
            out.write(rows())
            out.write(rows(2, "gone"))
        data.commit(p)
    one, two = (sorted((tmp_path / n / "balanced").iterdir()) for n in ("one", "two"))
    assert [(f.name, f.read_bytes()) for f in one] == [(f.name, f.read_bytes()) for f in two]


def test_annotate_refuses_a_function_that_loses_rows(tmp_path):
    source, target = Dataset(str(tmp_path), "balanced"), Dataset(str(tmp_path / "more"), "balanced")
    p = plan(parts=("part-00000",))
    with source.write_part("part-00000", p.hash) as out:
        out.write(rows())
    with pytest.raises(StoreError, match="other rows"):
        annotate("part-00000", inputs={"balanced": (source, ["state"])}, target=target, plan=p,
                 work=lambda balanced: rows(2))  # fmt: skip
    annotate(
        "part-00000", inputs={"balanced": (source, ["state"])}, target=target, plan=p, work=lambda balanced: rows()
    )
    assert target.committed("part-00000", p.hash).rows == 3


def test_an_object_store_serves_as_well(tmp_path):
    data, p = Dataset("memory://bucket/run", "balanced"), plan(parts=("part-00000",))
    data.begin(p)
    with data.write_part("part-00000", p.hash) as out:
        out.write(rows())
    assert data.commit(p).ledger.kept == 3
    assert len(data.read_part("part-00000")) == 3
    data.remove()
    assert data.manifest() is None


def test_an_object_store_keeps_nothing_of_a_writer_that_fails():
    data, p = Dataset("memory://bucket/torn", "balanced"), plan(parts=("part-00000",))
    data.begin(p)
    with pytest.raises(RuntimeError, match="killed"), data.sidecar("part-00000.tar") as out:
        out.write(b"half a tar")
        raise RuntimeError("killed")
    with pytest.raises(RuntimeError, match="killed"), data.write_part("part-00000", p.hash) as out:
        out.write(rows())
        raise RuntimeError("killed")
    assert [file.rsplit("/", 1)[1] for file in data.fs.find(data.root)] == ["_plan.json"]
    data.remove()
