"""Figures as SVG in data URIs. Equal facts give equal bytes: no date, no random ids, glyphs drawn as paths."""

import io
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from curate.report.proof import BETTER, WORSE

Facts = dict[str, Any]

INK, MUTED, GRID = "#1f2933", "#616e7c", "#e4e7eb"
CURATED, RAW, REST, LIMIT = "#0b5f58", "#e5973a", "#d8dee4", "#b91c1c"
"""Curated (teal), raw (amber) and what is neither keep their colours on the whole page. Printed in grey they are dark, middle and light
(a lightness of 36, 69 and 88 of 100)."""
WIDTH, HEIGHT = 5.4, 3.3
"""Inches at 100 pixels each: shown at two a row on a desk and one a row on a phone, letters stay readable."""
SMALL = (2.6, 1.35)
"""Of a histogram among many: four a row."""
BARS = 60
"""Of a histogram on the page, at most: bins of the twin are joined."""
SCORED = (("other", RAW, "scored"),)
LAYERS = (("selected", CURATED, "selected"), ("other", RAW, "not selected"), ("baseline", REST, "baseline alone"))


def figures(facts: Facts) -> dict[str, str]:
    """{name: data URI} of the figures that these facts have data for."""
    drawn = {}
    for account in (facts["entries"] or [])[:1]:
        if account["curve_before"]:
            drawn["entries"] = draw(partial(head_and_tail, account=account))
            drawn["tail"] = draw(partial(tail_shares, account=account), (WIDTH, 1.7))
    for account in facts["scores"]:
        if account["edges"]:
            drawn[f"scores/{account['model']}"] = draw(partial(histogram, account=account))
    for table in facts["columns"]:
        for column in table["columns"]:
            if column["kind"] == "numbers":
                drawn[column["column"]] = draw(partial(small, column=column, decided=table["decided"]), SMALL)
    if any(run["curve"] for run in facts["training"]):
        drawn["loss"] = draw(partial(losses, runs=facts["training"]))
    comparison = (facts["evaluation"] or {}).get("comparison")
    if comparison:
        rows = differences(comparison)
        drawn["differences"] = draw(partial(forest, rows=rows), (WIDTH, 1.1 + 0.28 * len(rows)))
    return drawn


def draw(paint: Callable[[Any], None], size: tuple[float, float] = (WIDTH, HEIGHT)) -> str:
    """One figure as a data URI; `paint` is given the axes."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with _style():
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasSVG(figure)
        paint(figure.add_subplot())
        out = io.BytesIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return "data:image/svg+xml;base64," + b64encode(out.getvalue()).decode()


@contextmanager
def _style() -> Iterator[None]:
    import matplotlib

    style: dict[Any, Any] = {
        "svg.hashsalt": "curate", "svg.fonttype": "path", "font.family": "DejaVu Sans", "font.size": 10,
        "axes.edgecolor": MUTED, "axes.labelcolor": INK, "axes.spines.top": False, "axes.spines.right": False,
        "axes.grid": True, "grid.color": GRID, "grid.linewidth": 0.8, "axes.axisbelow": True, "text.color": INK,
        "xtick.color": MUTED, "ytick.color": MUTED, "xtick.labelcolor": INK, "ytick.labelcolor": INK,
        "legend.frameon": False, "legend.fontsize": 9.5, "lines.linewidth": 2, "figure.facecolor": "white",
    }  # fmt: skip
    with matplotlib.rc_context(style):
        yield


def head_and_tail(axes: Any, account: Facts) -> None:
    """Counts of entries by rank, before and after balancing, both axes logarithmic; t as a line."""
    for key, colour, label in (("before", RAW, "before balancing"), ("after", CURATED, "after")):
        curve = account[f"curve_{key}"]
        axes.plot([rank for rank, _ in curve], [count for _, count in curve], color=colour, label=label)
    axes.axhline(account["t"], color=LIMIT, linewidth=1.2, linestyle=(0, (4, 3)), label=f"t = {account['t']:,}")
    axes.set(xscale="log", yscale="log", xlabel="rank of the entry, most matches first", ylabel="texts that match it")
    _plain_logs(axes)
    axes.legend()


def _plain_logs(axes: Any) -> None:
    """Ticks as plain numbers: powers of ten, and 2 and 5 times those where an axis spans less than two decades."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    for axis in (axes.xaxis, axes.yaxis):
        low, high = axis.get_view_interval()
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 100 * low else (1,)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())


