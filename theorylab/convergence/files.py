"""A study's files: figures and a table, and ``results.json`` last."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

import numpy as np

from theorylab import _files, _json, drawing
from theorylab.charts import CurveFigure, Line, Points
from theorylab.convergence.results import QUANTITIES, SIMULTANEOUS, Comparison, Convergence
from theorylab.model.rules import Rule

if TYPE_CHECKING:
    from rich.console import Group

AXES = {
    "n_filters": "filters N",
    "kernel": "side of a filter",
    "stride": "stride",
    "pool": "side of a pooling window",
    "depth": "convolutions",
}
WIDTH = 80


def figures(convergence: Convergence) -> list[CurveFigure]:
    """One figure a quantity: measured points with 95 % intervals, over the predicted curves.

    Named after the quantities; those that were not measured anywhere are left out.
    """
    over = convergence.design.over
    drawn = []
    for quantity, words in QUANTITIES.items():
        series = [_points(convergence, rule, quantity) for rule in convergence.design.rules]
        points = [one for one in series if one.x.size]
        if not points:
            continue
        curves = [curve for curve in convergence.curves if curve.quantity == quantity]
        heights = [*(curve.y for curve in curves), *(one.low for one in points)]
        positive = min(float(height.min()) for height in heights) > 0
        drawn.append(
            CurveFigure(
                quantity.replace("_", "-"),
                f"{words.capitalize()} against {AXES[over]}: predicted (lines) and measured with 95 % intervals.",
                AXES[over],
                words,
                tuple(Line(curve.rule.title, curve.x, curve.y) for curve in curves),
                tuple(points),
                x_scale="log" if over == "n_filters" else "linear",
                y_scale="log" if quantity in ("variance", "kurtosis") and positive else "linear",
                title=f"{words.capitalize()} against {AXES[over]}",
            )
        )
    return drawn


def _points(convergence: Convergence, rule: Rule, quantity: str) -> Points:
    axis = [getattr(result.point, convergence.design.over) for result in convergence.points]
    found = [result.rules[rule][quantity] for result in convergence.points]
    rows = [(x, one.measured, one.low, one.high) for x, one in zip(axis, found, strict=True)]
    columns = np.array(rows, dtype=float)  # NaN where nothing was measured
    return Points(rule.title, *columns[~np.isnan(columns[:, 1])].T)


def table(convergence: Convergence) -> Group:
    """Lay the study out for a terminal: under each measured value, with its standard error, the predicted one."""
    from rich.console import Group
    from rich.text import Text

    rules = convergence.design.rules
    rows = []
    for quantity, words in _SHORT.items():
        for number, result in enumerate(convergence.points):
            cells = [_cell(result.rules[rule][quantity]) for rule in rules]
            axis = str(getattr(result.point, convergence.design.over))
            rows.append((words if number == 0 else "", axis, *cells))
    axis = "N" if convergence.design.over == "n_filters" else convergence.design.over
    grid = drawing.table(
        ("measured\npredicted", axis, *(rule.title.replace(" ", "\n") for rule in rules)), rows
    )
    for column in grid.columns:
        column.no_wrap = True
    return Group(grid, Text(), Text(_conclusion(convergence)))


_SHORT = {
    "cosine_input": "cosine, input",
    "cosine_mean": "cosine, mean",
    "class_distance": "distance",
    "variance": "variance",
    "kurtosis": "kurtosis",
}


def _cell(comparison: Comparison) -> str:
    law, measured, error = comparison.law, comparison.measured, comparison.standard_error
    predicted = "no law" if law.value is None else drawing.number(law.value)
    predicted += {"estimate": " est.", "limit": " limit"}.get(law.kind or "", "")
    return f"{'–' if measured is None or error is None else drawing.with_error(measured, error)}\n{predicted}"


def _conclusion(convergence: Convergence) -> str:
    outside, total = convergence.outside(), len(convergence.exact())
    networks = sorted({result.replicates for result in convergence.points})
    counts = f"{networks[0]}" if len(networks) == 1 else f"{networks[0]} to {networks[-1]}"
    words = f"{counts} networks a point; ± is one standard error. "
    if not total:
        return words + "There is no exact law to compare with."
    sure = f"{100 * SIMULTANEOUS:g}\N{NO-BREAK SPACE}%"
    if not outside:
        return words + f"All {total} exact laws lie within the intervals that hold at once with {sure}."
    names = [
        f"{result.point.name} {rule.title}: {QUANTITIES[quantity]}" for result, rule, quantity, _ in outside
    ]
    words += f"{len(outside)} of {total} exact laws lie OUTSIDE the intervals that hold at once with {sure}: "
    return f"{words}{'; '.join(names)}."


def save(convergence: Convergence, folder: str | os.PathLike[str]) -> None:
    """Write ``figures/*.png``, ``table.txt``, ``run.json`` and, last, ``results.json``; OSError if a file cannot be written.

    The results of a study are the same bytes however it was run; when and with what it ended stands in ``run.json``.
    """
    from rich.console import Console

    stream = io.StringIO()
    Console(file=stream, width=WIDTH, color_system=None).print(table(convergence))
    content: dict[str, bytes | str] = {
        f"figures/{figure.name}.png": drawing.render(figure) for figure in figures(convergence)
    }
    content |= {"table.txt": stream.getvalue(), "run.json": _json.text(_json.run())}
    content["results.json"] = convergence.render()
    _files.write_together(folder, content)
