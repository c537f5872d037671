"""The report's drawings as inline SVG that takes its ink from the page, light or dark."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any, Final, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, MaxNLocator

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mfr.benchmark.report import Histogram, RocCurve

SERIES: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""The colours of several lines in one drawing, legible on white and on black, which colour-blind
readers tell apart (Okabe and Ito, Color Universal Design, 2008)."""
MATED, NONMATED = SERIES[:2]
_DASHES: Final = ("solid", (0, (5, 2)), (0, (1, 1.5)))
"""Lines beyond the sixth have the colours of the first, dashed and then dotted."""
_MARKERS: Final = "osD^vPX*<>"
_INK = "#010203"  # stands for the page's text colour until the SVG is finished


def roc_plot(
    curve: RocCurve,
    *,
    marks: list[tuple[float, float]],
    rates: tuple[str, str] = ("false match rate", "true accept rate"),
) -> str:
    """TAR over FMR on a log axis, with the confidence band and the named operating points.

    Args:
        curve: points with FMR 0 are drawn at the left edge.
        marks: (FMR wanted, TAR) of each operating point.
        rates: what the two rates are called.
    """
    canvas, axes = _axes(f"{rates[0]} (log)", rates[1])
    wanted = np.array(curve.wanted_fmr)
    if curve.low is not None and curve.high is not None:
        axes.fill_between(
            wanted,
            curve.low,
            curve.high,
            step="post",
            color=MATED,
            alpha=0.25,
            linewidth=0,
            label="95 % confidence",
        )
    axes.step(wanted, curve.tar, where="post", color=MATED, linewidth=1.8, label="measured")
    axes.plot(wanted, wanted, color=_INK, linewidth=0.8, linestyle=":", label="chance")
    for fmr, tar in marks:
        axes.plot([fmr], [tar], marker="o", markersize=5, color=NONMATED)
        axes.annotate(
            f"{tar:.1%}",
            (fmr, tar),
            xytext=(5, -11),
            textcoords="offset points",
            fontsize=8,
            color=_INK,
        )
    _as_roc(axes, wanted[0])
    return _svg(canvas, "roc")


def histogram_plot(histogram: Histogram, *, threshold: float | None) -> str:
    """Shares of mated and non-mated comparisons over the score."""
    canvas, axes = _axes("score (cosine)", "share of comparisons per bin")
    edges = np.array(histogram.edges)
    for counts, colour, name in (
        (histogram.nonmated, NONMATED, "two people"),
        (histogram.mated, MATED, "one person"),
    ):
        shares = np.array(counts) / max(sum(counts), 1)
        axes.stairs(shares, edges, color=colour, fill=True, alpha=0.35)
        axes.stairs(shares, edges, color=colour, linewidth=1.4, label=name)
    if threshold is not None:
        axes.axvline(threshold, color=_INK, linewidth=1, linestyle="--", label="FMR 0.1% threshold")
    axes.set_xlim(edges[0], edges[-1])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}%"))
    _legend(axes, "best")
    return _svg(canvas, "histogram")


def compared_roc_plot(curves: Mapping[str, RocCurve], *, name: str = "compared-roc") -> str:
    """Several encoders' TAR over FMR on a log axis, each with its confidence band, by name."""
    canvas, axes = _axes("false match rate (log)", "true accept rate")
    lowest = min(curve.wanted_fmr[0] for curve in curves.values())
    for style, (label, curve) in zip(_styles(), curves.items(), strict=False):
        wanted = np.array(curve.wanted_fmr)
        if curve.low is not None and curve.high is not None:
            axes.fill_between(
                wanted,
                curve.low,
                curve.high,
                step="post",
                color=style["color"],
                alpha=0.18,
                linewidth=0,
            )
        axes.step(wanted, curve.tar, where="post", linewidth=1.8, label=label, **style)
    axes.plot([lowest, 1], [lowest, 1], color=_INK, linewidth=0.8, linestyle=":", label="chance")
    _as_roc(axes, lowest)
    return _svg(canvas, name)


