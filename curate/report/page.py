"""The page: one HTML file made from the facts of the JSON twin and thumbnails; no request leaves it.

A section is a template `template/<name>.j2` and a line of SECTIONS. It is given the facts by their names, `figures`, `thumbnails`, and what
`macros.j2` has.
"""

from typing import Any

from curate.report.figures import differences, figures, words
from curate.report.funnel import merged
from curate.report.untrusted import clip

Facts = dict[str, Any]
SECTIONS = {
    "worth": "Worth", "funnel": "Funnel", "entries": "Head and tail", "scores": "Scores", "models": "Models", "examples": "Examples",
    "duplicates": "Duplicates", "captions": "Captions", "pool": "Pool", "consent": "Consent", "truth": "Planted faults", "provenance": "Provenance",
}  # fmt: skip
"""Template of each section, in order, and what the navigation calls it."""


def render(facts: Facts, thumbnails: dict[str, str]) -> str:
    """The HTML of the report. Every text in the facts is escaped; `thumbnails` are data URIs by image_uid."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    templates = PackageLoader("curate.report", "template")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, loader=templates
    )
    environment.filters |= {
        "num": number, "short": short, "percent": percent, "points": points, "size": size, "clip": clip, "metric": words, "word": word,
    }  # fmt: skip
    comparison = (facts["evaluation"] or {}).get("comparison")
    return environment.get_template("page.j2").render(
        facts,
        sections={name: title for name, title in SECTIONS.items() if name != "truth" or facts["truth"]},
        figures=figures(facts),
        thumbnails=thumbnails,
        differences=differences(comparison) if comparison else [],
        widest=max((stage["rows_in"] for stage in facts["funnel"]["stages"]), default=0) or 1,
        stages={stage["dataset"]: stage for stage in facts["funnel"]["stages"]},
        bars=merged(facts["funnel"]["stages"]),
    )


def number(value: float | int | None) -> str:
    """1234567 -> 1,234,567; 0.12345 -> 0.123; None -> a dash."""
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3f}"


def short(value: float | None) -> str:
    """At most three digits after the point, and none that say nothing: 0.25 -> 0.25, 12.0 -> 12, 1234.5 -> 1,234.5 -> 1,234."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 or value == round(value) else f"{value:.3g}".replace("-", "−")


def percent(share: float | None) -> str:
    """0.1234 -> 12.3 %."""
    return "–" if share is None else f"{100 * share:.1f} %"


def points(difference: float | None) -> str:
    """A signed difference of shares in percentage points: 0.0123 -> +1.2."""
    return "–" if difference is None else f"{100 * difference:+.1f}".replace("-", "−")


def size(count: int) -> str:
    """Bytes in the unit that keeps them readable: 3145728 -> 3.1 MB."""
    if count < 1000:
        return f"{count} bytes"
    power = min((len(str(count)) - 1) // 3, 5)
    return f"{count / 1000**power:,.1f} {('kB', 'MB', 'GB', 'TB', 'PB')[power - 1]}"


def word(name: str) -> str:
    """A reason or status as words: `low_similarity` -> `low similarity`."""
    return name.replace("_", " ")
