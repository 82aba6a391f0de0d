"""Three rules in ResNet-50, random or with the user's weights."""

from __future__ import annotations

from theorylab import images, measures, networks, weights
from theorylab.charts import MapPanel
from theorylab.drawing import fixed, rows_of_maps
from theorylab.figures._base import FinishedFigure, Settings
from theorylab.figures._subjects import TORCHVISION_MEAN, TORCHVISION_STD, column
from theorylab.model.rules import PAPER
from theorylab.visualization import visualize_many


def make(settings: Settings) -> FinishedFigure:
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
        x = (rgb - 255 * column(TORCHVISION_MEAN)) / (255 * column(TORCHVISION_STD))
    step = settings.steps("figure resnet", 1)
    maps = visualize_many(net, x, PAPER, ["max", "random"], seed=settings.stream(10))
    step()
    rows: list[tuple[str, list[MapPanel]]] = [("largest logit", []), ("another logit", [])]
    numbers = {}
    for rule, (largest, other) in zip(PAPER, maps, strict=True):
        apart = measures.distance(largest, other)
        for (_, panels), map_ in zip(rows, (largest, other), strict=True):
            note = f"cosine to the input {fixed(measures.cosine(map_, x))}"
            if map_ is other:
                note += f", distance {fixed(apart)}"
            panels.append(MapPanel(rule.title, map_, note=note))
        numbers[rule.value] = {
            "cosine": [measures.cosine(largest, x), measures.cosine(other, x)],
            "similarity": measures.similarity(largest, x),
            "distance": apart,
        }
    for _, panels in rows:
        panels.insert(0, MapPanel("input", rgb))
    return FinishedFigure(
        "resnet",
        f"ResNet-50, {label}.",
        rows_of_maps(rows),
        {"network": f"ResNet-50, {label}", "rules": numbers},
    )
