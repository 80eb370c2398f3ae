"""The rules of the house: no engine in the library, one word per stage in all places, light imports."""

import ast
import subprocess
import sys
import typing
from pathlib import Path

import pytest

from curate import recipe, schema
from curate.recipe import Score
from curate.scores import registry

ROOT = Path(__file__).resolve().parent.parent
ENGINES = {"pyspark", "ray"}
DATALESS = {"train", "evaluate", "report"}
"""Stages whose datasets have no rows, so no schema."""


def imports(source: str) -> set[str]:
    """Top-level names of all modules that a source imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def test_the_library_imports_no_engine():
    guilty = {str(f) for f in (ROOT / "curate").rglob("*.py") if imports(f.read_text()) & ENGINES}
    assert not guilty
    assert imports("def f():\n    from ray import data") & ENGINES  # the rule itself can be broken


def test_the_library_does_not_import_the_jobs_that_use_it():
    # The command line is the door of the house: it alone opens on the jobs, late.
    library = ROOT / "curate"
    door = {library / "cli.py", *(library / "commands").glob("*.py")}
    guilty = {str(f) for f in library.rglob("*.py") if "jobs" in imports(f.read_text())} - {str(f) for f in door}
    assert not guilty


ROOMS = {"pools", "concepts", "scores", "duplicates", "captions", "selection", "shards", "training", "evaluation"}
"""Folders of stages: what two of them need is on a lower floor (facts, texts, images, backends, ...)."""
READS = {("training", "shards"), ("training", "pools")}
"""Training reads what shard wrote, and of others what extract can read."""


def rooms_used(room: str) -> set[str]:
    """The folders of `curate` from which a folder takes modules, itself left out."""
    found = set()
    for file in (ROOT / "curate" / room).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == "curate":
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("curate."):
                found.add(node.module.split(".")[1])
    return found - {room}


def test_the_folders_of_stages_do_not_know_each_other():
    known = {(room, other) for room in ROOMS for other in rooms_used(room) & ROOMS}
    assert known == READS
    below = {room.name for room in (ROOT / "curate").iterdir() if room.is_dir()} - ROOMS
    for room in below - {"commands", "explaining", "recipe", "report"}:
        assert not rooms_used(room) & ROOMS, room


def test_import_curate_is_light():
    code = "import sys, curate.cli, curate.store, curate.recipe; print([m for m in ('torch','pyspark','ray','cv2','faiss') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("stage", recipe.STAGES)
def test_a_stage_is_one_word_in_all_places(stage):
    assert (ROOT / "jobs" / f"{stage}.py").is_file()
    assert stage in recipe.Recipe.__struct_fields__
    assert f"\n{stage}:" in (ROOT / "Makefile").read_text()
    if stage not in DATALESS:
        assert stage in {schema.load(name).stage for name in schema.names()}


def test_every_schema_belongs_to_a_stage_and_names_itself():
    for name in schema.names():
        known = schema.load(name)
        assert known.dataset == name
        assert known.stage in recipe.STAGES
        assert known.aligned_with is None or known.aligned_with in schema.names()
        assert all(column.about for column in known.columns.values())


def test_every_scorer_has_settings_and_a_schema_of_its_name():
    described = {name.removeprefix("scores/") for name in schema.names() if name.startswith("scores/")}
    words = {
        kind.__struct_config__.tag
        for kind in typing.get_args(Score.__annotations__["scorers"])[0:1]
        for kind in typing.get_args(kind) or [kind]
    }
    assert described == set(registry.KINDS) == words | {"clip"}


def test_job_files_stay_thin():
    for file in (ROOT / "jobs").glob("*.py"):
        assert len(file.read_text().splitlines()) <= 130, file.name


def test_every_captioner_has_settings_and_a_schema_of_its_name():
    from curate.captions import registry as captioners

    described = {name.removeprefix("captions/") for name in schema.names() if name.startswith("captions/")}
    kinds = typing.get_args(captioners.AnyCaptioner) or [captioners.AnyCaptioner]
    assert described == set(captioners.KINDS) == {kind.__struct_config__.tag for kind in kinds}
