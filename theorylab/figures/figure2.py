"""Figure 2: three rules in a trained network, for the largest logit and three others."""

from __future__ import annotations

import numpy as np

from theorylab import measures
from theorylab.charts import MapPanel
from theorylab.drawing import fixed, rows_of_maps
from theorylab.figures._base import Parts, Settings
from theorylab.model.rules import PAPER
from theorylab.visualization import visualize_many

OTHERS = 3
"""Logits beside the largest, drawn at random."""


def make(settings: Settings) -> Parts:
    """Draw a grid of rules by logits, with the distances between the logits' maps."""
    nets = settings.subject()
    net = nets.trained
    rgb = nets.picture(settings.image)
    x = nets.prepared(rgb)
    step = settings.steps("figure 2", 2)
    largest = int(np.argmax(net.logits(x)))
    step()
    rest = np.delete(np.arange(net.n_logits), largest)
    others = settings.stream(2).choice(rest, min(OTHERS, len(rest)), replace=False)
    logits = [largest, *sorted(others.tolist())]
    maps = visualize_many(net, x, PAPER, logits)
    step()
    rows, numbers = [], {}
    for rule, by_logit in zip(PAPER, maps, strict=True):
        cosines = [measures.cosine(map_, x) for map_ in by_logit]
        distances = [measures.distance(by_logit[0], map_) for map_ in by_logit[1:]]
        panels = [MapPanel("input", rgb)]
        for index, (logit, map_) in enumerate(zip(logits, by_logit, strict=True)):
            beside = f", distance to max {fixed(distances[index - 1])}" if index else ""
            words = f"max ({nets.name_of(logit)})" if index == 0 else nets.name_of(logit)
            note = f"cosine to the input {fixed(cosines[index])}{beside}"
            panels.append(MapPanel(words, map_, note=note))
        rows.append((rule.title, panels))
        numbers[rule.value] = {"cosine_to_input": cosines, "distance_to_max": distances}
    return (
        f"Three rules by logits. {nets.label}.",
        rows_of_maps(rows),
        {"network": nets.label, "logits": logits, "rules": numbers},
    )
