"""Theorem 2 for DeconvNet: Gaussian marginals, and a stamp that never averages out."""

from __future__ import annotations

import functools
import math

import numpy as np

from proofs_checks.claim import EPSILON, Bench, Check, Claim, Evidence, Margin, Outcome, Wrong
from proofs_checks.referee import MEAN_WHY
from proofs_checks.studies import shelf
from proofs_checks.studies.noise import correlation, decorrelation, unseen, zero_mean_check
from proofs_checks.studies.three_layers import constants
from theorylab import Gaussian, Rule, analytic
from theorylab.analytic import deconvnet_correlation
from theorylab.charts import CurveFigure, Line, MapFigure, MapPanel, Points
from theorylab.montecarlo import Measurement
from theorylab.sampling import MapSampler


def run(bench: Bench) -> Outcome:
    """Measure mean, variance and correlation on a crop: the law does not depend on the picture."""
    crop, grid = shelf.small_picture(bench)
    measured = shelf.deconvnet_noise(bench)
    total = analytic.expected_energy(crop, grid, Rule.DECONVNET, shelf.CROP_FILTERS)
    guided = analytic.expected_cosine(crop, grid, Rule.GUIDED, shelf.CROP_FILTERS, target="mean")
    borders = Wrong(
        "borders forgotten: all entries as in the interior", total * shelf.interior_coverage(grid)
    )
    zero_mean = zero_mean_check(bench, measured, guided)
    energy = bench.moment(
        "energy of the map",
        measured,
        "energy",
        total,
        borders,
    )
    other_phase = bench.ratio(
        "1 − correlation at lag (0, 1), another stride phase",
        measured,
        functools.partial(decorrelation, 0),
        1.0,
        Wrong("the stamp at every lag: 1 − 1/π", 1 - 1 / math.pi),
    )
    near, far = (
        bench.ratio(
            f"correlation at lag {shelf.LAGS[i]}, the same stride phase",
            measured,
            functools.partial(correlation, i),
            1 / math.pi,
            Wrong("under one layer more: 0.395", deconvnet_correlation(2)),
        )
        for i in (1, 2)
    )
    stamp = _stamp(bench)
    maps = MapFigure(
        "theorem2-deconvnet",
        "One DeconvNet map at full size: noise that knows nothing of the picture, yet not white.",
        (
            MapPanel("input x", bench.x),
            MapPanel("one DeconvNet map", _one_map(bench)),
            MapPanel("a corner, enlarged", _one_map(bench)[:, 40:72, 40:72]),
        ),
        title="A DeconvNet map is noise that knows nothing of the picture",
    )
    return Outcome(
        f"Mean zero ({unseen(zero_mean)})"
        f", but entries of one channel and stride phase are correlated {far.estimate:.4f} = 1/π at any distance "
        "and for every N: the map is not white and no number of filters makes it so.",
        (
            Evidence(1 - zero_mean.estimate, *zero_mean.measured[1:]),
            Evidence(1 - other_phase.estimate, *other_phase.measured[1:]),
            Evidence.of(near),
            Evidence.of(far),
        ),
        (zero_mean, energy, other_phase, near, far, stamp),
        far.name,
        (maps, _correlations(measured, grid.stride[1])),
    )


def _stamp(bench: Bench) -> Check:
    """Check the variance along constant pictures, to which every filter's stamp adds at all positions alike."""
    grid, measured = shelf.constant_parts(bench)
    pictures = constants(grid).reshape(len(bench.x), -1)
    matrix = analytic.covariance(np.ones(grid.input_shape), grid, Rule.DECONVNET, shelf.CROP_FILTERS)
    return bench.moment(
        "variance along a constant picture of one channel",
        measured,
        "constant",
        float(np.einsum("ci,ij,cj->c", pictures, matrix, pictures).mean()),
        Wrong("independent entries of the same variances", float((pictures**2 @ np.diag(matrix)).mean())),
    )


def _correlations(measured: Measurement, stride: int) -> CurveFigure:
    """Draw the correlation along a row against the lag."""
    lags = (*shelf.LAGS, *shelf.ROW_LAGS)
    along_row = [i for i, (down, _) in enumerate(lags) if down == 0]
    distance = np.array([lags[i][1] for i in along_row], dtype=float)
    estimates = [measured.estimate(functools.partial(correlation, i)) for i in along_row]
    return CurveFigure(
        "deconvnet-correlation",
        "Correlation of two entries of one DeconvNet map, one channel, against their distance along a row: 1/π at every "
        "multiple of the stride, 0 between, without end. Measured points with 95 % intervals.",
        "distance along a row (pixels)",
        "correlation",
        (Line("DeconvNet", distance, np.where(distance % stride == 0, 1 / math.pi, 0.0)),),
        (Points.of("DeconvNet", distance, estimates),),
        title="DeconvNet's noise is not white: 1/π at every multiple of the stride",
    )


def _one_map(bench: Bench) -> np.ndarray:
    sampler = MapSampler(bench.x, bench.grid, 16, law=Gaussian(1.0), dtype=np.float32)
    rng = np.random.default_rng(bench.seed_of("one DeconvNet map"))
    return np.asarray(sampler.draw(rng, [Rule.DECONVNET])[0, 0, 0], dtype=np.float64)


CLAIM = Claim(
    id="theorem2-deconvnet",
    order=90,
    shares="filters",
    section="3.1.2 Thm 2",
    statement="With sufficiently many filters the DeconvNet map of any logit of a random three-layer network without pooling is "
    "approximately Gaussian noise with independent entries, N(0, I) up to scale.",
    exact_law="E S = 0, Cov S = N c² [(m₂ − m₀²) Σ_j D_jᵀD_j + m₀² T Tᵀ], T = Σ_j D_jᵀ: two interior entries of one channel "
    "and stride phase are correlated m₀²/m₂ (1/π for a Gaussian readout) at any distance, for every N.",
    formula=(
        r"\mathrm{E}\,S = 0",
        r"\mathrm{Cov}\,S = N c^2 \left[(m_2 - m_0^2) \sum_j\, D_j^{\mathrm{T}} D_j + m_0^2\, T"
        r" T^{\mathrm{T}}\right],\quad T = \sum_j\, D_j^{\mathrm{T}}",
        r"m_0 = \mathrm{E}\,\max(V, 0),\quad m_2 = \mathrm{E}\,\max(V, 0)^2",
        r"\text{interior entries of one channel and stride phase:}",
        r"\mathrm{corr}(S_t, S_s) = \dfrac{m_0^2}{m_2} = \dfrac{1}{\pi}",
    ),
    proof="S = Σ_i Σ_j max(V_ij, 0) D_jᵀ w_i. The filters have mean 0 and nothing else depends on them: E S = 0.\n\n"
    "Given two patches, E[max(V,0) max(V',0)] is m₂ where they are one and m₀² where they differ; E[w_i w_iᵀ] = c² I. "
    "The part m₀² of all pairs is T Tᵀ: every filter is stamped at every position with the same weight m₀. Entries t, t' "
    "that the same taps can reach (equal stride phase) share the whole stamp.\n\n"
    "Both parts grow as N: more filters change nothing.",
    n_checks=6,
    run=run,
    margins=(
        Margin("share of a map's energy that lies in the mean map", high=EPSILON**2, why=MEAN_WHY),
        *(Margin(f"correlation of entries at lag {lag}", low=-EPSILON, high=EPSILON) for lag in shelf.LAGS),
    ),
    authors="The map shows nothing of the picture, which is what the theorem is for; a faint regular grid is noise to the eye.",
)