def det_plot(
    curves: Mapping[str, RocCurve],
    *,
    name: str = "det",
    rates: tuple[str, str] = ("false match rate", "false non-match rate"),
) -> str | None:
    """Detection error trade-off: FNMR over FMR, both on log axes, by name.

    Where nobody is refused the FNMR has no logarithm, and the line falls out of the drawing. One
    that is nowhere in it is called so in the legend.

    Returns:
        The drawing; None where no curve refuses anybody.
    """
    least = min((1 - tar for one in curves.values() for tar in one.tar if tar < 1), default=None)
    if least is None:
        return None
    canvas, axes = _axes(*(f"{rate} (log)" for rate in rates))
    lowest = min(curve.wanted_fmr[0] for curve in curves.values())
    for style, (label, curve) in zip(_styles(), curves.items(), strict=False):
        refused = 1 - np.array(curve.tar)
        nobody = np.flatnonzero(refused <= 0)
        refused[nobody] = np.nan
        refused[nobody[:1]] = least / 100  # the first of them draws the fall
        told = label if (refused >= least).any() else f"{label}: no refusals"
        axes.step(curve.wanted_fmr, refused, where="post", linewidth=1.8, label=told, **style)
    axes.set_xscale("log")
    axes.set_xlim(min(lowest, 0.1), 1)
    axes.set_ylim(min(least / 1.2, 0.1), 1)
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}%"))
        axis.set_minor_formatter(FuncFormatter(lambda value, _: ""))
    _legend(axes, "best")
    return _svg(canvas, name)


def cmc_plot(curves: Mapping[str, Sequence[float]], *, name: str = "cmc") -> str | None:
    """Cumulative match characteristic: the share of searches found by each rank, by name.

    Returns:
        The drawing, whose upright axis has at least the ten points below 100%; None where every
        search finds its person first.
    """
    least = min(share for shares in curves.values() for share in shares)
    if least == 1:
        return None
    canvas, axes = _axes("rank", "share of searches found by it")
    last = max(len(shares) for shares in curves.values())
    for style, (label, shares) in zip(_styles(), curves.items(), strict=False):
        ranks = np.arange(1, last + 1)
        up = np.append(shares, np.full(last - len(shares), shares[-1]))  # nothing more is found
        axes.step(ranks, up, where="post", linewidth=1.8, label=label, **style)
    axes.set_xlim(1, max(2, last))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    bottom = min(0.9, np.floor(10 * least) / 10)
    axes.set_ylim(bottom, 1 + 0.02 * (1 - bottom))  # a line at 100% is seen whole
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}%"))
    _legend(axes, "lower right")
    return _svg(canvas, name)


def histograms_plot(histograms: Mapping[str, Histogram], *, name: str) -> str:
    """The scores of several domains on one axis: of one person lines, of two people fillings."""
    canvas, axes = _axes("score (cosine)", "share of comparisons per bin")
    for style, (label, histogram) in zip(_styles(), histograms.items(), strict=False):
        edges = np.array(histogram.edges)
        mated, nonmated = (
            np.array(counts) / max(sum(counts), 1)
            for counts in (histogram.mated, histogram.nonmated)
        )
        colour, dash = style["color"], style["linestyle"]
        axes.stairs(nonmated, edges, color=colour, fill=True, alpha=0.15)
        axes.stairs(nonmated, edges, color=colour, linewidth=0.8, linestyle=dash)
        axes.stairs(mated, edges, color=colour, linewidth=2, linestyle=dash, label=label)
    filled = np.concatenate(
        [
            np.flatnonzero(np.array(one.mated) + np.array(one.nonmated))
            for one in histograms.values()
        ]
    )
    if len(filled):
        axes.set_xlim(edges[filled.min()], edges[filled.max() + 1])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}%"))
    _legend(axes, "best")
    return _svg(canvas, name)


