"""What a dataset is going to be, what it came to be, and how two plans differ."""

from typing import Any

import msgspec
import xxhash

from curate import __version__
from curate.ledger import Ledger


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a dataset is going to be: the identity of its contents. Equal plans make equal bytes."""

    dataset: str
    stage: str
    settings: dict[str, Any]
    inputs: dict[str, str]
    parts: tuple[str, ...]
    code: str = __version__

    @property
    def hash(self) -> str:
        return xxhash.xxh3_128_hexdigest(encoded(self))


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One committed part."""

    name: str
    rows: int
    bytes: int
    xxh3: str
    ledger: Ledger


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a committed dataset holds; `ledger` is the sum over its parts, and over what left before any part."""

    plan: Plan
    parts: tuple[Part, ...]
    ledger: Ledger
    extra: dict[str, Any] = msgspec.field(default_factory=dict)


def part_name(index: int) -> str:
    return f"part-{index:05d}"


def difference(before: Plan, after: Plan) -> str:
    """What changed between two plans, in words: the first five settings, inputs or parts that differ."""
    one, other = _flat(before), _flat(after)
    changes = [
        f"{key} was {_short(one.get(key))}, is now {_short(other.get(key))}"
        for key in sorted({*one, *other})
        if one.get(key) != other.get(key)
    ]
    more = f" (and {len(changes) - 5} more)" if len(changes) > 5 else ""
    return "; ".join(changes[:5]) + more


def _flat(plan: Plan) -> dict[str, Any]:
    flat: dict[str, Any] = {"code version": plan.code, "number of parts": len(plan.parts)}
    flat |= {f"input {name}": mark for name, mark in plan.inputs.items()}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(f"{prefix}.{key}" if prefix else str(key), inner)
        else:
            flat[prefix] = value

    walk("", plan.settings)
    return flat


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def encoded(value: Any) -> bytes:
    """JSON that is the same for equal values."""
    return msgspec.json.format(msgspec.json.encode(value, order="deterministic"), indent=1)
