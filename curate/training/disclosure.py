"""What a filter network was trained on, for whoever scores with it: `disclosure.json` for programs, `README.md` for people.

A network that has seen evaluation images, or the training images of a benchmark, prefers what resembles them, and a set that is
chosen by it does better on that benchmark than it deserves. So its card says what it has seen, and warns.
"""

from collections.abc import Sequence

import msgspec

from curate import __version__, schema
from curate.disclosures import FILE, Disclosure, Seen
from curate.recipe import FilterNetwork, Train, Trusted
from curate.recipe.networks import OF_COMPARISONS
from curate.store import Dataset
from curate.training.job import steps_of
from curate.weights import WEIGHTS

CARD = "README.md"


class Phase(msgspec.Struct, frozen=True, kw_only=True):
    """A training on one set."""

    said: Trusted
    index: Dataset
    settings: Train
    overlap: dict[str, dict[str, int]]
    """Evaluation set -> how many of the set's images it holds, by way (sha256, phash)."""


def disclosed(
    phases: Sequence[Phase], network: FilterNetwork, seed: int, distance: int, weights_sha256: str
) -> Disclosure:
    """What a network says of itself; `distance`: bits of the perceptual hash within which images were held to be the same."""
    trained_on = tuple(_seen(phase) for phase in phases)
    return Disclosure(
        weights_sha256=weights_sha256, objective=network.objective, seed=seed, code=__version__,
        samples_seen=sum(one.samples_seen for one in trained_on), trained_on=trained_on, phash_distance=distance,
        warnings=tuple(warning for phase in phases for warning in _warnings(phase)),
    )  # fmt: skip


def _seen(phase: Phase) -> Seen:
    manifest, settings = phase.index.require(), phase.settings
    plain = settings.identity()
    for name in OF_COMPARISONS:
        plain.pop(name, None)
    # Where the configuration lies is this machine's business.
    plain["model"] = plain["model"].rpartition("/")[2]
    ledger = manifest.ledger
    return Seen(
        name=phase.said.name, about=phase.said.about, includes=phase.said.includes, fingerprint=phase.index.fingerprint,
        tars=len(manifest.parts), samples=ledger.kept, left_out=ledger.dropped | ledger.failed,
        broken_places=ledger.notes.get("broken_places", 0), samples_seen=steps_of(settings) * settings.batch_size,
        settings=plain, overlap=phase.overlap,
    )  # fmt: skip


def _warnings(phase: Phase) -> list[str]:
    found = []
    for name, ways in phase.overlap.items():
        if any(ways.values()):
            counts = " and ".join(f"{count:,} by {way}" for way, count in ways.items() if count)
            found.append(
                f"{phase.said.name} holds images of the evaluation set {name}, {counts}: what this network chooses is no fair test on {name}"
            )
    found += [
        f"{phase.said.name} includes training images of {name}: what this network chooses leans towards {name}, and results on it are "
        "better than elsewhere"
        for name in phase.said.includes
    ]
    return found


def write(target: Dataset, told: Disclosure) -> None:
    """Lays the disclosure beside the weights, for programs and for people."""
    target.put(FILE, msgspec.json.format(msgspec.json.encode(told), indent=1) + b"\n")
    target.put(CARD, card(told).encode())


def card(told: Disclosure) -> str:
    """The model card, Markdown. What matters most stands in its first paragraphs, which the report quotes."""
    sets = told.trained_on
    names = ", then ".join(f"{one.name} ({one.samples:,} images)" for one in sets)
    near = (
        f"and perceptual hashes within {told.phash_distance} bits" if told.phash_distance >= 0 else "and nothing else"
    )
    checked = sorted({name for one in sets for name in one.overlap})
    lines = [
        "---", "library_name: open_clip", "tags: [clip, data-filtering]", "---", "# A filter network", "",
        f"A CLIP that scores pairs by how much they are like those it was trained on: {names}; {told.samples_seen:,} samples seen.",
        "How well a network filters does not follow from how well it classifies.", "",
        *(line for warning in told.warnings for line in (f"**WARNING: {_plain(warning)}.**", "")),
        (f"Its images were compared with those of {', '.join(checked)}: equal bytes, {near}."
         if checked else "**Its images were compared with no evaluation set: the recipe names none.**"), "",
        "| | |", "|---|---|", f"| made by | `curate filter-network`, version {told.code}, seed {told.seed}, objective {told.objective} |",
        f"| weights | `{WEIGHTS}`, sha256 {told.weights_sha256} |", "",
    ]  # fmt: skip
    for one in sets:
        lines += _set(one)
    return "\n".join(lines)


def _set(one: Seen) -> list[str]:
    known = schema.load("trusted")
    words = known.dropped | known.failed
    lines = [f"## Trained on {one.name}", ""]
    lines += [_plain(one.about), ""] if one.about else []
    lines += [f"- fingerprint {one.fingerprint}, {one.tars:,} tars, {one.samples:,} images"]
    lines += [f"- left out: {count:,} ({words[reason]})" for reason, count in one.left_out.items()]
    lines += [f"- {one.broken_places:,} broken places in tars were passed over"] if one.broken_places else []
    lines += [f"- {one.samples_seen:,} samples seen"]
    lines += [f"- {name}: {value}" for name, value in one.settings.items() if name not in ("samples_seen", "model")]
    for name, ways in one.overlap.items():
        lines.append(
            f"- of the evaluation set {name}: " + ", ".join(f"{count:,} by {way}" for way, count in ways.items())
        )
    return [*lines, ""]


def _plain(text: str) -> str:
    """Words of a recipe on one line, without what Markdown would make of them."""
    return " ".join(
        text.replace("<", "‹").replace(">", "›").replace("|", "/").replace("`", "'").replace("*", "").split()
    )
