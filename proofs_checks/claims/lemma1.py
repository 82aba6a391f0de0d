"""Lemma 1: the maps of a three-layer network in one formula, Eq. 4."""

from __future__ import annotations

import numpy as np

from proofs_checks.claim import Bench, Claim, Outcome
from proofs_checks.studies.equation4 import CASES, MARGINS, by_rule, equation_4, outcome, random_case
from theorylab import Gaussian, networks, visualize_many
from theorylab.model.rules import PAPER


def run(bench: Bench) -> Outcome:
    """Compare the backward pass with Eq. 4, tap by tap, on random geometries cut from the picture."""
    rng = np.random.default_rng(bench.seed_of("lemma1"))
    measured, formula = by_rule(), by_rule()
    for _ in range(CASES):
        x, grid = random_case(bench.x, rng)
        net = networks.three_layer_cnn(grid, n_filters=5, n_logits=4, law=Gaussian(1.0), seed=rng)
        target = int(rng.integers(net.n_logits))
        maps = visualize_many(net, x, PAPER, [target])
        readout = net.readout_rows.row(target).reshape(5, grid.n_patches)
        filters = net.filters.reshape(5, grid.patch_size)
        for rule, result in zip(PAPER, maps[:, 0], strict=True):
            measured[rule].append(result)
            formula[rule].append(equation_4(x, grid, filters, readout, rule))
    where = "random geometries for each of the three rules"
    return outcome(bench, "lemma1", "Eq. 4", measured, formula, where)


CLAIM = Claim(
    id="lemma1",
    order=10,
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
    margins=MARGINS,
    authors="Our Lemma 1 is an identity, and Appendix A proves it.",
)
