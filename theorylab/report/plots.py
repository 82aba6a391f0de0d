"""Figures of a report, drawn with matplotlib's objects alone: no pyplot, no global state."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from theorylab import _files
from theorylab.report import _format
from theorylab.report._panels import draw_maps
from theorylab.report._style import FAINT, INK, PALETTE, WIDTH
from theorylab.report.results import CurveFigure, Line, MapFigure, Points

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DPI = 160
FORMATS = ("png", "pdf", "svg")
# On a logarithmic axis of fewer decades than this, 2 and 5 are labelled beside 1; on more they would touch.
_FINE_DECADES = 3


def draw(figure: MapFigure | CurveFigure) -> Figure:
    """A figure of the report as a matplotlib figure.

    Parameters
    ----------
    figure : MapFigure or CurveFigure
        Maps are shown by the joint minimum and maximum over pixels and channels, of the panel or of all panels
        with its `scale`, and the range of the raw values stands under each; a map of one channel is grey, a map of
        zeros mid-grey.  In curves, a line and the points of the same label share a colour; intervals are drawn as bars.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    TypeError
        If `figure` is neither.
    ValueError
        If there is nothing in it, or a map is not ``(1, H, W)`` or ``(3, H, W)``.

    Examples
    --------
    >>> from theorylab.report.results import MapPanel
    >>> panel = MapPanel("a ramp", np.arange(12.0).reshape(1, 3, 4))
    >>> len(draw(MapFigure("ramp", "A ramp.", (panel,))).axes)
    1
    """
    if isinstance(figure, MapFigure):
        return draw_maps(figure)
    if isinstance(figure, CurveFigure):
        return _draw_curves(figure)
    raise TypeError(f"figure: expected a MapFigure or a CurveFigure, got {type(figure).__name__}")


def render(figure: MapFigure | CurveFigure, file_format: str = "png", dpi: int = DPI) -> bytes:
    """A figure as the content of a file; the same figure gives the same bytes.

    Parameters
    ----------
    figure : MapFigure or CurveFigure
    file_format : {"png", "pdf", "svg"}
    dpi : int, default 160
        Pixels an inch; a full figure is 6.4 inches wide.

    Raises
    ------
    TypeError, ValueError
        As `draw`; and if the format is unknown.

    Examples
    --------
    >>> from theorylab.report.results import MapPanel
    >>> panel = MapPanel("a ramp", np.arange(12.0).reshape(1, 3, 4))
    >>> render(MapFigure("ramp", "A ramp.", (panel,)))[:4]
    b'\\x89PNG'
    """
    return encode(draw(figure), file_format, dpi)


def encode(canvas: Figure, file_format: str = "png", dpi: int = DPI) -> bytes:
    """A matplotlib figure as the content of a file; the same figure gives the same bytes.

    Raises
    ------
    ValueError
        If the format is unknown.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> encode(Figure(figsize=(1, 1)))[:4]
    b'\\x89PNG'
    """
    if file_format not in FORMATS:
        raise ValueError(f"file_format: unknown {file_format!r}, choose one of {', '.join(FORMATS)}")
    # Names and dates of the writing program would make equal figures differ.
    metadata = {"png": {"Software": None}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}[file_format]
    stream = io.BytesIO()
    canvas.savefig(
        stream,
        format=file_format,
        dpi=dpi,
        metadata=metadata,
        facecolor="white",
        bbox_inches="tight",
        pad_inches=0.08,
    )
    return stream.getvalue()


def check_path(path: str | os.PathLike[str]) -> None:
    """See, without writing, whether a figure can be saved as `path`.

    Raises
    ------
    OSError
        If a file cannot be written there.
    ValueError
        If the name does not end in a known format.

    Examples
    --------
    >>> check_path("map.bmp")
    Traceback (most recent call last):
        ...
    ValueError: map.bmp: the name of a figure must end in .png, .pdf, .svg
    """
    if _format_of(path) not in FORMATS:
        endings = ", ".join(f".{ending}" for ending in FORMATS)
        raise ValueError(f"{os.fspath(path)}: the name of a figure must end in {endings}")
    _files.check_file(path)


def save(figure: MapFigure | CurveFigure, path: str | os.PathLike[str]) -> Path:
    """Draw a figure into a file, whole or not at all, in the format that its name says; see `check_path`.

    Examples
    --------
    >>> import tempfile
    >>> from theorylab.report.results import MapPanel
    >>> panel = MapPanel("a ramp", np.arange(12.0).reshape(1, 3, 4))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(MapFigure("ramp", "A ramp.", (panel,)), f"{folder}/ramp.png").name
    'ramp.png'
    """
    check_path(path)
    return _files.write_atomically(path, render(figure, _format_of(path)))


def _format_of(path: str | os.PathLike[str]) -> str:
    return Path(path).suffix.lower().lstrip(".")


def _draw_curves(figure: CurveFigure) -> Figure:
    from matplotlib.figure import Figure

    if not (figure.lines or figure.points):
        raise ValueError(f"figure {figure.name!r}: there is no curve in it")
    canvas = Figure(figsize=(WIDTH, 4.1), layout="constrained")
    axes = canvas.subplots()
    axes.set_xscale(figure.x_scale)
    axes.set_yscale(figure.y_scale)
    drawn: list[Line | Points] = [*figure.lines, *figure.points]
    labels = list(dict.fromkeys(item.label for item in drawn))
    handles: dict[str, list[Any]] = {label: [] for label in labels}
    for line in figure.lines:
        place = labels.index(line.label)
        style = ("-", "--", ":", "-.")[place // len(PALETTE) % 4]
        colour = PALETTE[place % len(PALETTE)]
        handles[line.label] += axes.plot(line.x, line.y, style, color=colour, linewidth=1.5, zorder=2)
    for points in figure.points:
        place = labels.index(points.label)
        y = np.asarray(points.y, dtype=float)
        # An interval that does not hold its own point (skewed bootstrap) would be a negative bar, an error.
        reach = np.maximum([y - np.asarray(points.low), np.asarray(points.high) - y], 0)
        bars = axes.errorbar(
            points.x,
            y,
            yerr=reach,
            fmt=_MARKERS[place % len(_MARKERS)],
            color=PALETTE[place % len(PALETTE)],
            markersize=5,
            markeredgecolor="white",
            markeredgewidth=0.6,
            elinewidth=1.1,
            capsize=2.5,
            zorder=3,
        )
        handles[points.label].append(bars)
    for axis, scale in ((axes.xaxis, figure.x_scale), (axes.yaxis, figure.y_scale)):
        if scale == "log":
            _label_plainly(axis)
    from matplotlib import ticker

    counts = figure.points and all((points.x % 1 == 0).all() for points in figure.points)
    if figure.x_scale == "linear" and counts:
        axes.xaxis.set_major_locator(ticker.MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))
    _finish_curves(canvas, axes, figure, handles)
    return canvas


def _label_plainly(axis: Axis) -> None:
    """Ticks of a logarithmic axis as plain numbers: 1, 2, 5, 10 on a short one, 1, 10, 100 on a long one."""
    from matplotlib import ticker

    low, high = axis.get_view_interval()
    fine = high < low * 10**_FINE_DECADES
    axis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5) if fine else (1,)))
    axis.set_major_formatter(ticker.FuncFormatter(_plain_label))
    axis.set_minor_formatter(ticker.NullFormatter())


def _plain_label(value: float, _position: int | None = None) -> str:
    return f"{value:.6g}" if 1e-4 <= abs(value) < 1e6 else _format.number(value, 3)


def _finish_curves(canvas: Figure, axes: Axes, figure: CurveFigure, handles: dict[str, list[Any]]) -> None:
    axes.set_xlabel(figure.x_label, fontsize=10, color=INK, parse_math=False)
    axes.set_ylabel(figure.y_label, fontsize=10, color=INK, parse_math=False)
    axes.tick_params(labelsize=9, color=FAINT, labelcolor=INK, which="both")
    axes.grid(True, which="major", color="#e4e4e4", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set(color=FAINT, linewidth=0.8)
    # A tuple of handles is drawn as one: the line with its point on it.
    entries: list[Any] = [tuple(items) for items in handles.values()]
    legend = canvas.legend(
        entries,
        list(handles),
        loc="outside upper left",
        ncols=min(len(handles), 3),
        fontsize=9,
        frameon=False,
        labelcolor=INK,
        handlelength=2.4,
        columnspacing=1.6,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
