"""Figure 8: the three rules before and after an adversarial step."""

from __future__ import annotations

import math

import numpy as np

from theorylab import adversarial, measures
from theorylab.charts import MapPanel
from theorylab.drawing import fixed, number, rows_of_maps
from theorylab.figures._base import Parts, Settings
from theorylab.model.rules import PAPER
from theorylab.visualization import visualize_many


def make(settings: Settings) -> Parts:
    """Draw maps of the predicted class of the picture and of its adversarial neighbour."""
    nets = settings.subject()
    net = nets.trained
    rgb = nets.picture(settings.image)
    step = settings.steps("figure 8", 3)
    direction = -np.sign(adversarial.lead_gradient(nets, net.forward(nets.prepared(rgb))))
    size = adversarial.smallest_step(nets, rgb, direction)
    if math.isinf(size):
        largest = adversarial.LEVELS[-1]
        raise ValueError(
            f"figure 8: no step up to {largest:g} levels of 255 changes the class of this picture"
        )
    attacked = adversarial.moved(rgb, direction, size)
    step()
    pictures = {"before": rgb, "after": attacked}
    maps, classes = {}, {}
    for name, picture in pictures.items():
        x = nets.prepared(picture)
        maps[name] = visualize_many(net, x, PAPER, ["max"])[:, 0]
        classes[name] = nets.name_of(int(np.argmax(net.logits(x))))
        step()
    kept = {
        rule.value: measures.cosine(map_, after)
        for rule, map_, after in zip(PAPER, maps["before"], maps["after"], strict=True)
    }
    rows = []
    for name, picture in pictures.items():
        note = "" if name == "before" else f"step of {number(size, 3)} levels of 255"
        panels = [MapPanel(classes[name], picture, note=note)]
        for rule, map_ in zip(PAPER, maps[name], strict=True):
            note = "" if name == "before" else f"cosine to before {fixed(kept[rule.value])}"
            panels.append(MapPanel(rule.title, map_, note=note))
        rows.append((name, panels))
    return (
        f"Maps of the predicted class before and after a fast-gradient-sign step. {nets.label}.",
        rows_of_maps(rows),
        {
            "network": nets.label,
            "step": size,
            "classes": classes,
            "cosine_of_pictures": measures.cosine(nets.prepared(rgb), nets.prepared(attacked)),
            "cosine_of_maps": kept,
        },
    )