def map_plot(points: Mapping[str, Sequence[tuple[float, float]]], *, name: str) -> str:
    """Points of several domains in a plane, each domain with its colour and its marker."""
    canvas, axes = _axes("first component", "second component")
    for style, marker, (label, places) in zip(
        _styles(), _MARKERS * len(points), points.items(), strict=False
    ):
        across, up = zip(*places, strict=True) if places else ((), ())
        axes.scatter(
            across,
            up,
            s=18,
            color=style["color"],
            marker=marker,
            alpha=0.6,
            linewidth=0,
            label=label,
        )
    _legend(axes, "best")
    return _svg(canvas, name)


def _styles() -> Iterator[dict[str, Any]]:
    for number in count():
        dash = _DASHES[number // len(SERIES) % len(_DASHES)]
        yield {"color": SERIES[number % len(SERIES)], "linestyle": dash}


def curves_plot(
    curves: Mapping[str, Sequence[tuple[float, float]]],
    *,
    x: str,
    y: str,
    name: str,
    scale: Literal["linear", "log"] = "linear",
) -> str:
    """Lines through (x, y) points, by what the legend calls them; in the colours of `SERIES`.

    Args:
        curves: the points of each line.
        x: the label of the horizontal axis.
        y: the label of the vertical axis.
        name: the name of the drawing; two drawings on one page need different ones.
        scale: of the horizontal axis.
    """
    canvas, axes = _axes(x, y)
    if scale == "log":
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(FuncFormatter(lambda value, _: ""))
    for style, (label, points) in zip(_styles(), curves.items(), strict=False):
        across, up = zip(*points, strict=True) if points else ((), ())
        marker = "o" if len(points) < 12 else None
        axes.plot(across, up, linewidth=1.6, marker=marker, markersize=4, label=label, **style)
    first = next((points for points in curves.values() if points), [(0.0, 0.0)])
    if first[0][0] > first[-1][0]:  # points that fall are drawn in their order
        axes.invert_xaxis()
    _legend(axes, "best")
    return _svg(canvas, name)


def _axes(x: str, y: str) -> tuple[Canvas, Axes]:
    canvas = Canvas(figsize=(6.4, 4.0), layout="constrained")
    axes = canvas.add_subplot()
    axes.set_xlabel(x, color=_INK)
    axes.set_ylabel(y, color=_INK)
    axes.tick_params(which="both", colors=_INK)
    axes.grid(True, which="major", color=_INK, alpha=0.15, linewidth=0.6)
    for side, spine in axes.spines.items():
        spine.set_color(_INK)
        spine.set_visible(side in ("left", "bottom"))
    return canvas, axes


def _as_roc(axes: Axes, lowest: float) -> None:
    """Scales and legend of an ROC whose least FMR is ``lowest``."""
    axes.set_xscale("log")
    axes.set_xlim(min(lowest, 0.1), 1)  # a single comparison would leave no width
    axes.set_ylim(0, 1.02)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}%"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}%"))
    _legend(axes, "lower right")


def _legend(axes: Axes, place: Literal["lower right", "best"]) -> None:
    axes.legend(loc=place, frameon=False, labelcolor=_INK, fontsize=9)


def _svg(canvas: Canvas, name: str) -> str:
    """The drawing without prolog, metadata and namespaces, which inline SVG does not need."""
    buffer = io.StringIO()
    # A fixed salt gives the same identifiers every time, and other ones per drawing.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        canvas.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\s+xmlns(:\w+)?="[^"]*"', "", text)
    # Elements are named by matplotlib ('figure_1', 'axes_1'); a page with two drawings needs both.
    text = re.sub(r'(<g) id="[^"]*"', r"\1", text)
    text = re.sub(
        r'(<svg)[^>]*?(viewBox="[^"]*")[^>]*>', r'\1 \2 aria-hidden="true">', text, count=1
    )
    return text.replace(_INK, "currentColor").strip()
