"""Figure 4: the three rules in a random three-layer network, convolutional and fully connected."""

from __future__ import annotations

from theorylab import analytic, measures, sampling
from theorylab.charts import MapPanel
from theorylab.drawing import fixed, rows_of_maps
from theorylab.figures._base import Parts, Settings
from theorylab.model.patches import PatchGrid
from theorylab.model.rules import PAPER

FILTERS, HIDDEN, KERNEL, STRIDE = 256, 4096, 7, 2


def make(settings: Settings) -> Parts:
    """Draw maps of a fixed logit in one network of each kind, with measured and predicted cosines."""
    x = settings.picture()
    windows = {
        f"CNN, N = {FILTERS}": (PatchGrid(x.shape, min(KERNEL, x.shape[1]), STRIDE), FILTERS),
        f"FCN, N_h = {HIDDEN}": (PatchGrid(x.shape, x.shape[1:]), HIDDEN),
    }
    step = settings.steps("figure 4", len(windows) * len(PAPER))
    rows, numbers = [], {}
    for index, (label, (grid, units)) in enumerate(windows.items()):
        panels = [MapPanel("input", x)]
        for rule in PAPER:
            seed = settings.stream(4, index)
            if grid.n_patches == 1:  # by the map's own law: the weights would be gigabytes
                map_ = sampling.fcn_maps(x, units, rule, size=1, seed=seed)[0]
            else:
                map_ = sampling.three_layer_maps(x, grid, rule, units, size=1, seed=seed)[0]
            measured = measures.cosine(map_, x)
            predicted = analytic.expected_cosine(x, grid, rule, units)
            note = f"cosine to the input {fixed(measured)}, predicted {fixed(predicted)}"
            panels.append(MapPanel(rule.title, map_, note=note))
            numbers[f"{label}, {rule.value}"] = {"cosine": measured, "predicted": predicted}
            step()
        rows.append((label, panels))
    return (
        f"Random three-layer networks, Gaussian weights; filters {KERNEL}×{KERNEL}, stride {STRIDE}.",
        rows_of_maps(rows),
        {"maps": numbers},
    )
