"""Lemma 1: the maps of a three-layer network in one formula, Eq. 4."""

from __future__ import annotations

import numpy as np

from proofs_checks.claim import Bench, Claim, Outcome
from theorylab import networks
from theorylab.laws import Gaussian
from theorylab.patches import PatchGrid
from theorylab.report.results import MapFigure, MapPanel, Verdict
from theorylab.rules import Rule
from theorylab.visualization import visualize_many

GEOMETRIES = 12


def run(bench: Bench) -> Outcome:
    """The hand-written backward pass against Eq. 4, tap by tap, on random geometries cut from the picture."""
    rng = np.random.default_rng(bench.seed_of("lemma1"))
    measured: dict[Rule, list[np.ndarray]] = {rule: [] for rule in Rule}
    formula: dict[Rule, list[np.ndarray]] = {rule: [] for rule in Rule}
    for _ in range(GEOMETRIES):
        x, grid = random_case(bench.x, rng)
        net = networks.three_layer_cnn(grid, n_filters=5, n_logits=4, law=Gaussian(1.0), seed=rng)
        target = int(rng.integers(net.n_logits))
        maps = visualize_many(net, x, list(Rule), [target])
        readout = net.readout_rows.row(target).reshape(5, grid.n_patches)
        filters = net.filters.reshape(5, grid.patch_size)
        for rule, result in zip(Rule, maps[:, 0], strict=True):
            measured[rule].append(result)
            formula[rule].append(equation_4(x, grid, filters, readout, rule))
    # Each rule's negative control is the formula of the next rule.
    following = dict(zip(Rule, [*list(Rule)[1:], Rule.SALIENCY], strict=True))
    checks = tuple(
        bench.identity(
            f"{rule.value}: backward pass = Eq. 4",
            measured[rule],
            formula[rule],
            f"Eq. 4 with the functions of {following[rule].value}",
            formula[following[rule]],
        )
        for rule in Rule
    )
    worst = max(check.estimate for check in checks)
    return Outcome(
        verdict=Verdict.HOLDS if all(check.passed for check in checks) else Verdict.REFUTED,
        finding=f"The two sides differ by {worst:.0e} of the maps' norm, which is rounding, "
        f"in {GEOMETRIES} random geometries for each of the three rules.",
        checks=checks,
        headline=checks[-1].name,
        figures=(both_sides("lemma1", "Eq. 4", measured, formula),),
    )


def both_sides(
    name: str, equation: str, measured: dict[Rule, list[np.ndarray]], formula: dict[Rule, list[np.ndarray]]
) -> MapFigure:
    """The maps of the largest of the random geometries, from the backward pass and from the equation."""
    sizes = [found.size for found in measured[Rule.GUIDED]]
    largest = sizes.index(max(sizes))
    panels = [
        MapPanel(f"{rule.value}: {side}", maps[rule][largest], rule.value)
        for side, maps in (("backward", measured), (equation, formula))
        for rule in Rule
    ]
    caption = (
        f"Each rule's map by the backward pass and by {equation}, in the largest of the random geometries."
    )
    return MapFigure(name, caption, tuple(panels))


def equation_4(
    x: np.ndarray, grid: PatchGrid, filters: np.ndarray, readout: np.ndarray, rule: Rule
) -> np.ndarray:
    """The right-hand side of Eq. 4 without its normalisation, written as it stands.

    Parameters
    ----------
    x : array, (C, H, W)
    filters : array, (N, p)
    readout : array, (N, J)

    Returns
    -------
    array, (C, H, W)
    """
    patches = grid.extract(x)
    total = np.zeros((grid.n_patches, grid.patch_size))
    for j, y in enumerate(patches):
        for w, v in zip(filters, readout[:, j], strict=True):
            h = v if rule is Rule.SALIENCY else max(v, 0.0)
            seen = rule is Rule.DECONVNET or w @ y > 0
            total[j] += h * w * seen
    return grid.fold(total)


def random_case(picture: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, PatchGrid]:
    """A random crop of the picture and a random geometry on it."""
    channels, height, width = picture.shape
    h, w = int(rng.integers(4, min(14, height) + 1)), int(rng.integers(4, min(14, width) + 1))
    top, left = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
    kernel, stride, padding = (
        (int(rng.integers(low, high)), int(rng.integers(low, high))) for low, high in ((1, 5), (1, 4), (0, 3))
    )
    crop = picture[:, top : top + h, left : left + w]
    # A crop of pure zeros would make both sides vanish; noise far below the picture keeps it alive.
    crop = crop / np.abs(picture).max() + 1e-3 * rng.standard_normal(crop.shape)
    return crop, PatchGrid((channels, h, w), kernel, stride, padding)


CLAIM = Claim(
    id="lemma1",
    section="3.1 Lemma 1",
    statement="In a three-layer convolutional network the map of a logit is a sum over patches and filters of the "
    "readout weight, passed through h, times the filter, masked where the rule masks.",
    exact_law="S = Σ_j D_jᵀ Σ_i h(V_ij) w̃_ij, with w̃_ij = w_i for DeconvNet and w_i 1(w_i·y_j > 0) for saliency and guided "
    "backpropagation: an identity, for every kernel, stride and padding.",
    formula=(
        r"S = \sum_j\, D_j^{\mathrm{T}} \sum_i\, h(V_{ij})\,\tilde{w}_{ij}",
        r"\text{saliency: } h(t) = t,\quad \tilde{w}_{ij} = w_i\,\mathbf{1}(w_i \cdot y_j > 0)",
        r"\text{DeconvNet: } h(t) = \max(t, 0),\quad \tilde{w}_{ij} = w_i",
        r"\text{guided: } h(t) = \max(t, 0),\quad \tilde{w}_{ij} = w_i\,\mathbf{1}(w_i \cdot y_j > 0)",
    ),
    proof="The gradient that reaches unit (i, j) from logit k is the readout weight V_ij itself. The ReLU turns it into "
    "h(V_ij) g'(w_i·y_j) by Eq. 1. The linear map below the unit is x ↦ w_i·D_j x, whose transpose sends this number to "
    "h(V_ij) g'(w_i·y_j) D_jᵀ w_i. Sum over all units.",
    n_checks=3,
    run=run,
    verdicts=(Verdict.HOLDS, Verdict.REFUTED),
)
