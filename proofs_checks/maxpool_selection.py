"""The step from Eq. 6 to Eq. 7: is a unit chosen exactly when it is positive?"""

from __future__ import annotations

from proofs_checks import maxpool_chart
from proofs_checks import pooled_studies as pooled
from proofs_checks.claim import Bench, Claim, Outcome, Wrong
from theorylab.analytic import selection_probabilities
from theorylab.report.results import Verdict


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
        "others stand first in a window of zeros, where all units tie. Larger windows raise the second and lower the first.",
        (chosen, positive),
        chosen.name,
        (maxpool_chart.selection_chart(bench),),
    )


CLAIM = Claim(
    id="maxpool-selection",
    section="3.2.1",
    statement="With a proper window a unit is chosen by the max-pool if and only if it is positive, with high probability.",
    exact_law="A window of zeros has the orthant probability P(w·y_m ≤ 0 for all m); P(positive | chosen) is one minus its mean, "
    "and P(chosen | positive) = (1 − mean)/(size of the window/2). One rises and the other falls with the window.",
    proof="Every window chooses exactly one unit; it is positive unless all are closed. A unit is positive with probability "
    "½. Counting chosen positive units per window in two ways gives the second probability from the first.",
    n_checks=2,
    run=run,
)
