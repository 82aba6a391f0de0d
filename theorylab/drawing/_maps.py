"""Rows of maps with charts under them, for reports, figures and audits."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from theorylab import display
from theorylab.charts import MapFigure, MapPanel
from theorylab.drawing._numbers import number
from theorylab.drawing._style import FAINT, INK, WIDTH, entitle, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Rows = Sequence[tuple[str, Sequence[MapPanel]]]

# Inches: a page of a figure, the names of its rows, the height of a chart, a line of words.
_PAGE, _LABEL, _CHART, _LINE = 8.0, 0.3, 3.0, 0.14


def layout_of(n_panels: int) -> tuple[int, float]:
    """Return the number of maps per row in a figure of a report, three where that fills the rows, and a map's width."""
    columns = n_panels if n_panels <= 4 else (3 if n_panels % 3 == 0 or n_panels == 5 else 4)
    return columns, WIDTH / columns if columns > 2 else 2.7


def draw_maps(figure: MapFigure) -> Figure:
    """Draw all panels of a figure, each over the range of its raw values; a ValueError if there are none."""
    if not figure.panels:
        raise ValueError(f"figure {figure.name!r}: there is no panel in it")
    columns, side = layout_of(len(figure.panels))
    spans = _spans(figure.panels)
    panels = [
        dataclasses.replace(
            panel,
            title=textwrap.fill(panel.title, int(11.5 * side)),
            note="\n".join(
                [*_range_words(panel, spans.get(panel.scale)), *textwrap.wrap(panel.note, int(13 * side))]
            ),
        )
        for panel in figure.panels
    ]
    rows = [("", panels[start : start + columns]) for start in range(0, len(panels), columns)]
    height, breadth = np.asarray(panels[0].map).shape[-2:]
    canvas = _draw_rows(rows, side, aspect=min(height / breadth, 2.0))[0]
    entitle(canvas, figure.title)
    return canvas


def rows_of_maps(rows: Rows) -> Figure:
    """Draw rows of a name and panels; every map is scaled by its joint minimum and maximum."""
    return maps_over_charts(rows, 0)[0]


@plain()
def maps_over_charts(rows: Rows, charts: int) -> tuple[Figure, list[Axes]]:
    """Draw rows of maps, and empty axes for charts side by side under them.

    Parameters
    ----------
    rows : sequence of (str, sequence of MapPanel)
        The name at the left of each row, and its maps.
    charts : int

    Returns
    -------
    (matplotlib.figure.Figure, list of matplotlib.axes.Axes)
    """
    columns = max((len(panels) for _, panels in rows), default=3)
    side = (_PAGE - _LABEL) / max(columns, 3)

    def wrapped(panel: MapPanel) -> MapPanel:
        title, note = (textwrap.fill(words, int(13 * side)) for words in (panel.title, panel.note))
        return dataclasses.replace(panel, title=title, note=note)

    rows = [(name, [wrapped(panel) for panel in panels]) for name, panels in rows]
    return _draw_rows(rows, side, charts=charts, label=_LABEL)


def _draw_rows(
    rows: Rows,
    side: float,
    *,
    charts: int = 0,
    label: float = 0.0,
    aspect: float = 1.0,
) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    columns = max((len(panels) for _, panels in rows), default=0)
    spans = _spans([panel for _, panels in rows for panel in panels])
    heights = [side * aspect + _LINE * _lines(panels) for _, panels in rows]
    parts = [height for height in (sum(heights), _CHART * bool(charts)) if height]
    canvas = Figure(
        figsize=(label + side * max(columns, 3 * bool(charts)), sum(parts)),
        layout=ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03, wspace=0.01, hspace=0.01),
    )
    areas = canvas.subfigures(len(parts), 1, squeeze=False, height_ratios=parts)[:, 0]
    if rows:
        grid = areas[0].subplots(len(rows), columns, squeeze=False, gridspec_kw={"height_ratios": heights})
        for axes_row, (name, panels) in zip(grid, rows, strict=True):
            for axes, panel in zip(axes_row, panels, strict=False):
                _draw_map(axes, panel, spans.get(panel.scale))
            if name:
                axes_row[0].set_ylabel(name, fontsize=9, color=INK, parse_math=False)
            for axes in axes_row[len(panels) :]:
                axes.set_axis_off()
    return canvas, list(areas[-1].subplots(1, charts, squeeze=False)[0]) if charts else []


def _lines(panels: Sequence[MapPanel]) -> int:
    """Count the lines of words over and under a row, and one for the gaps."""
    titles, notes = [panel.title for panel in panels], [panel.note for panel in panels]
    return 1 + sum(max(words.count("\n") + bool(words) for words in several) for several in (titles, notes))


def _draw_map(axes: Axes, panel: MapPanel, span: tuple[float, float] | None) -> None:
    if panel.map is None:
        axes.set_axis_off()
        return
    raw = np.asarray(panel.map)
    if raw.ndim != 3 or raw.shape[0] not in (1, 3):
        raise ValueError(f"panel {panel.title!r}: expected (1, H, W) or (3, H, W), got {raw.shape}")
    pixels = np.moveaxis(display.shades(raw, span), 0, -1)
    if raw.shape[0] == 1:
        axes.imshow(pixels[:, :, 0], cmap="gray", vmin=0, vmax=1)
    else:
        axes.imshow(pixels)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(color=FAINT, linewidth=0.4)
    # Do not parse words as mathematics: they may hold dollar signs.
    axes.set_title(panel.title, fontsize=9, color=INK, parse_math=False, pad=4)
    axes.set_xlabel(panel.note, fontsize=7, color=FAINT, parse_math=False, labelpad=3)


def _spans(panels: Sequence[MapPanel]) -> dict[str, tuple[float, float]]:
    """Return the least and greatest raw value of the maps on each common scale."""
    ends: dict[str, list[float]] = {}
    for panel in panels:
        if panel.scale and panel.map is not None:
            ends.setdefault(panel.scale, []).extend((float(np.min(panel.map)), float(np.max(panel.map))))
    return {scale: (min(values), max(values)) for scale, values in ends.items()}


def _range_words(panel: MapPanel, span: tuple[float, float] | None) -> list[str]:
    if panel.map is None:
        return []
    ranges = [(float(np.min(panel.map)), float(np.max(panel.map))), *([span] if span else [])]
    words = [f"{number(low, 3)} … {number(high, 3)}" for low, high in ranges]
    return [words[0], *(f"shown on {each}" for each in words[1:])]
