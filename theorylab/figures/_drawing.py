"""Rows of maps under shared titles, drawn with matplotlib's objects alone."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from theorylab import display
from theorylab.report.plots import FAINT, INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH = 8.0  # inches
_LABEL = 0.3  # inches for the names of the rows
_CHART = 3.0  # inches of height


@dataclasses.dataclass(frozen=True)
class Panel:
    """A raw map ``(C, H, W)`` with the words over and under it; without a map the place stays empty."""

    map: np.ndarray | None
    title: str = ""
    note: str = ""


def rows_of_maps(rows: Sequence[tuple[str, Sequence[Panel]]]) -> Figure:
    """Each row a name and its panels; every map is shown by its own joint minimum and maximum."""
    return maps_over_charts(rows, 0)[0]


def maps_over_charts(rows: Sequence[tuple[str, Sequence[Panel]]], charts: int) -> tuple[Figure, list[Axes]]:
    """Rows of maps, and under them some empty axes for charts, side by side."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    columns = max((len(panels) for _, panels in rows), default=3)
    side = (_WIDTH - _LABEL) / max(columns, 3)
    heights = [side + 0.13 * _lines(panels, side) for _, panels in rows]
    parts = [height for height in (sum(heights), _CHART * bool(charts)) if height]
    canvas = Figure(
        figsize=(_LABEL + side * max(columns, 3 * bool(charts)), sum(parts)),
        layout=ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03, wspace=0.01, hspace=0.01),
    )
    areas = canvas.subfigures(len(parts), 1, squeeze=False, height_ratios=parts)[:, 0]
    if rows:
        grid = areas[0].subplots(len(rows), columns, squeeze=False, gridspec_kw={"height_ratios": heights})
        for axes_row, (name, panels) in zip(grid, rows, strict=True):
            for axes, panel in zip(axes_row, panels, strict=False):
                show(axes, panel, wrap=int(13 * side))
            if name:
                axes_row[0].set_ylabel(name, fontsize=9, color=INK, parse_math=False)
            for axes in axes_row[len(panels) :]:
                axes.set_axis_off()
    return canvas, list(areas[-1].subplots(1, charts, squeeze=False)[0]) if charts else []


def _lines(panels: Sequence[Panel], side: float) -> int:
    def count(words: str) -> int:
        return len(textwrap.wrap(words, int(13 * side)))

    return max(count(panel.title) for panel in panels) + max(count(panel.note) for panel in panels) + 1


def show(axes: Axes, panel: Panel, *, wrap: int = 30) -> None:
    """One map on its axes."""
    for spine in axes.spines.values():
        spine.set(color=FAINT, linewidth=0.4)
    axes.set_xticks([])
    axes.set_yticks([])
    if panel.map is None:
        axes.set_axis_off()
        return
    pixels = np.moveaxis(display.shades(np.asarray(panel.map)), 0, -1)
    if pixels.shape[-1] == 1:
        axes.imshow(pixels[:, :, 0], cmap="gray", vmin=0, vmax=1)
    else:
        axes.imshow(pixels)
    # Titles are plain words: a dollar sign in them is a dollar sign.
    axes.set_title(textwrap.fill(panel.title, wrap), fontsize=9, color=INK, parse_math=False, pad=3)
    axes.set_xlabel(textwrap.fill(panel.note, wrap), fontsize=7.5, color=FAINT, labelpad=3, parse_math=False)


def plain(axes: Axes, title: str, x_label: str, y_label: str) -> None:
    """Words and lines of a chart, in the manner of the report's."""
    axes.set_title(title, fontsize=9, color=INK, parse_math=False)
    axes.set_xlabel(x_label, fontsize=9, color=INK, parse_math=False)
    axes.set_ylabel(y_label, fontsize=9, color=INK, parse_math=False)
    axes.tick_params(labelsize=8, color=FAINT, labelcolor=INK, which="both")
    axes.grid(True, which="major", color="#e4e4e4", linewidth=0.6)
    axes.set_axisbelow(True)
    for name in ("top", "right"):
        axes.spines[name].set_visible(False)
    for name in ("left", "bottom"):
        axes.spines[name].set(color=FAINT, linewidth=0.8)


def two(value: float) -> str:
    """Two decimals, and no minus sign before a zero."""
    words = f"{value:.2f}"
    return "0.00" if words == "-0.00" else words
