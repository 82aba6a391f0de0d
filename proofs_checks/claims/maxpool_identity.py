"""Eq. 6: the maps of a three-layer network with max-pooling in one formula."""

from __future__ import annotations

import numpy as np

from proofs_checks.claim import Bench, Claim, Outcome
from proofs_checks.studies.equation4 import CASES, MARGINS, by_rule, outcome, random_case
from theorylab import Gaussian, MaxPool, PatchGrid, networks, visualize_many
from theorylab.model.rules import PAPER, Rule


def run(bench: Bench) -> Outcome:
    """Compare the backward pass with Eq. 6, unit by unit, on random geometries cut from the picture."""
    rng = np.random.default_rng(bench.seed_of("maxpool-identity"))
    measured, eq6, eq7 = by_rule(), by_rule(), by_rule()
    while len(measured[Rule.GUIDED]) < CASES:
        x, grid = random_case(bench.x, rng)
        size = int(rng.integers(1, 4)), int(rng.integers(1, 4))
        if size == (1, 1) or any(side > extent for side, extent in zip(size, grid.output_shape, strict=True)):
            continue
        pool = MaxPool(size)
        net = networks.three_layer_cnn(grid, 5, 4, pool=pool, law=Gaussian(1.0), seed=rng)
        target = int(rng.integers(net.n_logits))
        maps = visualize_many(net, x, PAPER, [target])
        readout = net.readout_rows.row(target).reshape(5, -1)
        filters = net.filters.reshape(5, grid.patch_size)
        for rule, result in zip(PAPER, maps[:, 0], strict=True):
            measured[rule].append(result)
            eq6[rule].append(pooled_sum(x, grid, pool, filters, readout, rule, winners_only=True))
            eq7[rule].append(pooled_sum(x, grid, pool, filters, readout, rule, winners_only=False))
    where = "random geometries of disjoint windows; Eq. 7 is another map"
    return outcome(bench, "maxpool-identity", "Eq. 6", measured, eq6, where, wrong=eq7)


def pooled_sum(
    x: np.ndarray,
    grid: PatchGrid,
    pool: MaxPool,
    filters: np.ndarray,
    readout: np.ndarray,
    rule: Rule,
    *,
    winners_only: bool,
) -> np.ndarray:
    """Return the right-hand side of Eq. 6, or of Eq. 7 where every positive unit counts, not normalised.

    `filters` are (N, p) and `readout` (N, windows).
    """
    patches = grid.extract(x)
    total = np.zeros((grid.n_patches, grid.patch_size))
    for index, window in enumerate(pool.windows(grid.output_shape)):
        for w, v in zip(filters, readout[:, index], strict=True):
            activations = [max(float(w @ patches[j]), 0.0) for j in window]
            winner = int(np.argmax(activations))
            h = v if rule is Rule.SALIENCY else max(v, 0.0)
            for m, j in enumerate(window):
                positive = float(w @ patches[j]) > 0
                wins = m == winner and (positive or rule is Rule.DECONVNET)
                if wins if winners_only else positive:
                    total[j] += h * w
    return grid.fold(total)


CLAIM = Claim(
    id="maxpool-identity",
    order=120,
    section="3.2.1",
    statement="With max-pooling between ReLU and readout the map is the sum of Lemma 1 with each readout weight going to the "
    "unit that its window chooses.",
    exact_law="S = Σ_j D_jᵀ Σ_i h(δ'(a_ij) V_i,window(j)) w̃_ij for disjoint windows, δ' = 1 at the window's first maximum: an "
    "identity. With overlapping windows one unit can win several, and h acts on the sum of their weights.",
    formula=(
        r"\text{disjoint windows: } S = \sum_j D_j^{\mathrm{T}} \sum_i\,"
        r" h(\mathbf{1}_{ij}\,V_{i,\omega(j)})\,\tilde{w}_{ij}",
        r"\text{overlapping: } S = \sum_j D_j^{\mathrm{T}} \sum_i\, h\left(\sum_{\omega \ni j}\,"
        r" \mathbf{1}_{ij\omega}\,V_{i\omega}\right) \tilde{w}_{ij}",
        r"\mathbf{1} = 1 \text{ where } a_{ij} \text{ is the first maximum of } \omega \text{, else } 0",
    ),
    proof="The gradient of a maximum is 1 at the entry that attains it and 0 elsewhere; implementations take the first. A unit "
    "in one window therefore receives either that window's readout weight or nothing, and from there on Lemma 1's proof "
    "applies.",
    n_checks=3,
    run=run,
    margins=MARGINS,
    authors="Eq. 6 is an identity; windows that overlap were not meant.",
)
