"""A chart of plain data as a matplotlib figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from theorylab.charts import Chart, CurveFigure, MapFigure
from theorylab.drawing._curves import draw_curves
from theorylab.drawing._maps import columns_of, draw_maps, side_of
from theorylab.drawing._style import WIDTH

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(figure: Chart) -> Figure:
    """Draw a chart as a matplotlib figure.

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
    >>> import numpy as np
    >>> from theorylab.charts import MapPanel
    >>> panel = MapPanel("a ramp", np.arange(12.0).reshape(1, 3, 4))
    >>> len(draw(MapFigure("ramp", "A ramp.", (panel,))).axes)
    1
    """
    if isinstance(figure, MapFigure):
        return draw_maps(figure)
    if isinstance(figure, CurveFigure):
        return draw_curves(figure)
    raise TypeError(f"figure: expected a MapFigure or a CurveFigure, got {type(figure).__name__}")


def width(figure: Chart) -> float:
    """Return how wide a chart is drawn, in inches; a page should not show it much wider.

    Examples
    --------
    >>> width(CurveFigure("c", "", "N", "y", (), ()))
    6.4
    """
    if isinstance(figure, CurveFigure):
        return WIDTH
    columns = columns_of(len(figure.panels))
    return columns * side_of(columns)