def tail_shares(axes: Any, account: Facts) -> None:
    """Share of the matches that fall on tail entries, before and after, as two bars of one hundred percent."""
    shares = [100 * (account[f"tail_share_{key}"] or 0) for key in ("after", "before")]
    axes.barh(["after", "before"], shares, color=[CURATED, RAW], height=0.6, label="tail")
    axes.barh(["after", "before"], [100 - s for s in shares], left=shares, color=GRID, height=0.6)
    for row, share in enumerate(shares):
        inside = share > 80
        axes.text(share + (-1.5 if inside else 1.5), row, f"{share:.1f} %", va="center",
                  ha="right" if inside else "left", color="white" if inside else INK)  # fmt: skip
    axes.set(xlim=(0, 100), xlabel=f"% of matches on entries with at most {account['t']:,}")
    axes.grid(False)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def histogram(axes: Any, account: Facts) -> None:
    """Values in bins, selected pairs at the bottom; thresholds as lines."""
    _bars(axes, account, LAYERS if account["decided"] else SCORED)
    for limit in account["thresholds"]:
        axes.axvline(limit, color=LIMIT, linewidth=1.2, linestyle=(0, (4, 3)), label=f"threshold {limit:g}")
    axes.set(xlabel=account["axis"], ylabel="pairs")
    axes.legend()


def small(axes: Any, column: Facts, decided: bool) -> None:
    """A histogram among many, whose title and legend stand beside it."""
    from matplotlib.ticker import MaxNLocator

    _bars(axes, column, LAYERS[:2] if decided else SCORED)
    for limit in column["thresholds"]:
        axes.axvline(limit, color=LIMIT, linewidth=1.2, linestyle=(0, (4, 3)))
    axes.tick_params(labelsize=8.5, length=2.5, pad=2)
    few = max(abs(edge) for edge in column["edges"]) >= 10_000
    axes.xaxis.set_major_locator(MaxNLocator(3 if few else 4, integer=column["above_zero"] is not None))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value == round(value) else f"{value:g}")
    axes.yaxis.set_major_locator(MaxNLocator(2, integer=True))


def _bars(axes: Any, account: Facts, layers: Sequence[tuple[str, str, str]]) -> None:
    import numpy as np

    edges = account["edges"]
    join = -(-(len(edges) - 1) // BARS)
    bottom: Any = 0
    for key, colour, label in layers:
        counts = np.add.reduceat(account[key], np.arange(0, len(edges) - 1, join))
        starts = np.array(edges[:-1:join])
        axes.bar(starts, counts, width=join * account["bin_width"], align="edge", bottom=bottom, color=colour,
                 label=label, linewidth=0)  # fmt: skip
        bottom = bottom + counts
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.grid(axis="x", visible=False)


def losses(axes: Any, runs: list[Facts]) -> None:
    """Training loss of every run over samples seen; one colour a set, one line a seed."""
    named = set()
    for run in runs:
        if run["curve"]:
            colour, label = (CURATED if run["set"] == "curated" else RAW), run["set"]
            axes.plot([seen for seen, _ in run["curve"]], [loss for _, loss in run["curve"]], color=colour,
                      linewidth=1.4, label=None if label in named else label)  # fmt: skip
            named.add(label)
    axes.set(xlabel="samples seen", ylabel="contrastive loss (nats)")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.legend()


def differences(comparison: Facts) -> list[Facts]:
    """One row per set and metric: its name on the page and the difference with its interval."""
    many = len(comparison["sets"]) > 1
    return [
        metric | {"label": f"{name} · {words(key)}" if many else words(key)}
        for name, metrics in comparison["sets"].items()
        for key, metric in metrics.items()
    ]


def words(metric: str) -> str:
    """`zero_shot_top1` -> `zero-shot top-1`, `image_to_text_recall@5` -> `image to text recall@5`."""
    return metric.replace("zero_shot_top", "zero-shot top-").replace("_", " ")


def forest(axes: Any, rows: list[Facts]) -> None:
    """Differences curated - raw in percentage points with their intervals; hollow and grey where the interval holds zero."""
    for place, row in enumerate(reversed(rows)):
        colour, mark = {BETTER: (CURATED, "o"), WORSE: (RAW, "s")}.get(row["verdict"], (MUTED, "o"))
        inside = colour if colour != MUTED else "white"
        axes.plot([100 * row["low"], 100 * row["high"]], [place, place], color=colour, linewidth=2.4)
        axes.plot([100 * row["difference"]], [place], mark, color=colour, markerfacecolor=inside, markersize=6)
    axes.axvline(0, color=INK, linewidth=1)
    axes.set_yticks(range(len(rows)), [row["label"] for row in reversed(rows)])
    axes.set(ylim=(-0.6, len(rows) - 0.4), xlabel="curated − raw, percentage points")
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
