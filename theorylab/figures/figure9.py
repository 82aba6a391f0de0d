"""Figure 9: guided backpropagation with trained weights up to a layer, and in all layers but one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from theorylab import measures
from theorylab.charts import MapPanel
from theorylab.drawing import fixed, rows_of_maps
from theorylab.figures._base import Made, Settings
from theorylab.figures._subjects import subject
from theorylab.networks import GraphNetwork
from theorylab.visualization import visualize

SHOWN = 5
"""Layers in a row."""


def make(settings: Settings) -> Made:
    """Draw maps of partly trained networks, with their distances to the trained network's map."""
    chosen = subject(settings)
    rgb = chosen.picture(settings)
    x = chosen.prepared(rgb)
    titles = chosen.layers()
    layers = [name for name in titles if chosen.trained_dense or titles[name].startswith("conv")]
    picked = _spread(layers)
    step = settings.steps("figure 9", 2 + 2 * len(picked))

    def guided(net: GraphNetwork) -> np.ndarray:
        one = visualize(net, x, "guided", "max")
        step()
        return one

    trained, random = guided(chosen.trained), guided(chosen.random)
    kinds = {
        "trained up to": [layers[: layers.index(layer) + 1] for layer in picked],
        "all trained but": [[other for other in layers if other != layer] for layer in picked],
    }
    rows: list[tuple[str, list[MapPanel]]] = []
    numbers: dict[str, Any] = {}
    ends = {"trained up to": random, "all trained but": trained}
    for kind, sets in kinds.items():
        panels = [MapPanel("input", rgb), MapPanel("none", ends[kind], note=_note(ends[kind], trained, x))]
        numbers[kind] = {"none": _numbers(ends[kind], trained, x)}
        for layer, kept in zip(picked, sets, strict=True):
            one = guided(chosen.partly(kept))
            panels.append(MapPanel(titles[layer], one, note=_note(one, trained, x)))
            numbers[kind][titles[layer]] = _numbers(one, trained, x)
        rows.append((kind, panels))
    return Made(
        "9",
        f"Guided backpropagation of partly trained networks; the other layers are random. {chosen.label}.",
        rows_of_maps(rows),
        {"network": chosen.label, **numbers},
    )


def _spread(layers: Sequence[str]) -> list[str]:
    """Pick a few layers from the first to the last."""
    last = len(layers) - 1
    count = min(SHOWN, len(layers))
    return [layers[round(place * last / max(count - 1, 1))] for place in range(count)]


def _numbers(one: np.ndarray, trained: np.ndarray, x: np.ndarray) -> dict[str, float]:
    return {
        "distance_to_trained": measures.distance(one, trained),
        "cosine_to_input": measures.cosine(one, x),
    }


def _note(one: np.ndarray, trained: np.ndarray, x: np.ndarray) -> str:
    numbers = _numbers(one, trained, x)
    return (
        f"to trained {fixed(numbers['distance_to_trained'])}, cosine to x {fixed(numbers['cosine_to_input'])}"
    )
