"""Guided backpropagation beside linear edge detectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from theorylab import measures, sampling
from theorylab.charts import MapPanel
from theorylab.drawing import fixed, rows_of_maps
from theorylab.figures._base import Parts, Settings
from theorylab.model.patches import PatchGrid
from theorylab.model.pooling import MaxPool
from theorylab.model.rules import Rule
from theorylab.visualization import visualize

FILTERS, KERNEL, STRIDE, POOL = 256, 7, 2, 2


def make(settings: Settings) -> Parts:
    """Compare the strength of guided maps with three edge detectors: correlation and structural similarity."""
    nets = settings.subject()
    step = settings.steps("figure edges", 4)
    rgb = nets.picture(settings.image)
    detectors = _detectors(rgb)
    step()
    title = Rule.GUIDED.title
    maps = {f"{title}, trained": visualize(nets.trained, nets.prepared(rgb), "guided", "max")}
    step()
    maps[f"{title}, random"] = visualize(nets.random, nets.prepared(rgb), "guided", "max")
    step()
    x = settings.picture(rgb.shape[1])
    grid = PatchGrid(x.shape, min(KERNEL, x.shape[1]), STRIDE)
    maps[f"{title}, three layers, pooled"] = sampling.three_layer_maps(
        x, grid, "guided", FILTERS, size=1, pool=MaxPool(POOL), seed=settings.stream(11)
    )[0]
    step()
    rows = [("", [MapPanel("input", rgb), *(MapPanel(name, map_) for name, map_ in detectors.items())])]
    panels, numbers = [MapPanel("", None)], {}
    for name, map_ in maps.items():
        strength = np.sqrt((map_**2).sum(axis=0, keepdims=True))
        kinds = {"correlation": measures.correlation, "similarity": measures.similarity}
        numbers[name] = {
            detector: {kind: measure(strength, edge) for kind, measure in kinds.items()}
            for detector, edge in detectors.items()
        }
        words = ", ".join(f"{key} {fixed(value['correlation'])}" for key, value in numbers[name].items())
        panels.append(MapPanel(name, strength, note=f"correlation: {words}"))
    rows.append(("strength", panels))
    return (
        f"Edge detectors, and the strength (norm over the channels) of guided maps. {nets.label}.",
        rows_of_maps(rows),
        {"network": nets.label, "maps": numbers},
    )


def _detectors(rgb: np.ndarray) -> dict[str, np.ndarray]:
    """Return the strength of edges by detector, (1, H, W) each."""
    import skimage.feature

    untyped: Any = skimage
    grey = untyped.color.rgb2gray(np.clip(np.moveaxis(rgb, 0, -1) / 255, 0, 1))
    edges = {
        "Sobel": untyped.filters.sobel(grey),
        "Laplacian": np.abs(untyped.filters.laplace(grey)),
        "Canny": untyped.feature.canny(grey, sigma=1.0).astype(np.float64),
    }
    return {name: plane[None] for name, plane in edges.items()}
