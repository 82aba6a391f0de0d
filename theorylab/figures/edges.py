"""Guided backpropagation beside linear edge detectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from theorylab import measures, sampling
from theorylab.charts import MapPanel
from theorylab.drawing import fixed, rows_of_maps
from theorylab.figures._base import Made, Settings
from theorylab.figures._subjects import subject
from theorylab.model.patches import PatchGrid
from theorylab.model.pooling import MaxPool
from theorylab.visualization import visualize

FILTERS, KERNEL, STRIDE, POOL = 256, 7, 2, 2


def make(settings: Settings) -> Made:
    """Strength of the guided maps against three detectors: correlation and structural similarity."""
    chosen = subject(settings)
    step = settings.steps("figure edges", 4)
    rgb = chosen.picture(settings)
    detectors = _detectors(rgb)
    step()
    maps = {"guided, trained": visualize(chosen.trained, chosen.prepared(rgb), "guided", "max")}
    step()
    maps["guided, random"] = visualize(chosen.random, chosen.prepared(rgb), "guided", "max")
    step()
    x = settings.picture(rgb.shape[1])
    grid = PatchGrid(x.shape, min(KERNEL, x.shape[1]), STRIDE)
    maps["guided, three layers, pooled"] = sampling.three_layer_maps(
        x, grid, "guided", FILTERS, size=1, pool=MaxPool(POOL), seed=settings.stream(11)
    )[0]
    step()
    rows = [("", [MapPanel("input", rgb), *(MapPanel(name, one) for name, one in detectors.items())])]
    panels, numbers = [MapPanel("", None)], {}
    for name, one in maps.items():
        strength = np.sqrt((one**2).sum(axis=0, keepdims=True))
        numbers[name] = {
            detector: {
                "correlation": measures.correlation(strength, edge),
                "similarity": measures.similarity(strength, edge),
            }
            for detector, edge in detectors.items()
        }
        words = ", ".join(f"{key} {fixed(value['correlation'])}" for key, value in numbers[name].items())
        panels.append(MapPanel(name, strength, note=f"correlation: {words}"))
    rows.append(("strength", panels))
    return Made(
        "edges",
        f"Edge detectors, and the strength (norm over the channels) of guided maps. {chosen.label}.",
        rows_of_maps(rows),
        {"network": chosen.label, "maps": numbers},
    )


def _detectors(rgb: np.ndarray) -> dict[str, np.ndarray]:
    """Strength of edges, (1, H, W) each."""
    import skimage.feature

    untyped: Any = skimage
    grey = untyped.color.rgb2gray(np.clip(np.moveaxis(rgb, 0, -1) / 255, 0, 1))
    found = {
        "Sobel": untyped.filters.sobel(grey),
        "Laplacian": np.abs(untyped.filters.laplace(grey)),
        "Canny": untyped.feature.canny(grey, sigma=1.0).astype(np.float64),
    }
    return {name: one[None] for name, one in found.items()}
