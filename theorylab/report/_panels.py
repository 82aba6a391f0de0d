"""Maps beside each other, each with the range of its raw values; those that are compared on one scale."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from theorylab import display
from theorylab.report import _format
from theorylab.report._style import FAINT, INK, WIDTH
from theorylab.report.results import MapFigure, MapPanel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw_maps(figure: MapFigure) -> Figure:
    """All panels of a figure; a ValueError if there are none or one is no map."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    if not figure.panels:
        raise ValueError(f"figure {figure.name!r}: there is no panel in it")
    n_panels = len(figure.panels)
    # Full rows where three panels in a row make them.
    columns = n_panels if n_panels <= 4 else (3 if n_panels % 3 == 0 or n_panels == 5 else 4)
    rows = -(-n_panels // columns)
    width = WIDTH if columns > 2 else 2.7 * columns
    titles = [textwrap.fill(panel.title, int(11.5 * width / columns)) for panel in figure.panels]
    height, broad = figure.panels[0].map.shape[-2:]
    side = width / columns * min(height / broad, 2.0)
    # Under a map on a common scale stand two lines and not one.
    lines = max(title.count("\n") + 1 for title in titles) + any(panel.scale for panel in figure.panels)
    canvas = Figure(
        figsize=(width, rows * (side + 0.16 * lines + 0.25)),
        layout=ConstrainedLayoutEngine(w_pad=0.04, h_pad=0.04),
    )
    grid = canvas.subplots(rows, columns, squeeze=False).ravel()
    spans = _spans(figure.panels)
    for axes, panel, title in zip(grid, figure.panels, titles, strict=False):
        _draw_panel(axes, panel, title, figure.name, spans.get(panel.scale))
    for axes in grid[n_panels:]:
        axes.set_axis_off()
    return canvas


def _spans(panels: Sequence[MapPanel]) -> dict[str, tuple[float, float]]:
    """Least and greatest raw value of the maps on each common scale."""
    ends: dict[str, list[float]] = {}
    for panel in panels:
        if panel.scale:
            ends.setdefault(panel.scale, []).extend((float(np.min(panel.map)), float(np.max(panel.map))))
    return {scale: (min(found), max(found)) for scale, found in ends.items()}


def _draw_panel(
    axes: Axes, panel: MapPanel, title: str, name: str, common: tuple[float, float] | None
) -> None:
    raw = np.asarray(panel.map)
    if raw.ndim != 3 or raw.shape[0] not in (1, 3):
        raise ValueError(
            f"figure {name!r}, panel {panel.title!r}: expected (1, H, W) or (3, H, W), got {raw.shape}"
        )
    pixels = np.moveaxis(display.shades(raw, common), 0, -1)
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
    words = _range(float(raw.min()), float(raw.max()))
    if common is not None:
        words += f"\nshown on {_range(*common)}"
    axes.set_xlabel(words, fontsize=7, color=FAINT, labelpad=3)


def _range(low: float, high: float) -> str:
    return f"{_format.number(low, 3)} … {_format.number(high, 3)}"
