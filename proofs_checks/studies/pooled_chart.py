"""How pooling's effect depends on window, stride and filter size: predicted curves and measured points.

Drawn for the picture at 64×64, where windows without a closed form are integrated in seconds.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from proofs_checks.claim import Bench
from proofs_checks.studies.pooled import RULES, PooledRecovery, Selection
from proofs_checks.studies.shelf import shrunk
from proofs_checks.studies.three_layers import inner, unit
from theorylab import MaxPool, PatchGrid
from theorylab.analytic import pooled_mean_map, selection_probabilities
from theorylab.charts import CurveFigure, Line, Points
from theorylab.montecarlo import Measurement

SIDE = 64
GEOMETRIES = ((7, 2), (7, 1), (3, 1))
WINDOWS = (2, 3, 4)
FILTERS = 512


@dataclasses.dataclass(frozen=True)
class Setting:
    """One geometry and window: predicted mean maps of guided and DeconvNet, and what was measured of them."""

    label: str
    window: int
    guided: np.ndarray
    deconvnet: np.ndarray
    measured: Measurement


def _means(picture: np.ndarray, grid: PatchGrid, pool: MaxPool) -> tuple[np.ndarray, ...]:
    """Predicted mean maps of the small picture; large windows take a second each."""
    x = unit(shrunk(picture, SIDE))
    return tuple(pooled_mean_map(x, grid, rule, 1, pool=pool, points=512) for rule in RULES)


def settings(bench: Bench) -> tuple[np.ndarray, list[Setting]]:
    """Measure every setting of the chart; return the small picture and the settings."""
    x = unit(shrunk(bench.x, SIDE))
    found = []
    # The quick budget draws the paper's own geometry alone.
    for kernel, stride in GEOMETRIES[:1] if bench.budget == "quick" else GEOMETRIES:
        grid = PatchGrid(x.shape, kernel, stride)
        for window in WINDOWS:
            pool = MaxPool(window)
            means = bench.once(_means, grid, pool)
            study = bench.study(
                f"max-pool chart, {kernel}×{kernel}, stride {stride}, window {window}",
                PooledRecovery(x, grid, means, pool, FILTERS),
                24,
                block=4,
            )
            found.append(Setting(f"{kernel}×{kernel}, stride {stride}", window, means[0], means[1], study))
    return x, found


def against_input(bench: Bench) -> CurveFigure:
    """Guided backpropagation's mean map against the input."""
    x, found = settings(bench)
    return _chart(
        "maxpool-chart-input",
        "Cosine of guided backpropagation's mean map and the input",
        found,
        lambda setting: inner(unit(setting.guided), x),
        lambda m: m["guided toward"] / math.sqrt(m["guided halves"]),
    )


def against_guided(bench: Bench) -> CurveFigure:
    """DeconvNet's mean map against guided backpropagation's."""
    _, found = settings(bench)
    return _chart(
        "maxpool-chart-guided",
        "Cosine of the mean maps of DeconvNet and guided backpropagation",
        found,
        lambda setting: inner(unit(setting.deconvnet), unit(setting.guided)),
        lambda m: m["cross"] / math.sqrt(m["deconvnet halves"] * m["guided halves"]),
    )


def against_prediction(bench: Bench) -> CurveFigure:
    """DeconvNet's measured mean map against the predicted one; 1 where the prediction is the mean."""
    _, found = settings(bench)
    return _chart(
        "maxpool-chart-prediction",
        "Cosine of DeconvNet's measured and predicted mean maps, the noise's bias removed",
        found,
        lambda setting: 1.0,
        lambda m: m["deconvnet along"] / math.sqrt(m["deconvnet halves"]),
    )


def _chart(
    name: str,
    what: str,
    found: list[Setting],
    predicted: Callable[[Setting], float],
    estimator: Callable[[dict[str, float]], float],
) -> CurveFigure:
    lines, points = [], []
    for label in dict.fromkeys(setting.label for setting in found):
        own = [setting for setting in found if setting.label == label]
        windows = np.array([setting.window for setting in own], dtype=float)
        lines.append(Line(label, windows, np.array([predicted(setting) for setting in own])))
        points.append(_points(label, windows, [setting.measured for setting in own], estimator))
    return CurveFigure(
        name,
        f"{what}, against the side of the max-pool's window, at {SIDE}×{SIDE} pixels: exact law (lines) and measured, "
        f"{FILTERS} filters, with 95 % intervals.",
        "side of the window",
        "cosine",
        tuple(lines),
        tuple(points),
    )


def selection_chart(bench: Bench) -> CurveFigure:
    """Both selection probabilities against the side of the window."""
    x = unit(shrunk(bench.x, SIDE))
    grid = PatchGrid(x.shape, *GEOMETRIES[0])
    windows = (1, *WINDOWS)
    laws = [selection_probabilities(x, grid, pool=MaxPool(window)) for window in windows]
    studies = [
        bench.study(f"selection, window {window}", Selection(x, grid, MaxPool(window)), 24, block=4)
        for window in windows
    ]
    axis = np.array(windows, dtype=float)

    def chosen(mean: dict[str, float]) -> float:
        return mean["open_winners"] / mean["open_units"]

    def positive(mean: dict[str, float]) -> float:
        return mean["open_winners"]

    return CurveFigure(
        "maxpool-selection",
        f"How often the choice of a max-pool and the sign of a unit agree, against the side of the window, at {SIDE}×{SIDE} "
        "pixels: exact law (lines) and measured, with 95 % intervals.",
        "side of the window",
        "probability",
        (
            Line("P(chosen | positive)", axis, np.array([law.chosen_given_positive for law in laws])),
            Line("P(positive | chosen)", axis, np.array([law.positive_given_chosen for law in laws])),
        ),
        (
            _points("P(chosen | positive)", axis, studies, chosen),
            _points("P(positive | chosen)", axis, studies, positive),
        ),
    )


def _points(
    label: str, axis: np.ndarray, studies: list[Measurement], estimator: Callable[[dict[str, float]], float]
) -> Points:
    return Points.of(label, axis, [study.estimate(estimator) for study in studies])
