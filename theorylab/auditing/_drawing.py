"""The picture of an audit, and its files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from theorylab import _files, _json
from theorylab.auditing._report import Findings
from theorylab.charts import MapPanel
from theorylab.drawing import INK, PALETTE, encode, label_axes, maps_over_charts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MAPS = 3  # maps beside the picture


def draw(report: Findings) -> Figure:
    """Draw the picture and some maps over charts: recovery and class, layers drawn anew, convergence."""
    charts = 1 + bool(report.randomization) + bool(report.backward_cosines)
    panels = [MapPanel("picture", report.picture)]
    panels += [MapPanel(f"map {number}", map_) for number, map_ in enumerate(report.maps[:_MAPS], start=1)]
    canvas, axes = maps_over_charts([("", panels)], charts)
    remaining = iter(axes)
    _draw_measured(next(remaining), report)
    if report.randomization:
        _draw_randomized(next(remaining), report)
    if report.backward_cosines:
        _draw_convergence(next(remaining), report)
    canvas.suptitle(
        f"{report.name}: {report.verdict.words} ({report.verdict.percent})",
        fontsize=10,
        color=INK,
        parse_math=False,
        wrap=True,
    )
    return canvas


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
            "audit.json": _json.text(self.to_json()),
        }
        picture, numbers = _files.write_together(folder, content)
        return picture, numbers


def _draw_measured(axes: Axes, report: Findings) -> None:
    for index, (colour, (name, measured)) in enumerate(zip(PALETTE, report.columns.items(), strict=False)):
        bars = {f"to the {what}": estimate for what, estimate in measured.recovery.items()}
        bars |= {"two targets": measured.distance, "picture moved": measured.stability}
        means = [estimate.mean for estimate in bars.values()]
        reach = [min(estimate.high - estimate.mean, 3.0) for estimate in bars.values()]
        at = [x + 0.2 * (index - 1) for x in range(len(bars))]
        axes.errorbar(at, means, yerr=reach, fmt="o", color=colour, capsize=2, markersize=4, label=name)
    axes.set_xticks(
        range(len(bars)), [f"distance, {name}" if name == "two targets" else name for name in bars]
    )
    axes.tick_params(axis="x", rotation=30)
    for label in axes.get_xticklabels():
        label.set_horizontalalignment("right")
    for height in report.predicted_distance.values():
        axes.plot([2.6, 3.4], [height, height], ":", color=INK, linewidth=1)
    axes.set_ylim(-0.3, 2.9)  # room for the legend
    axes.legend(fontsize=6.5, frameon=False, loc="upper left")
    label_axes(axes, "cosines, and distance of two targets", "", "")
    axes.tick_params(axis="x", labelsize=7)


def _draw_randomized(axes: Axes, report: Findings) -> None:
    for colour, cascading in zip(PALETTE, (True, False), strict=False):
        rows = [row for row in report.randomization if row.cascading is cascading]
        for style, kind in (("o-", "similarity"), ("s:", "rank_correlation")):
            label = f"{'cascading' if cascading else 'one at a time'}, {kind.replace('_', ' ')}"
            values = [getattr(row, kind).mean for row in rows]
            axes.plot(range(len(rows)), values, style, color=colour, markersize=3, label=label)
    names = [row.layer for row in report.randomization if row.cascading]
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set_ylim(-0.3, 1.8)
    axes.legend(fontsize=6.5, frameon=False, loc="upper left")
    label_axes(axes, "layers drawn anew", "", "map to the map before")
    axes.tick_params(axis="x", labelsize=7)


def _draw_convergence(axes: Axes, report: Findings) -> None:
    names = list(report.backward_cosines)
    axes.plot(
        range(len(names)),
        [estimate.mean for estimate in report.backward_cosines.values()],
        "o-",
        color=PALETTE[0],
        markersize=3,
    )
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set_ylim(-0.3, 1.05)
    label_axes(axes, "backward signals of two targets", "", "cosine")
    axes.tick_params(axis="x", labelsize=7)
