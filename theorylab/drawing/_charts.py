"""Charts of plain data as matplotlib figures and as files: the same chart gives the same bytes."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from theorylab import _files
from theorylab.charts import Chart, CurveFigure, MapFigure
from theorylab.drawing._curves import draw_curves
from theorylab.drawing._maps import draw_maps, layout_of
from theorylab.drawing._style import WIDTH, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 160
FORMATS = ("png", "pdf", "svg")


@plain()
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
    columns, side = layout_of(len(figure.panels))
    return columns * side


def render(figure: Chart, file_format: str = "png") -> bytes:
    r"""Draw a chart as the content of a file; the same chart gives the same bytes.

    Parameters
    ----------
    figure : MapFigure or CurveFigure
    file_format : {"png", "pdf", "svg"}

    Raises
    ------
    TypeError, ValueError
        As `draw`; and if the format is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> from theorylab.charts import MapFigure, MapPanel
    >>> panel = MapPanel("a ramp", np.arange(12.0).reshape(1, 3, 4))
    >>> render(MapFigure("ramp", "A ramp.", (panel,)))[:4]
    b'\x89PNG'
    """
    return encode(draw(figure), file_format)


@plain()
def encode(canvas: Figure, file_format: str = "png") -> bytes:
    r"""Encode a matplotlib figure as the content of a file; the same figure gives the same bytes.

    Raises
    ------
    ValueError
        If the format is unknown.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> encode(Figure(figsize=(1, 1)))[:4]
    b'\x89PNG'
    """
    import matplotlib

    if file_format not in FORMATS:
        raise ValueError(f"file_format: unknown {file_format!r}, choose one of {', '.join(FORMATS)}")
    # Leave out the program's name and the date, which would make equal figures differ.
    metadata = {"png": {"Software": None}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}[file_format]
    stream = io.BytesIO()
    options: dict[str, Any] = {"facecolor": "white", "bbox_inches": "tight", "pad_inches": 0.08}
    matplotlib.rcParams["svg.hashsalt"] = "theorylab"  # else the names of its parts are drawn at random
    canvas.savefig(stream, format=file_format, dpi=_DPI, metadata=metadata, **options)
    return stream.getvalue()


def check_path(path: str | os.PathLike[str], read: str | os.PathLike[str] | None = None) -> None:
    """Check, without writing, that a figure can be saved as `path`, which is not what is `read`.

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
    if Path(path).suffix.lower()[1:] not in FORMATS:
        endings = ", ".join(f".{ending}" for ending in FORMATS)
        raise ValueError(f"{os.fspath(path)}: the name of a figure must end in {endings}")
    _files.check_file(path, read)


def save(figure: Chart, path: str | os.PathLike[str]) -> Path:
    """Draw a figure into a file, whole or not at all, in the format that its name says; see `check_path`.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from theorylab.charts import MapFigure, MapPanel
    >>> panel = MapPanel("a ramp", np.arange(12.0).reshape(1, 3, 4))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(MapFigure("ramp", "A ramp.", (panel,)), f"{folder}/ramp.png").name
    'ramp.png'
    """
    check_path(path)
    return _files.write_atomically(path, render(figure, Path(path).suffix.lower()[1:]))
