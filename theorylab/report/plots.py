"""Figures of a report, drawn with matplotlib's objects alone: no pyplot, no global state."""

from __future__ import annotations

import io
import os
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from theorylab import _files, display
from theorylab.report import _format
from theorylab.report.results import CurveFigure, Line, MapFigure, MapPanel, Points

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart with any kind of colour vision; yellow is left out, too pale on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
INK, FAINT = "#1a1a1a", "#6b6b6b"
DPI = 160
_WIDTH = 6.4  # inches; narrow, so that the words stay legible on a phone
FORMATS = ("png", "pdf", "svg")
# On a logarithmic axis of fewer decades than this, 2 and 5 are labelled beside 1; on more they would touch.
_FINE_DECADES = 3


def draw(figure: MapFigure | CurveFigure) -> Figure:
    """A figure of the report as a matplotlib figure.

    Parameters
    ----------
    figure : MapFigure or CurveFigure
        Maps are shown by the joint minimum and maximum over pixels and channels, panel by panel, and the
        range of the raw values stands under each; a map of one channel is grey.  In curves, a line and the
        points of the same label share a colour; intervals are drawn as bars.

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
    >>> panel = MapPanel("a ramp", np.arange(12.0).reshape(1, 3, 4))
    >>> len(draw(MapFigure("ramp", "A ramp.", (panel,))).axes)
    1
    """
    if isinstance(figure, MapFigure):
        return _draw_maps(figure)
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
    >>> panel = MapPanel("a ramp", np.arange(12.0).reshape(1, 3, 4))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(MapFigure("ramp", "A ramp.", (panel,)), f"{folder}/ramp.png").name
    'ramp.png'
    """
    check_path(path)
    return _files.write_atomically(path, render(figure, _format_of(path)))


def _format_of(path: str | os.PathLike[str]) -> str:
    return Path(path).suffix.lower().lstrip(".")


def _draw_maps(figure: MapFigure) -> Figure:
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    if not figure.panels:
        raise ValueError(f"figure {figure.name!r}: there is no panel in it")
    n_panels = len(figure.panels)
    # Full rows where three panels in a row make them.
    columns = n_panels if n_panels <= 4 else (3 if n_panels % 3 == 0 or n_panels == 5 else 4)
    rows = -(-n_panels // columns)
    width = _WIDTH if columns > 2 else 2.7 * columns
    titles = [textwrap.fill(panel.title, int(11.5 * width / columns)) for panel in figure.panels]
    height, broad = figure.panels[0].map.shape[-2:]
    side = width / columns * min(height / broad, 2.0)
    lines = max(title.count("\n") + 1 for title in titles)
    canvas = Figure(
        figsize=(width, rows * (side + 0.16 * lines + 0.25)),
        layout=ConstrainedLayoutEngine(w_pad=0.04, h_pad=0.04),
    )
    grid = canvas.subplots(rows, columns, squeeze=False).ravel()
    for axes, panel, title in zip(grid, figure.panels, titles, strict=False):
        _draw_panel(axes, panel, title, figure.name)
    for axes in grid[n_panels:]:
        axes.set_axis_off()
    return canvas


def _draw_panel(axes: Axes, panel: MapPanel, title: str, name: str) -> None:
    raw = np.asarray(panel.map)
    if raw.ndim != 3 or raw.shape[0] not in (1, 3):
        raise ValueError(
            f"figure {name!r}, panel {panel.title!r}: expected (1, H, W) or (3, H, W), got {raw.shape}"
        )
    pixels = np.clip(np.moveaxis(display.min_max(raw), 0, -1), 0, 1)
    if raw.shape[0] == 1:
        axes.imshow(pixels[:, :, 0], cmap="gray", vmin=0, vmax=1)
    else:
        axes.imshow(pixels)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(color=FAINT, linewidth=0.4)
    # Titles are plain words: a dollar sign in them is a dollar sign.
    axes.set_title(title, fontsize=9, color=INK, parse_math=False, pad=4)
    span = f"{_format.number(float(raw.min()), 3)} … {_format.number(float(raw.max()), 3)}"
    axes.set_xlabel(span, fontsize=7, color=FAINT, labelpad=3)


def _draw_curves(figure: CurveFigure) -> Figure:
    from matplotlib.figure import Figure

    if not (figure.lines or figure.points):
        raise ValueError(f"figure {figure.name!r}: there is no curve in it")
    canvas = Figure(figsize=(_WIDTH, 4.1), layout="constrained")
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
