"""Figure 2: three rules in a trained network, for the largest logit and three others."""

from __future__ import annotations

import numpy as np

from theorylab import measures
from theorylab.charts import MapPanel
from theorylab.drawing import fixed, rows_of_maps
from theorylab.exhibits import title
from theorylab.figures._base import Made, Settings
from theorylab.figures._subjects import subject
from theorylab.model.rules import PAPER
from theorylab.visualization import visualize_many

OTHERS = 3
"""Logits beside the largest, drawn at random."""


def make(settings: Settings) -> Made:
    """Draw a grid of rules by logits, with the distances between the logits' maps."""
    chosen = subject(settings)
    net = chosen.trained
    rgb = chosen.picture(settings)
    x = chosen.prepared(rgb)
    step = settings.steps("figure 2", 2)
    largest = int(np.argmax(net.logits(x)))
    step()
    rest = np.delete(np.arange(net.n_logits), largest)
    logits = [
        largest,
        *sorted(settings.stream(2).choice(rest, min(OTHERS, len(rest)), replace=False).tolist()),
    ]
    maps = visualize_many(net, x, PAPER, logits)
    step()
    rows, numbers = [], {}
    for rule, shown in zip(PAPER, maps, strict=True):
        cosines = [measures.cosine(one, x) for one in shown]
        distances = [measures.distance(shown[0], one) for one in shown[1:]]
        panels = [MapPanel("input", rgb)]
        for place, (logit, one) in enumerate(zip(logits, shown, strict=True)):
            beside = f", distance to max {fixed(distances[place - 1])}" if place else ""
            words = f"max ({chosen.name_of(logit)})" if place == 0 else chosen.name_of(logit)
            note = f"cosine to the input {fixed(cosines[place])}{beside}"
            panels.append(MapPanel(words, one, note=note))
        rows.append((title(rule), panels))
        numbers[rule.value] = {"cosine_to_input": cosines, "distance_to_max": distances}
    return Made(
        "2",
        f"Three rules by logits. {chosen.label}.",
        rows_of_maps(rows),
        {"network": chosen.label, "logits": logits, "rules": numbers},
    )
