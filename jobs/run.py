"""The run that a stage is given: plans a dataset, launches what is missing of it, commits it and says what happened."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from curate.ledger import Ledger
from curate.recipe import Recipe
from curate.store import Dataset, Manifest, Part, Plan
from jobs import errors, watching
from jobs.attaching import Engines


@dataclass(frozen=True)
class Run:
    """What a stage's job is given: the recipe, the workdir, the engines, and permission to replace old datasets."""

    recipe: Recipe
    workdir: str
    engines: Engines
    redo: frozenset[str] = frozenset()

    def dataset(self, name: str) -> Dataset:
        return Dataset(self.workdir, name)

    def plan(
        self,
        name: str,
        settings: dict[str, Any],
        inputs: Sequence[str],
        parts: Sequence[str] = (),
        *,
        stage: str | None = None,
        **more: str,
    ) -> Plan:
        """The plan of a dataset. `inputs` are datasets of this workdir, `more` fingerprints of anything else.

        The stage is the one in the dataset's schema; datasets without rows (runs, evaluations) name theirs.
        """
        from curate import schema

        marks = {source: self.dataset(source).fingerprint for source in inputs} | more
        plain = msgspec.to_builtins(settings)
        return Plan(
            dataset=name, stage=stage or schema.of(name, plain).stage, settings=plain, inputs=marks, parts=tuple(parts)
        )

    def begin(self, plan: Plan) -> list[str]:
        """Announces a dataset: refuses another plan's or, where it may, removes it. The parts that are missing."""
        target = self.dataset(plan.dataset)
        if plan.stage in self.redo and _differs(target, plan):
            target.remove()
        return target.begin(plan)

    def make(
        self,
        plan: Plan,
        launch: Callable[[list[str]], Sequence[Part]],
        finish: Callable[[], Mapping[str, Any]] | None = None,
        before: Callable[[], Ledger] | None = None,
        missing: list[str] | None = None,
        beside: str = "",
    ) -> Manifest:
        """Makes a dataset: refuses another plan's, skips what is done, launches what is missing, commits, reports.

        `finish` does what is left when all parts are there, also when an earlier run was killed right before it, and
        returns the manifest's `extra`; `before` gives the account of rows that left before they fell into a part;
        `missing` is the answer of `begin`, for who has asked already; `beside` the dataset in whose pass this one is made too, and whose
        line tells the seconds of both.
        """
        start, target = time.monotonic(), self.dataset(plan.dataset)
        missing = self.begin(plan) if missing is None else missing
        manifest = target.manifest()
        if manifest is not None:
            progress(plan.dataset, manifest.ledger, "already done, skipped")
            return manifest
        target.sweep()
        with errors.unwrapped(), watching.watched(target, missing):
            done = launch(missing) if missing or not plan.parts else []
            extra = finish() if finish else None
        manifest = target.commit(plan, done, extra, before() if before else None)
        kept = len(plan.parts) - len(missing)
        resumed = f", {kept} of {len(plan.parts)} parts from before" if kept else ""
        took = f"with {beside}" if beside else f"{time.monotonic() - start:.1f} s"
        progress(plan.dataset, manifest.ledger, f"{took}{resumed}")
        return manifest


def _differs(target: Dataset, plan: Plan) -> bool:
    file = target.path("_plan.json")
    return target.fs.exists(file) and msgspec.json.decode(target.fs.cat_file(file), type=Plan).hash != plan.hash


def progress(dataset: str, ledger: Ledger, note: str) -> None:
    """One line for a finished stage; datasets without rows have no account to print."""
    dropped, failed = sum(ledger.dropped.values()), sum(ledger.failed.values())
    account = f"{ledger.rows_in:>10,} in {ledger.kept:>10,} kept {dropped:>10,} dropped {failed:>8,} failed"
    print(f"{dataset:<20}{account if ledger.rows_in else '':<60}   {note}", flush=True)
