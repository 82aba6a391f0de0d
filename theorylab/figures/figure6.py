"""Figure 6: max-pooling in a random three-layer network, and a random VGG-16."""

from __future__ import annotations

from theorylab import estimates, measures, networks, sampling
from theorylab.charts import MapPanel
from theorylab.drawing import fixed, rows_of_maps
from theorylab.figures._base import Parts, Settings
from theorylab.model.patches import PatchGrid
from theorylab.model.pooling import MaxPool
from theorylab.model.rules import PAPER
from theorylab.visualization import visualize_many

FILTERS, KERNEL, STRIDE, POOL = 256, 7, 2, 2


def make(settings: Settings) -> Parts:
    """Draw the maps of three rules in both networks, with the pooled network's predicted cosines."""
    x = settings.picture(max(settings.side, 32))
    grid = PatchGrid(x.shape, KERNEL, STRIDE)
    pool = MaxPool(POOL)
    step = settings.steps("figure 6", len(PAPER) + 2)
    pooled, deep = [MapPanel("input", x)], [MapPanel("input", x)]
    numbers: dict[str, dict[str, object]] = {"three layers": {}, "VGG-16": {}}
    for index, rule in enumerate(PAPER):
        map_ = sampling.three_layer_maps(
            x, grid, rule, FILTERS, size=1, pool=pool, seed=settings.stream(6, index)
        )[0]
        predicted, error = estimates.pooled_expected_cosine(
            x, grid, rule, FILTERS, pool=pool, seed=settings.seed
        )
        measured = measures.cosine(map_, x)
        note = f"cosine to the input {fixed(measured)}, predicted {fixed(predicted)}"
        pooled.append(MapPanel(rule.title, map_, note=note))
        numbers["three layers"][rule.value] = {
            "cosine": measured,
            "predicted": predicted,
            "standard_error_of_prediction": error,
        }
        step()
    net = networks.vgg16(input_shape=x.shape, seed=settings.seed)
    step()
    maps = visualize_many(net, x, PAPER, ["max"])[:, 0]
    step()
    for rule, map_ in zip(PAPER, maps, strict=True):
        measured = measures.cosine(map_, x)
        deep.append(MapPanel(rule.title, map_, note=f"cosine to the input {fixed(measured)}"))
        numbers["VGG-16"][rule.value] = {"cosine": measured, "similarity": measures.similarity(map_, x)}
    return (
        f"A random three-layer CNN with {POOL}×{POOL} max-pooling (N = {FILTERS}, filters {KERNEL}×{KERNEL}, stride "
        f"{STRIDE}), and a random VGG-16 with weights of standard deviation 0.1 (largest of 1000 logits).",
        rows_of_maps([(f"three layers, pool {POOL}×{POOL}", pooled), ("random VGG-16", deep)]),
        numbers,
    )
