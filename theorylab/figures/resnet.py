"""Three rules in ResNet-50, random or with the user's weights."""

from __future__ import annotations

import numpy as np

from theorylab import images, measures, networks, weights
from theorylab.charts import MapPanel
from theorylab.drawing import fixed, rows_of_maps
from theorylab.figures._base import Parts, Settings
from theorylab.model.rules import PAPER
from theorylab.subjects import TORCHVISION, column
from theorylab.visualization import visualize_many


def make(settings: Settings) -> Parts:
    """Draw maps of the largest logit and of another, with their distances."""
    if settings.weights is not None:
        weights.check_source(settings.weights)
    side = max(settings.side, 32)
    net = networks.resnet50(input_shape=(3, side, side), seed=settings.seed, init="fan-in")
    label = "random weights of variance 2 over the fan-in"
    x = images.load(settings.image, side, "authors")
    rgb = x + column(images.MEAN_COLOUR)
    if settings.weights is not None:
        net = weights.load(net, settings.weights)
        label = f"trained weights ({settings.weights})"
        x = np.einsum("ab,bhw->ahw", TORCHVISION[1], rgb - TORCHVISION[0])
    step = settings.steps("figure resnet", 1)
    maps = visualize_many(net, x, PAPER, ["max", "random"], seed=settings.stream(10))
    step()
    above, below = [MapPanel("input", rgb)], [MapPanel("input", rgb)]
    numbers = {}
    for rule, (largest, other) in zip(PAPER, maps, strict=True):
        apart = measures.distance(largest, other)
        cosines = [measures.cosine(map_, x) for map_ in (largest, other)]
        notes = [f"cosine to the input {fixed(cosine)}" for cosine in cosines]
        above.append(MapPanel(rule.title, largest, note=notes[0]))
        below.append(MapPanel(rule.title, other, note=f"{notes[1]}, distance {fixed(apart)}"))
        similarity = measures.similarity(largest, x)
        numbers[rule.value] = {"cosine": cosines, "similarity": similarity, "distance": apart}
    return (
        f"ResNet-50, {label}.",
        rows_of_maps([("largest logit", above), ("another logit", below)]),
        {"network": f"ResNet-50, {label}", "rules": numbers},
    )
