"""The picture of an audit, and its files."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from theorylab import _files, _json, _validation, drawing
from theorylab.auditing._null import Null, sigma_map
from theorylab.auditing._report import Findings, entries
from theorylab.charts import MapPanel
from theorylab.drawing import FAINT, INK, PALETTE, encode, entitle, label_axes, maps_over_charts, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MAPS = 3  # maps beside the picture


@plain()
def draw(report: Findings) -> Figure:
    """Draw the picture and some maps over charts: recovery and class, layers drawn anew, convergence."""
    charts = 1 + bool(report.randomization) + bool(report.backward_cosines)
    panels = [MapPanel("picture", report.picture)]
    panels += [
        MapPanel(f"map of class {target}", map_)
        for target, map_ in zip(report.classes[:_MAPS], report.maps, strict=False)
    ]
    shown = [("", panels)]
    if report.null is not None:
        shown.append(("random weights", _null_panels(report.null, report.maps[0], report.classes[0])))
    canvas, axes = maps_over_charts(shown, charts)
    remaining = iter(axes)
    _draw_measured(next(remaining), report)
    if report.randomization:
        _draw_randomized(next(remaining), report)
    if report.backward_cosines:
        signals = report.backward_cosines
        rows = {name: estimate.mean for name, estimate in signals.items()}
        chart = next(remaining)
        chart.plot(list(rows.values()), range(len(rows)), "o-", color=PALETTE[0], markersize=3)
        _finish(chart, "cosine of two\nbackward signals", list(rows))
    entitle(canvas, str(report))
    return canvas


@_validation.checked
class AuditReport(Findings):
    """What an audit found, with its picture; the attributes are those of :class:`Findings`.

    Examples
    --------
    See :func:`theorylab.audit`.
    """

    def figure(self) -> Figure:
        """Draw the picture, the maps of the first targets, and charts of the measurements."""
        return draw(self)

    def save(self, folder: str | os.PathLike[str]) -> tuple[Path, Path]:
        """Write ``audit.png`` and ``audit.json``, both or none; the folder is made.

        Raises
        ------
        OSError
            If the folder cannot be made or written.
        """
        content: dict[str, bytes | str] = {
            "audit.png": encode(draw(self)),
            "audit.json": _json.document(self.to_json()),
        }
        picture, numbers = _files.write_together(folder, content)
        return picture, numbers


def _null_panels(null: Null, map_: np.ndarray, target: int) -> list[MapPanel]:
    """Show the null's maps, and the σ-map up to what 0.5 % of its values exceed, that a few do not make the rest grey.

    The null is enlarged to the map's energy: a map that is 1000 times as large would show nothing but that.
    """
    expected = math.hypot(np.linalg.norm(null.mean), np.linalg.norm(null.standard_deviation))
    factor = float(np.linalg.norm(map_)) / expected if expected else 1.0
    sigma = sigma_map(map_, factor * null.mean, factor * null.standard_deviation)
    finite = sigma[np.isfinite(sigma)]
    reach = float(np.quantile(np.abs(finite), 0.995)) if finite.size else 0.0
    ends = (
        " to ".join(drawing.number(float(end(finite)), 2) for end in (np.min, np.max)) if finite.size else ""
    )
    note = f"{ends}; the null enlarged {drawing.number(factor, 2)} times, to the map's energy"
    return [
        MapPanel("mean map", null.mean),
        MapPanel("standard deviation, σ", null.standard_deviation),
        MapPanel(f"map {target} − mean, in σ", np.clip(sigma, -reach, reach), note=note),
    ]


def _draw_measured(axes: Axes, report: Findings) -> None:
    for index, (colour, (name, measured)) in enumerate(zip(PALETTE, report.columns.items(), strict=False)):
        estimates = [estimate for estimate, *changes in entries(measured).values() if changes]
        means = [estimate.mean for estimate in estimates]
        # One picture has no interval.
        spans = [estimate.high - estimate.mean for estimate in estimates]
        reach = [span if math.isfinite(span) else math.nan for span in spans]
        at = [y + 0.22 * (index - 1) for y in range(len(means))]
        axes.errorbar(means, at, xerr=reach, fmt="o", color=colour, capsize=2, markersize=4, label=name)
    rows = {name: changes for name, (_, *changes) in entries(report.measured).items() if changes}
    for y, changes in enumerate(rows.values()):
        axes.vlines(changes, y - 0.45, y + 0.45, color=INK, linewidth=1)
    axes.plot([], [], "|", color=INK, label="the verdict changes")
    _finish(axes, "correlation", [re.sub("^corr[.,]+ ", "", name) for name in rows])


def _draw_randomized(axes: Axes, report: Findings) -> None:
    for colour, cascading in zip(PALETTE, (True, False), strict=False):
        rows = [row for row in report.randomization if row.cascading is cascading]
        for style, kind in (("o-", "similarity"), ("s:", "rank_correlation")):
            measure = "SSIM" if kind == "similarity" else "ranks"
            label = f"{measure}, {'it and all above' if cascading else 'it alone'}"
            values = [getattr(row, kind).mean for row in rows]
            axes.plot(values, range(len(rows)), style, color=colour, markersize=3, label=label)
    names = [row.layer for row in report.randomization if row.cascading]
    _finish(axes, "likeness to the map before\na layer was drawn anew", names)


def _finish(axes: Axes, title: str, names: Sequence[str]) -> None:
    """Give a chart of rows its names, an axis from −1 to 1, and its legend below."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(-1.05, 1.05)
    axes.axvline(0, color=FAINT, linewidth=0.4)
    label_axes(axes, title, "", "")
    axes.tick_params(axis="both", labelsize=7)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=6.5, frameon=False, loc="upper center", bbox_to_anchor=(0.4, -0.1))
