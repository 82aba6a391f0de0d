"""Theorem 1: what guided backpropagation recovers."""

from __future__ import annotations

import math

import numpy as np

from proofs_checks.claim import QUARTER, Bench, Claim, Evidence, Margin, Outcome, Wrong
from proofs_checks.referee import GEOMETRY, QUARTER_WHY
from proofs_checks.studies import shelf
from proofs_checks.studies.three_layers import covered, inner, unit
from theorylab import Rule, analytic
from theorylab.charts import MapFigure, MapPanel

N = shelf.PAPER_FILTERS


def run(bench: Bench) -> Outcome:
    """Measure the size, shape and direction of the mean map at the paper's size."""
    target = bench.x * analytic.local_contrast(bench.x, bench.grid)
    mean = analytic.mean_map(bench.x, bench.grid, Rule.GUIDED, N)
    measured, many = shelf.recovery(bench, N), shelf.recovery(bench, shelf.MOST)
    length = float(np.linalg.norm(mean))
    limit = float((unit(target) * bench.x).sum())
    plain = covered(bench.x, bench.grid)
    # The wrong laws that only some pictures make nearly right stand first.
    noisy = {
        n: {
            aim: analytic.expected_cosine(bench.x, bench.grid, Rule.GUIDED, n, target=aim)
            for aim in ("input", "mean")
        }
        for n in reversed(shelf.FILTER_COUNTS)
    }
    norms = np.linalg.norm(bench.grid.extract(bench.x), axis=1)
    even = float(np.linalg.norm(plain)) * N / (2 * math.pi) / norms[norms > 0].mean()
    size = bench.moment(
        f"size of the mean map along x⊙κ, N = {N}",
        measured,
        "along",
        length,
        (
            Wrong("all patches of one norm, their mean", even),
            Wrong("the mean of |V| for that of max(V, 0): twice", 2 * length),
        ),
    )
    shape = bench.ratio(
        "share of the mean map's energy along x⊙κ",
        many,
        lambda mean: mean["halves_along"] / mean["halves"],
        1.0,
        (
            Wrong("norms not divided out: x times coverage", inner(unit(plain), unit(target)) ** 2),
            Wrong("Theorem 1 as written: x", limit**2),
            *(
                Wrong(f"a map of {n} filters, with its noise", found["mean"] ** 2)
                for n, found in noisy.items()
            ),
        ),
    )
    direction = bench.ratio(
        "cosine of the mean map and x",
        many,
        lambda mean: mean["toward"] / math.sqrt(mean["halves"]),
        limit,
        (
            Wrong("Theorem 1 as written: 1", 1.0),
            *(Wrong(f"a map of {n} filters, with its noise", found["input"]) for n, found in noisy.items()),
        ),
    )
    end = inner(unit(target), unit(plain))
    single = many.estimate(lambda mean: mean["covered"] / math.sqrt(mean["energy"]))
    reached = shelf.filters_for(bench.x, bench.grid, end, QUARTER)
    figure = MapFigure(
        "theorem1",
        f"The picture, the predicted mean map x⊙κ and the measured mean of {many.replicates} guided-backpropagation "
        f"maps ({shelf.MOST} filters, kernel {bench.grid.kernel[0]}, stride {bench.grid.stride[0]}).",
        (
            MapPanel("input x", bench.x),
            MapPanel("predicted x⊙κ", shelf.predicted(bench, shelf.MOST)[0], "mean"),
            MapPanel("measured mean", many.maps["map"].mean, "mean"),
            MapPanel("κ (local contrast)", analytic.local_contrast(bench.x, bench.grid)[None]),
        ),
        title="Guided backpropagation's mean map is x⊙κ, not x",
    )
    return Outcome(
        f"The mean map is x⊙κ ({100 * min(shape.estimate, 1):.1f} % of its energy); its cosine to x is {limit:.3f} "
        f"(measured {direction.estimate:.3f} ± {direction.standard_error:.3f}), and no number of filters moves it. "
        f"Strides and borders alone would leave {inner(unit(plain), bench.x):.3f}; to x times coverage the cosine is {end:.3f}.",
        (Evidence(*single, reached, checked=direction.convincing and shape.convincing),),
        (size, shape, direction),
        direction.name,
        (figure,),
    )


CLAIM = Claim(
    id="theorem1",
    order=30,
    shares="filters",
    section="3.1.1 Thm 1",
    statement="With sufficiently many filters the guided-backpropagation map of any logit of a random three-layer network is "
    "approximately the input image, up to scale.",
    exact_law="E S = N m₀ c/√(2π) · x⊙κ for every N, with κ_t = Σ_{j∋t} 1/‖y_j‖: the image after local contrast "
    "normalisation. It is x only where all patches have one norm and cover alike.",
    formula=(
        r"\mathrm{E}\,S = \dfrac{N m_0 c}{\sqrt{2\pi}}\; x \odot \kappa \quad \text{for every } N",
        r"\kappa_t = \sum_{j \ni t}\, \dfrac{1}{\|y_j\|},\quad m_0 = \mathrm{E}\,\max(V, 0)",
    ),
    proof="E S = Σ_j D_jᵀ Σ_i E[max(V_ij, 0)] E[w_i 1(w_i·y_j > 0)], because readout and filters are independent.\n\n"
    "The first factor is m₀. In the second only the part of w along y_j knows the half-space, and its mean on it is "
    "c/√(2π) in the direction y_j/‖y_j‖.\n\n"
    "D_jᵀ y_j is the image restricted to patch j; so Σ_j D_jᵀ y_j/‖y_j‖ multiplies each pixel by the sum of the inverse "
    "norms of the patches that hold it. The scale factor grows with N, the direction does not depend on it.",
    n_checks=3,
    run=run,
    margins=(
        Margin(
            f"cosine of a map of {shelf.MOST} filters and x times coverage",
            low=QUARTER,
            why=f"{QUARTER_WHY}; {GEOMETRY}",
        ),
    ),
    authors="Approximately was said, and x⊙κ shows every object of x; the local contrast normalisation is not visible as a loss.",
)
