"""Predicted curves with measured points on them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from theorylab.charts import CurveFigure, Line, Points
from theorylab.drawing._numbers import number
from theorylab.drawing._style import FAINT, INK, PALETTE, TITLE, WIDTH, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_STYLES = ("-", "--", ":", "-.")
# On a logarithmic axis of fewer decades than this, 2 and 5 are labelled beside 1; on more they would touch.
_FINE_DECADES = 3
# More letters than this along the axis would touch.
_LETTERS = 60
# Of the legend: inches of a letter, of a line with a point on it, of a row.
_LETTER, _HANDLE, _ROW = 0.073, 0.62, 0.18
# Points of several labels at one place stand beside each other, at this part of the axis.
_BESIDE = 0.014


def draw_curves(figure: CurveFigure) -> Figure:
    """Draw lines and points under a title and one legend that says what they are; a ValueError if there are none."""
    from matplotlib.figure import Figure

    if not (figure.lines or figure.points):
        raise ValueError(f"figure {figure.name!r}: there is no curve in it")
    drawn: list[Line | Points] = [*figure.lines, *_beside(figure)]
    labels = list(dict.fromkeys(item.label for item in drawn))
    columns = _columns(labels)
    title = wrapped(figure.title, WIDTH)
    rows = -(-len(labels) // columns) + bool(title) + title.count("\n")
    canvas = Figure(figsize=(WIDTH, 4.1 + _ROW * max(rows - 2, 0)), layout="constrained")
    axes = canvas.subplots()
    axes.set_xscale(figure.x_scale)
    axes.set_yscale(figure.y_scale)
    handles: dict[str, list[Any]] = {label: [] for label in labels}
    for item in drawn:
        handles[item.label] += _draw_item(axes, item, labels.index(item.label))
    _set_ticks(axes, figure)
    label_axes(axes, "", figure.x_label, figure.y_label, size=10)
    if figure.points:
        lines = "lines: predicted · " if figure.lines else ""
        axes.set_title(f"{lines}points: measured, with 95 % intervals", loc="left", fontsize=8.5, color=FAINT)
    # A tuple of handles is drawn as one: the line with its point on it.
    entries: list[Any] = [tuple(items) for items in handles.values()]
    legend = canvas.legend(
        entries,
        labels,
        loc="outside upper left",
        ncols=columns,
        title=title or None,
        alignment="left",
        title_fontproperties={"weight": "bold", "size": TITLE},
        fontsize=9,
        frameon=False,
        labelcolor=INK,
        handlelength=2.4,
        columnspacing=1.6,
    )
    for text in (legend.get_title(), *legend.get_texts()):
        text.set_parse_math(False)
    return canvas


def _columns(labels: Sequence[str]) -> int:
    """Return in how many columns of a legend the labels are no wider than the figure, at most three."""

    def width(columns: int) -> float:
        rows = -(-len(labels) // columns)
        tops = range(0, len(labels), rows)
        return sum(_HANDLE + _LETTER * max(map(len, labels[top : top + rows])) for top in tops)

    return next((n for n in (3, 2) if n <= len(labels) and width(n) <= WIDTH), 1)


def _beside(figure: CurveFigure) -> list[Points]:
    """Return the points, those of several labels beside each other where no line says at which place they are."""
    count = len(figure.points)
    if figure.lines or count < 2:
        return list(figure.points)
    log = figure.x_scale == "log"
    at = np.concatenate([points.x for points in figure.points]).astype(float)
    reach = np.ptp(np.log(at) if log else at) * _BESIDE
    moved = []
    for index, points in enumerate(figure.points):
        shift = (index - (count - 1) / 2) * reach
        x = points.x * np.exp(shift) if log else points.x + shift
        moved.append(dataclasses.replace(points, x=x))
    return moved


def _draw_item(axes: Axes, item: Line | Points, index: int) -> list[Any]:
    """Draw a line, or points with their intervals, in the colour of the label."""
    colour = PALETTE[index % len(PALETTE)]
    if isinstance(item, Line):
        style = _STYLES[index // len(PALETTE) % len(_STYLES)]
        return list(axes.plot(item.x, item.y, style, color=colour, linewidth=1.5, zorder=2))
    y = np.asarray(item.y, dtype=float)
    # An interval that does not hold its own point (skewed bootstrap) would be a negative bar, an error.
    reach = np.maximum([y - np.asarray(item.low), np.asarray(item.high) - y], 0)
    bars = axes.errorbar(
        item.x,
        y,
        yerr=reach,
        fmt=_MARKERS[index % len(_MARKERS)],
        color=colour,
        markersize=5,
        markeredgecolor="white",
        markeredgewidth=0.6,
        elinewidth=1.1,
        capsize=2.5,
        zorder=3,
    )
    return [bars]


def _set_ticks(axes: Axes, figure: CurveFigure) -> None:
    from matplotlib import ticker

    for axis, scale in ((axes.xaxis, figure.x_scale), (axes.yaxis, figure.y_scale)):
        if scale == "log":  # plain numbers: 1, 2, 5, 10 if the axis is short, 1, 10, 100 if it is long
            low, high = axis.get_view_interval()
            fine = high < low * 10**_FINE_DECADES
            axis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5) if fine else (1,)))
            axis.set_major_formatter(ticker.FuncFormatter(_plain_label))
            axis.set_minor_formatter(ticker.NullFormatter())
    if figure.x_names:
        upright = sum(map(len, figure.x_names)) > _LETTERS
        axes.set_xticks(range(len(figure.x_names)), figure.x_names, rotation=90 if upright else 0)
        return
    counts = figure.points and all((points.x % 1 == 0).all() for points in figure.points)
    if figure.x_scale == "linear" and counts:
        axes.xaxis.set_major_locator(ticker.MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))


def _plain_label(value: float, _position: int | None = None) -> str:
    return f"{value:.6g}" if 1e-4 <= abs(value) < 1e6 else number(value, 3)


def label_axes(axes: Axes, title: str, x_label: str, y_label: str, *, size: float = 9) -> None:
    """Set words, grid and spines of a chart; no word is read as mathtext."""
    axes.set_title(title, fontsize=size, color=INK, parse_math=False)
    axes.set_xlabel(x_label, fontsize=size, color=INK, parse_math=False)
    axes.set_ylabel(y_label, fontsize=size, color=INK, parse_math=False)
    axes.tick_params(labelsize=size - 1, color=FAINT, labelcolor=INK, which="both")
    axes.grid(True, which="major", color="#e4e4e4", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set(color=FAINT, linewidth=0.8)
