"""How many filters a 3×3×3 kernel needs."""

from __future__ import annotations

import math

from proofs_checks.claim import Bench, Claim, Evidence, Margin, Outcome, Wrong
from proofs_checks.studies.estimation import EstimationError
from proofs_checks.studies.shelf import strongest_patch
from theorylab import analytic

ERROR = 0.1


def run(bench: Bench) -> Outcome:
    """Measure the error at exactly the predicted number of filters, on a 3×3 patch of the picture."""
    patch = strongest_patch(bench.x)
    n = analytic.filters_needed(patch.size, ERROR)
    fewer = math.floor(n / 1.1)
    measured = bench.study(f"filters needed, {n}", EstimationError(patch, (n, fewer), ERROR), 6000, block=120)
    reached = bench.moment(
        f"rms error at N = {n}",
        measured,
        lambda mean: math.sqrt(mean[f"squared_{n}"]),
        analytic.estimation_error(patch.size, n),
        Wrong("no mask: √(p/N)", math.sqrt(patch.size / n)),
    )
    missed = bench.moment(
        f"rms error at N = {fewer}, a tenth fewer",
        measured,
        lambda mean: math.sqrt(mean[f"squared_{fewer}"]),
        analytic.estimation_error(patch.size, fewer),
        Wrong(f"so many are enough: {ERROR}", ERROR),
    )
    below = measured.statistics.mean[measured.statistics.names.index(f"below_{n}")]
    return Outcome(
        f"{n} filters give an rms error of {reached.estimate:.4f} c; one draw is below {ERROR} with probability "
        f"{below:.2f}. The error is absolute: {ERROR / 0.3989:.0%} of the vector's length, 0.399 c.",
        # The squared error falls as 1/N exactly.
        (Evidence(*measured.estimate(lambda mean: n * mean[f"squared_{n}"] / ERROR**2)),),
        (reached, missed),
        reached.name,
    )


CLAIM = Claim(
    id="filters-needed",
    order=60,
    section="3.1.1",
    statement="With filters of size 3×3×3, of the order of 10³ filters at most are needed for an error below 0.1.",
    exact_law="N = ⌈c² (p/2 − 1/(2π))/ε²⌉ in root mean square: 1335 for p = 27, c = 1, ε = 0.1; ε is absolute against "
    "‖E w̃‖ = 0.399 c.",
    formula=(
        r"N = \left\lceil \dfrac{c^2}{\varepsilon^2} \left(\dfrac{p}{2} - \dfrac{1}{2\pi}\right)"
        r" \right\rceil",
        r"p = 27,\; c = 1,\; \varepsilon = 0.1:\quad N = 1335",
    ),
    proof="The mean over N filters is an average of independent terms w̃ = w 1(w·y > 0), so its mean squared error is the "
    "variance of one term over N. A half-space holds half of E‖w‖² = c² p, and the mean on it has the length c/√(2π): the "
    "variance of one term is c² p/2 − c²/(2π).\n\n"
    "Set c² (p/2 − 1/(2π))/N equal to ε² and solve for N. For p = 27, c = 1 and ε = 0.1: (13.5 − 0.159)/0.01 = 1334.1, so the "
    "next integer is 1335. What is estimated, E w̃, has itself the length 0.399: ε = 0.1 is a quarter of it.",
    n_checks=2,
    run=run,
    margins=(
        Margin(
            f"number of filters whose rms error is {ERROR}",
            high=10**3.5,
            why="of the order of 10³ at most: nearer to 10³ than to 10⁴ on a logarithmic scale",
        ),
    ),
    authors="An order of magnitude was meant, as an upper bound.",
)
