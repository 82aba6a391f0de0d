"""A study's files: figures and a table, and ``results.json`` last."""

from __future__ import annotations

import io
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from theorylab import _files, drawing
from theorylab.charts import CurveFigure, Line, Points
from theorylab.convergence.quantities import QUANTITIES, Comparison
from theorylab.convergence.results import SIMULTANEOUS, Convergence
from theorylab.rules import Rule

if TYPE_CHECKING:
    from rich.console import Group

RULES = {
    Rule.SALIENCY: "saliency",
    Rule.DECONVNET: "DeconvNet",
    Rule.GUIDED: "guided",
}
AXES = {
    "n_filters": "filters N",
    "kernel": "side of a filter",
    "stride": "stride",
    "pool": "side of a pooling window",
    "depth": "convolutions",
}
WIDTH = 80


def figures(found: Convergence) -> list[CurveFigure]:
    """One figure a quantity: measured points with 95 % intervals, over the predicted curves.

    Parameters
    ----------
    found : Convergence

    Returns
    -------
    list of CurveFigure
        Named after the quantities; those that were not measured anywhere are left out.
    """
    drawn = []
    for quantity, words in QUANTITIES.items():
        points = [one for rule in found.design.rules if (one := _points(found, rule, quantity)) is not None]
        if not points:
            continue
        lines = [
            Line(RULES[curve.rule], curve.x, curve.y) for curve in found.curves if curve.quantity == quantity
        ]
        heights = [*(line.y for line in lines), *(one.low for one in points)]
        positive = min(float(height.min()) for height in heights) > 0
        over_filters = found.design.over == "n_filters"
        drawn.append(
            CurveFigure(
                quantity.replace("_", "-"),
                f"{words.capitalize()} against {AXES[found.design.over]}: predicted (lines) and measured with 95 % intervals.",
                AXES[found.design.over],
                words,
                tuple(lines),
                tuple(points),
                x_scale="log" if over_filters else "linear",
                y_scale="log" if quantity in ("variance", "kurtosis") and positive else "linear",
            )
        )
    return drawn


def _points(found: Convergence, rule: Rule, quantity: str) -> Points | None:
    rows = [
        (getattr(result.point, found.design.over), one.measured, one.low, one.high)
        for result in found.points
        if (one := result.rules[rule][quantity]).measured is not None
    ]
    if not rows:
        return None
    x, y, low, high = np.array(rows, dtype=float).T
    return Points(RULES[rule], x, y, low, high)


def table(found: Convergence) -> Group:
    """The study in a terminal: under each measured value, with its standard error, the predicted one.

    Parameters
    ----------
    found : Convergence

    Returns
    -------
    a renderable of rich
    """
    from rich.console import Group
    from rich.text import Text

    rules = found.design.rules
    rows = []
    for quantity, words in _SHORT.items():
        for place, result in enumerate(found.points):
            cells = [_cell(result.rules[rule][quantity]) for rule in rules]
            axis = str(getattr(result.point, found.design.over))
            rows.append((words if place == 0 else "", axis, *cells))
    axis = "N" if found.design.over == "n_filters" else found.design.over
    shown = drawing.table(("measured\npredicted", axis, *(RULES[rule] for rule in rules)), rows)
    for column in shown.columns:
        column.no_wrap = True
    return Group(shown, Text(), Text(_conclusion(found)))


_SHORT = {
    "cosine_input": "cosine, input",
    "cosine_mean": "cosine, mean",
    "class_distance": "distance",
    "variance": "variance",
    "kurtosis": "kurtosis",
}


def _cell(one: Comparison) -> str:
    law = "no law" if one.law.value is None else drawing.number(one.law.value)
    if one.law.kind in ("estimate", "limit"):
        law += {"estimate": " est.", "limit": " limit"}[one.law.kind]
    if one.measured is None or one.standard_error is None:
        return f"–\n{law}"
    return f"{_rounded(one.measured, one.standard_error)}\n{law}"


def _rounded(value: float, error: float) -> str:
    """A value to as many decimals as the two significant digits of its error need.

    Examples
    --------
    >>> _rounded(152.3149, 1.313), _rounded(-0.0017549, 0.0016), _rounded(2.0, 0.0)
    ('152.3 ± 1.3', '−0.0018 ± 0.0016', '2')
    """
    if error == 0:
        return drawing.number(value)
    # At most four, or three rules side by side would not fit a terminal.
    decimals = min(4, max(0, 1 - math.floor(math.log10(error))))
    shown = f"{error:.{decimals}f}" if error >= 5e-5 else drawing.number(error, 1)
    return f"{value:.{decimals if error >= 5e-5 else 5}f} ± {shown}".replace("-", drawing.MINUS)


def _conclusion(found: Convergence) -> str:
    outside, total = found.outside(), len(found.exact())
    networks = sorted({result.replicates for result in found.points})
    counts = f"{networks[0]}" if len(networks) == 1 else f"{networks[0]} to {networks[-1]}"
    words = f"{counts} networks a point; ± is one standard error. "
    if not total:
        return words + "There is no exact law to compare with."
    sure = f"{100 * SIMULTANEOUS:g}\N{NO-BREAK SPACE}%"
    if not outside:
        return words + f"All {total} exact laws lie within the intervals that hold at once with {sure}."
    names = "; ".join(
        f"{result.point.name} {RULES[rule]} {QUANTITIES[quantity]}" for result, rule, quantity, _ in outside
    )
    return (
        words
        + f"{len(outside)} of {total} exact laws lie OUTSIDE the intervals that hold at once with {sure}: {names}."
    )


def save(found: Convergence, folder: str | os.PathLike[str]) -> Path:
    """Write ``figures/*.png``, ``table.txt`` and, last, ``results.json``: where it stands, the others do.

    Parameters
    ----------
    found : Convergence
    folder : str or os.PathLike
        There already.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    OSError
        If a file cannot be written.
    """
    from rich.console import Console

    folder = Path(folder)
    pictures = {figure.name: drawing.render(figure) for figure in figures(found)}
    stream = io.StringIO()
    Console(file=stream, width=WIDTH, color_system=None).print(table(found))
    (folder / "figures").mkdir(exist_ok=True)
    for name, picture in pictures.items():
        _files.write_atomically(folder / "figures" / f"{name}.png", picture)
    _files.write_atomically(folder / "table.txt", stream.getvalue())
    _files.write_atomically(folder / "results.json", found.render())
    return folder
