"""Figure 5: guided backpropagation by the number of filters, or of hidden units, with the exact curve."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from theorylab import analytic, measures, sampling
from theorylab.charts import MapPanel
from theorylab.drawing import PALETTE, fixed, label_axes, maps_over_charts
from theorylab.figures._base import Parts, Settings
from theorylab.model.laws import Gaussian
from theorylab.model.patches import PatchGrid
from theorylab.model.rules import Rule
from theorylab.sampling.three_layer import MapSampler

COUNTS = (4, 16, 64, 256, 1024, 70_000)
HIDDEN = (64, 256, 1024, 4096, 16_384, 70_000)
KERNEL, STRIDE, FCN_SIDE, GROUP = 7, 2, 64, 256


def make(settings: Settings) -> Parts:
    """Draw maps by size of the network over the chart of their cosines to the input."""
    x = settings.picture()
    small = settings.picture(min(settings.side, FCN_SIDE))
    grid = PatchGrid(x.shape, min(KERNEL, x.shape[1]), STRIDE)
    whole = PatchGrid(small.shape, small.shape[1:])
    step = settings.steps("figure 5", sum(-(-n // GROUP) for n in COUNTS))
    cnn = [_wide_map(x, grid, n, settings.stream(5, 0, index), step) for index, n in enumerate(COUNTS)]
    fcn = [
        sampling.fcn_maps(small, n, "guided", size=1, seed=settings.stream(5, 1, index))[0]
        for index, n in enumerate(HIDDEN)
    ]
    curves = {
        f"CNN, by N ({x.shape[1]}×{x.shape[2]}, stride {STRIDE})": (x, grid, "N", COUNTS, cnn),
        f"FCN, by N_h ({small.shape[1]}×{small.shape[2]})": (small, whole, "N_h", HIDDEN, fcn),
    }
    rows, numbers, measured_by = [], {}, {}
    for label, (picture, windows, symbol, counts, maps) in curves.items():
        measured = measured_by[label] = [measures.cosine(map_, picture) for map_ in maps]
        predicted = [analytic.expected_cosine(picture, windows, "guided", n) for n in counts]
        panels = [
            MapPanel(f"{symbol} = {n}", map_, note=f"cosine {fixed(cosine)}, predicted {fixed(law)}")
            for map_, n, cosine, law in zip(maps, counts, measured, predicted, strict=True)
        ]
        rows.append((label[:3], panels))
        numbers[label] = {symbol: list(counts), "cosine": measured, "predicted": predicted}
    canvas, (chart,) = maps_over_charts(rows, 1)
    for colour, (label, (picture, windows, _, counts, _)) in zip(PALETTE, curves.items(), strict=False):
        along = np.unique(np.geomspace(1, max(counts), 60).astype(int))
        law = [analytic.expected_cosine(picture, windows, "guided", int(n)) for n in along]
        chart.plot(along, law, color=colour, label=f"{label}, exact law")
        chart.plot(counts, measured_by[label], "o", color=colour, markeredgecolor="white")
    chart.set_xscale("log")
    chart.legend(fontsize=8, frameon=False)
    label_axes(
        chart, "guided backpropagation", "number of filters N, or of hidden units N_h", "cosine to the input"
    )
    return (
        "Guided backpropagation in random three-layer networks; curves are the exact law, points one network each.",
        canvas,
        {"curves": numbers},
    )


def _wide_map(
    x: np.ndarray, grid: PatchGrid, n_filters: int, rng: np.random.Generator, step: Callable[[], None]
) -> np.ndarray:
    """Draw a network's map by groups of filters: by Lemma 1 a fixed logit's map is their sum."""
    groups = [min(GROUP, n_filters - start) for start in range(0, n_filters, GROUP)]
    total = np.zeros(x.shape)
    samplers = {size: MapSampler(x, grid, size, law=Gaussian(1.0)) for size in set(groups)}
    for size in groups:
        total += samplers[size].draw(rng, [Rule.GUIDED])[0, 0, 0]
        step()
    return total
