"""The step from Eq. 6 to Eq. 7: whether the max-pool selects a unit exactly when it is positive."""

from __future__ import annotations

import math

from proofs_checks.claim import Bench, Check, Claim, Evidence, Margin, Outcome, Wrong
from proofs_checks.studies import pooled, pooled_chart
from theorylab import MaxPool, analytic, display
from theorylab.analytic import selection_probabilities


def run(bench: Bench) -> Outcome:
    """Measure both conditional probabilities on the picture with 2×2 windows."""
    law = selection_probabilities(bench.x, bench.grid, pool=pooled.POOL)
    measured = pooled.selection(bench)
    selected = bench.ratio(
        "P(chosen | positive)",
        measured,
        lambda mean: mean["open_winners"] / mean["open_units"],
        law.chosen_given_positive,
        Wrong("Eq. 7: 1", 1.0),
    )
    positive = bench.moment(
        "P(positive | chosen)", measured, "open_winners", law.positive_given_chosen, Wrong("Eq. 7: 1", 1.0)
    )
    windows = [_closed(bench, MaxPool(side)) for side in (2, 3)]
    # Of the units of a window of k one is chosen: chosen without being positive, or positive without being chosen.
    k = math.prod(pooled.POOL.size)
    agree = measured.estimate(lambda mean: 1 - (1 + mean["open_units"] - 2 * mean["open_winners"]) / k)
    return Outcome(
        f"Of the positive units {selected.estimate:.0%} are chosen; of the chosen units {positive.estimate:.0%} are positive, "
        "the others are first in a window of zeros, where all units tie. Larger windows raise the second and lower the first. "
        f"The two agree for {agree[0]:.0%} of the units.",
        (Evidence(*agree),),
        (selected, positive, *windows),
        selected.name,
        (pooled_chart.selection_chart(bench),),
    )


def _closed(bench: Bench, pool: MaxPool) -> Check:
    """Check the probability that all units of one window of the picture are closed, that of the strongest patch."""
    seen, grid = pooled.one_window(bench, pool)
    patches = grid.extract(seen)
    directions = display.unit_norm(patches[patches.any(axis=1)][:, None, None])[:, 0, 0]
    correlations = directions @ directions.T
    # A filter and its negative are equally likely, and units of zeros are closed anyhow.
    if pool == pooled.POOL:
        law, error = analytic.orthant_probability(correlations), 0.0
    else:
        law, error = analytic.orthant_probability_with_error(correlations)
    measured = pooled.window_study(bench, pool)
    estimate, spread, replicates = measured.estimate("closed")
    k = math.prod(pool.size)
    sides = "×".join(map(str, pool.size))
    return bench.judge(
        f"all units closed in one window of {sides}, that of the strongest patch",
        "moment",
        estimate,
        math.hypot(spread, error / 3),
        replicates,
        law,
        (
            Wrong(
                "the mean over all windows",
                selection_probabilities(bench.x, bench.grid, pool=pool, points=64).all_zero,
            ),
            Wrong(f"independent units: 2^(−{k})", 2.0**-k),
        ),
        share=measured.share,
    )


CLAIM = Claim(
    id="maxpool-selection",
    order=130,
    shares="max-pool",
    section="3.2.1",
    statement="With a proper window it is highly possible that a unit is chosen by the max-pool if and only if it is positive; "
    "both exceptions are possible.",
    exact_law="A window of zeros has the orthant probability P(w·y_m ≤ 0 for all m); P(positive | chosen) is one minus its mean, "
    "and P(chosen | positive) = (1 − mean)/(size of the window/2). One rises and the other falls with the window.",
    formula=(
        r"P_0 = \text{mean over windows of } \mathrm{P}(w \cdot y_m \leq 0 \text{ for all } m)",
        r"\mathrm{P}(\text{positive} \mid \text{chosen}) = 1 - P_0",
        r"\mathrm{P}(\text{chosen} \mid \text{positive}) = \dfrac{1 - P_0}{k/2},\quad k \text{ units a"
        r" window}",
    ),
    proof="Every window chooses exactly one unit; it is positive unless all units of the window are closed. That all k are "
    "closed is the event that the filter lies in the orthant w·y_m ≤ 0 of the window's patches, a probability of their "
    "correlations alone: in closed form up to three patches, by one integral at four.\n\n"
    "A unit is positive with probability ½, so a window holds k/2 positive units on average; chosen and positive is one at "
    "most, with probability 1 − P₀, P₀ the mean orthant. Their quotient is P(chosen | positive).",
    n_checks=4,
    run=run,
    margins=(
        Margin(
            "probability that chosen and positive agree",
            low=0.75,
            why="three times out of four, half-way from a coin to certain",
        ),
    ),
    authors="Both exceptions are named in the text, which draws the consequence for DeconvNet: never a perfect recovery.",
)
