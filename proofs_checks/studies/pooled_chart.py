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
CHECKED = (*GEOMETRIES[0], 3)
"""Kernel, stride and window of the setting whose law is checked."""
FILTERS = 512


@dataclasses.dataclass(frozen=True)
class Setting:
    """One geometry and window: the picture, predicted mean maps of both rules, and what was measured of them."""

    label: str
    window: int
    x: np.ndarray
    grid: PatchGrid
    guided: np.ndarray
    deconvnet: np.ndarray
    measured: Measurement


def _means(picture: np.ndarray, grid: PatchGrid, pool: MaxPool) -> tuple[np.ndarray, ...]:
    """Return predicted mean maps of the small picture; large windows take a second each."""
    x = unit(shrunk(picture, SIDE))
    return tuple(pooled_mean_map(x, grid, rule, 1, pool=pool, points=512) for rule in RULES)


def settings(bench: Bench) -> list[Setting]:
    """Measure every setting of the chart."""
    # The quick budget draws the paper's geometry alone.
    geometries = GEOMETRIES[:1] if bench.budget == "quick" else GEOMETRIES
    return [setting(bench, *geometry, window) for geometry in geometries for window in WINDOWS]


def setting(bench: Bench, kernel: int, stride: int, window: int) -> Setting:
    """Measure one setting; the one that is checked in more networks."""
    x, pool = unit(shrunk(bench.x, SIDE)), MaxPool(window)
    grid, label = PatchGrid(x.shape, kernel, stride), f"{kernel}×{kernel}, stride {stride}"
    guided, deconvnet = means = bench.once(_means, grid, pool)
    simulate = PooledRecovery(x, grid, means, pool, FILTERS)
    replicates = 200 if (kernel, stride, window) == CHECKED else 24
    study = bench.study(f"max-pool chart, {label}, window {window}", simulate, replicates, block=4)
    return Setting(label, window, x, grid, guided, deconvnet, study)


def against_input(bench: Bench) -> CurveFigure:
    """Compare guided backpropagation's mean map with the input."""
    return _chart(
        bench,
        "maxpool-chart-input",
        "Cosine of guided backpropagation's mean map and the input",
        lambda setting: inner(unit(setting.guided), setting.x),
        lambda m: m["guided toward"] / math.sqrt(m["guided halves"]),
        "Behind a max-pool the mean map of guided backpropagation is not the picture",
    )


def against_guided(bench: Bench) -> CurveFigure:
    """Compare DeconvNet's mean map with guided backpropagation's."""
    return _chart(
        bench,
        "maxpool-chart-guided",
        "Cosine of the mean maps of DeconvNet and guided backpropagation",
        lambda setting: inner(unit(setting.deconvnet), unit(setting.guided)),
        lambda m: m["cross"] / math.sqrt(m["deconvnet halves"] * m["guided halves"]),
        "How much of DeconvNet's mean map behind a max-pool is guided backpropagation's",
    )


def against_prediction(bench: Bench) -> CurveFigure:
    """Compare DeconvNet's measured mean map with the predicted one; 1 where the prediction is the mean."""
    return _chart(
        bench,
        "maxpool-chart-prediction",
        "Cosine of DeconvNet's measured and predicted mean maps, the noise's bias removed, which may lead beyond 1",
        lambda setting: 1.0,
        lambda m: m["deconvnet along"] / math.sqrt(m["deconvnet halves"]),
        "DeconvNet's mean map behind a max-pool is the predicted one",
    )


def _chart(
    bench: Bench,
    name: str,
    what: str,
    predicted: Callable[[Setting], float],
    estimator: Callable[[dict[str, float]], float],
    title: str,
) -> CurveFigure:
    by_label: dict[str, list[Setting]] = {}
    for setting in settings(bench):
        by_label.setdefault(setting.label, []).append(setting)
    lines, points = [], []
    for label, curve in by_label.items():
        windows = np.array([setting.window for setting in curve], dtype=float)
        lines.append(Line(label, windows, np.array([predicted(setting) for setting in curve])))
        points.append(Points.of(label, windows, [setting.measured.estimate(estimator) for setting in curve]))
    return CurveFigure(
        name,
        f"{what}, against the side of the max-pool's window, at {SIDE}×{SIDE} pixels: exact law (lines) and measured, "
        f"{FILTERS} filters, with 95 % intervals.",
        "side of the window",
        "cosine",
        tuple(lines),
        tuple(points),
        title=title,
    )


def selection_chart(bench: Bench) -> CurveFigure:
    """Draw both selection probabilities against the side of the window."""
    x = unit(shrunk(bench.x, SIDE))
    grid = PatchGrid(x.shape, *GEOMETRIES[0])
    windows = (1, *WINDOWS)
    laws = [selection_probabilities(x, grid, pool=MaxPool(window)) for window in windows]
    studies = [
        bench.study(f"selection, window {window}", Selection(x, grid, MaxPool(window)), 24, block=4)
        for window in windows
    ]
    axis = np.array(windows, dtype=float)
    selected = [study.estimate(lambda mean: mean["open_winners"] / mean["open_units"]) for study in studies]
    positive = [study.estimate("open_winners") for study in studies]
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
            Points.of("P(chosen | positive)", axis, selected),
            Points.of("P(positive | chosen)", axis, positive),
        ),
        title="Chosen and positive are not the same: a larger window leaves most positive units out",
    )
