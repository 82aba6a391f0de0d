"""The step from Eq. 6 to Eq. 7: is a unit chosen exactly when it is positive?"""

from __future__ import annotations

import numpy as np

from proofs_checks import pooled_studies as pooled
from proofs_checks.claim import Bench, Claim, Outcome, Wrong, interval
from theorylab.analytic.pooled import selection_probabilities
from theorylab.patches import PatchGrid
from theorylab.pooling import MaxPool
from theorylab.report.results import CurveFigure, Line, Points, Verdict

SIZES = (1, 2, 3, 4)
SIDE = 64


def run(bench: Bench) -> Outcome:
    """Both conditional probabilities on the picture with 2×2 windows."""
    law = selection_probabilities(bench.x, bench.grid, pool=pooled.POOL)
    measured = pooled.selection(bench)
    chosen = bench.compare(
        "P(chosen | positive)",
        "ratio",
        measured,
        lambda mean: mean["open_winners"] / mean["open_units"],
        law.chosen_given_positive,
        Wrong("Eq. 7: 1", 1.0),
    )
    positive = bench.compare(
        "P(positive | chosen)",
        "moment",
        measured,
        lambda mean: mean["open_winners"],
        law.positive_given_chosen,
        Wrong("Eq. 7: 1", 1.0),
    )
    refuted = bench.rejects(chosen, 1.0) or bench.rejects(positive, 1.0)
    return Outcome(
        Verdict.REFUTED if refuted else Verdict.HOLDS,
        f"Of the positive units {chosen.estimate:.0%} are chosen; of the chosen units {positive.estimate:.0%} are positive, the "
        "others stand first in a window of zeros. Larger windows raise the second and lower the first.",
        (chosen, positive),
        chosen.name,
        (_figure(bench, chosen, positive),),
    )


def _figure(bench: Bench, chosen, positive) -> CurveFigure:  # type: ignore[no-untyped-def]
    """Against the window's side, on a quarter of the picture's side: large windows have no closed form."""
    x = bench.x[:, ::3, ::3]
    grid = PatchGrid(x.shape, min(bench.grid.kernel[0], *x.shape[1:]), bench.grid.stride)
    sides = [side for side in SIZES if side <= min(grid.output_shape)]
    laws = [selection_probabilities(x, grid, pool=MaxPool(side)) for side in sides]
    axis = np.array(sides, dtype=float)
    points = []
    for label, check in (("P(chosen | positive)", chosen), ("P(positive | chosen)", positive)):
        low, high = interval(check)
        points.append(
            Points(label, np.array([2.0]), np.array([check.estimate]), np.array([low]), np.array([high]))
        )
    return CurveFigure(
        "maxpool-selection",
        "How often the choice of a max-pool and the sign of a unit agree, against the side of the window. Lines: exact, on "
        "every third pixel of the picture; points: measured at full size with 95 % intervals.",
        "side of the window",
        "probability",
        (
            Line("P(chosen | positive)", axis, np.array([law.chosen_given_positive for law in laws])),
            Line("P(positive | chosen)", axis, np.array([law.positive_given_chosen for law in laws])),
        ),
        tuple(points),
    )


CLAIM = Claim(
    id="maxpool-selection",
    section="3.2.1 Eq. 7",
    statement="With a proper window a unit is chosen by the max-pool if and only if it is positive, with high probability.",
    exact_law="A window of zeros has the orthant probability P(w·y_m ≤ 0 for all m); P(positive | chosen) is one minus its mean, "
    "and P(chosen | positive) = (1 − mean)/(size of the window/2). One rises and the other falls with the window.",
    proof="Every window chooses exactly one unit; it is positive unless all are closed. A unit is positive with probability "
    "½. Counting chosen positive units per window in two ways gives the second probability from the first.",
    n_checks=2,
    run=run,
)
