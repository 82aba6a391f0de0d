"""Figure 8: the three rules before and after an adversarial step."""

from __future__ import annotations

import numpy as np

from theorylab import measures
from theorylab.charts import MapPanel
from theorylab.drawing import fixed, rows_of_maps
from theorylab.figures._base import Parts, Settings
from theorylab.model.rules import PAPER, Rule
from theorylab.subjects import Subject
from theorylab.visualization import visualize_many

STEPS = tuple(float(2.0**power) for power in range(-3, 7))
"""Of the attack, in levels of 0–255; the smallest that changes the class is taken."""

REFINED = 4
"""Halvings of the last interval."""


def make(settings: Settings) -> Parts:
    """Draw maps of the predicted class of the picture and of its adversarial neighbour."""
    nets = settings.subject()
    net = nets.trained
    rgb = nets.picture(settings.image)
    step = settings.steps("figure 8", 3)
    size, attacked = adversarial(nets, rgb)
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
        note = "" if name == "before" else f"step of {size:.3g} levels of 255"
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


def adversarial(nets: Subject, rgb: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the smallest fast-gradient-sign step that changes the class, in levels of 0–255, and its picture.

    The loss is the lead of the largest logit over the second: its gradient does not vanish where a softmax is
    saturated, as it is in a network with random dense layers.

    Raises
    ------
    ValueError
        If no step up to the largest tried changes the class.
    """
    net = nets.trained
    trace = net.forward(nets.prepared(rgb))
    second, first = np.argsort(trace.logits)[-2:]
    lead = np.zeros((1, net.n_logits))
    lead[0, first], lead[0, second] = 1, -1
    sign = np.sign(net.backward(trace, lead, [Rule.SALIENCY])[0, 0])

    def moved(size: float) -> np.ndarray:
        return np.asarray(np.clip(rgb - size * sign, 0, 255))

    def fooled(size: float) -> bool:
        return bool(np.argmax(net.logits(nets.prepared(moved(size)))) != first)

    low = 0.0
    for high in STEPS:
        if fooled(high):
            break
        low = high
    else:
        raise ValueError(f"figure 8: no step up to {high:g} levels of 255 changes the class of this picture")
    for _ in range(REFINED):
        middle = (low + high) / 2
        low, high = (low, middle) if fooled(middle) else (middle, high)
    return high, moved(high)
