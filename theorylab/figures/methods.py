"""The methods of attribution side by side, in random and in trained weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from theorylab import measures, methods
from theorylab.charts import MapPanel
from theorylab.drawing import fixed, rows_of_maps
from theorylab.figures._base import Parts, Settings
from theorylab.networks import GraphNetwork

_A_ROW = 6


def make(settings: Settings) -> Parts:
    """Draw every method's map of one logit: how much of the picture's strength is in it, and how far another logit's is."""
    nets = settings.subject(decides=True)
    rgb = nets.picture(settings.image)
    x = nets.prepared(rgb)
    target = int(nets.trained.logits(x).argmax())
    other = (target + 1) % nets.trained.n_logits
    step = settings.steps("figure methods", 2 * len(methods.NAMES))
    panels: dict[str, list[MapPanel]] = {"random": [], "trained": []}
    numbers: dict[str, Any] = {"network": nets.label, "logits": [target, other]}
    for name, net in (("random", nets.random), ("trained", nets.trained)):
        numbers[name] = {}
        for method in methods.NAMES:
            panel, found = _panel(net, x, method, (target, other), settings)
            panels[name].append(panel)
            numbers[name][method] = found
            step()
    parts = range(0, len(methods.NAMES), _A_ROW)
    rows = [
        (f"{name} weights", [MapPanel("input", rgb), *panels[name][start : start + _A_ROW]])
        for start in parts
        for name in panels
    ]
    return (
        "Methods of attribution: the correlation of a map's strength with the picture's, and the distance of two logits' maps "
        f"(√2 if they have nothing in common). {nets.label}.",
        rows_of_maps(rows),
        numbers,
    )


def _panel(
    net: GraphNetwork, x: np.ndarray, method: str, logits: tuple[int, int], settings: Settings
) -> tuple[MapPanel, dict[str, Any]]:
    title = methods.method(method).title
    try:
        one, other = (methods.attribute(net, x, method, logit, seed=settings.seed) for logit in logits)
    except methods.NoRule as why:
        return MapPanel(title, None, note="no rule for this network"), {"no rule": str(why)}
    strength, picture = (np.sqrt((a.astype(np.float64) ** 2).sum(axis=0, keepdims=True)) for a in (one, x))
    found = {
        "correlation": measures.correlation(strength, picture),
        "distance": measures.distance(one, other),
    }
    apart = (
        f"logits {fixed(found['distance'])} apart" if one.any() and other.any() else "one logit's map is zero"
    )
    return MapPanel(title, one, note=f"correlation {fixed(found['correlation'])}, {apart}"), found
