"""Figure 9: guided backpropagation with trained weights up to a layer, and in all layers but one."""

from __future__ import annotations

from typing import Any

import numpy as np

from theorylab import measures
from theorylab.charts import MapPanel
from theorylab.drawing import fixed, rows_of_maps
from theorylab.figures._base import Parts, Settings
from theorylab.networks import GraphNetwork
from theorylab.visualization import visualize

SHOWN = 5
"""Layers in a row."""


def make(settings: Settings) -> Parts:
    """Draw maps of partly trained networks, with their distances to the trained network's map."""
    nets = settings.subject()
    rgb = nets.picture(settings.image)
    x = nets.prepared(rgb)
    titles = nets.layers()
    layers = [name for name in titles if nets.trained_dense or titles[name].startswith("conv")]
    places = np.unique(np.linspace(0, len(layers) - 1, SHOWN).round().astype(int))
    marked = [layers[place] for place in places]
    step = settings.steps("figure 9", 2 + 2 * len(marked))

    def guided(net: GraphNetwork) -> np.ndarray:
        map_ = visualize(net, x, "guided", "max")
        step()
        return map_

    trained, random = guided(nets.trained), guided(nets.random)
    # The map with no layer of the row, and by row the trained layers.
    kinds = {
        "trained up to": (random, [layers[: layers.index(layer) + 1] for layer in marked]),
        "all trained but": (trained, [[other for other in layers if other != layer] for layer in marked]),
    }
    rows: list[tuple[str, list[MapPanel]]] = []
    numbers: dict[str, Any] = {}
    for kind, (none, sets) in kinds.items():
        maps = {"none": none}
        maps |= {titles[layer]: guided(nets.partly(kept)) for layer, kept in zip(marked, sets, strict=True)}
        numbers[kind], panels = {}, [MapPanel("input", rgb)]
        for name, map_ in maps.items():
            distance, cosine = measures.distance(map_, trained), measures.cosine(map_, x)
            numbers[kind][name] = {"distance_to_trained": distance, "cosine_to_input": cosine}
            note = f"to trained {fixed(distance)}, cosine to x {fixed(cosine)}"
            panels.append(MapPanel(name, map_, note=note))
        rows.append((kind, panels))
    return (
        f"Guided backpropagation of partly trained networks; the other layers are random. {nets.label}.",
        rows_of_maps(rows),
        {"network": nets.label, **numbers},
    )
