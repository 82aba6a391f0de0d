"""Figures as plain data: maps side by side, and predicted curves with measured points.  Imports NumPy alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np


@dataclasses.dataclass(frozen=True)
class MapPanel:
    """One raw map, ``(C, H, W)``, with the words over it and under it; without a map the panel stays empty.

    Panels of one figure with the same `scale`, any word, are drawn on one scale, so that they can be compared; without it
    each has its own.
    """

    title: str
    map: np.ndarray | None
    scale: str = ""
    note: str = ""


@dataclasses.dataclass(frozen=True)
class MapFigure:
    """Maps to be shown side by side; `name` is the file's stem, and `title` says over them what they show."""

    name: str
    caption: str
    panels: tuple[MapPanel, ...]
    title: str = ""


@dataclasses.dataclass(frozen=True)
class Line:
    """A predicted curve."""

    label: str
    x: np.ndarray
    y: np.ndarray


@dataclasses.dataclass(frozen=True)
class Points:
    """Measured points with 95 % intervals ``[low, high]``."""

    label: str
    x: np.ndarray
    y: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, label: str, x: Iterable[float], estimates: Iterable[tuple[float, float, int]]) -> Points:
        """Make points from estimates, each a value, its standard error and the number of replicates.

        Parameters
        ----------
        label : str
        x : iterable of float
            As many as there are estimates.
        estimates : iterable of (float, float, int)
            As :meth:`theorylab.montecarlo.Measurement.estimate` gives them.

        Returns
        -------
        Points
            With Student's 95 % intervals.

        Raises
        ------
        ValueError
            If there are not as many estimates as values of `x`.

        Examples
        --------
        >>> points = Points.of("guided", [16, 64], [(1.0, 0.1, 1000), (2.0, 0.1, 1000)])
        >>> points.low.round(2), points.high.round(2)
        (array([0.8, 1.8]), array([1.2, 2.2]))
        """
        from theorylab import stats

        rows = [
            (at, value, *stats.interval(value, error, replicates - 1))
            for at, (value, error, replicates) in zip(x, estimates, strict=True)
        ]
        return cls(label, *np.array(rows, dtype=float).reshape(-1, 4).T)


@dataclasses.dataclass(frozen=True)
class CurveFigure:
    """Predicted curves with measured points on them; a line and the points of one label share a colour.

    `x_names` are written along the axis in place of the numbers 0, 1, 2, …; `title` says over the chart what it shows.
    """

    name: str
    caption: str
    x_label: str
    y_label: str
    lines: tuple[Line, ...]
    points: tuple[Points, ...]
    x_scale: str = "linear"
    y_scale: str = "linear"
    x_names: tuple[str, ...] = ()
    title: str = ""


Chart = MapFigure | CurveFigure
"""What :mod:`theorylab.drawing` draws."""
