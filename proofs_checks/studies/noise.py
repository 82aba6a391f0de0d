"""Numbers of maps that are noise, and the check that their mean is zero."""

from __future__ import annotations

from proofs_checks.claim import Bench, Wrong
from proofs_checks.results import Check
from theorylab.montecarlo import Measurement

ZERO_MEAN = "share of energy around the mean map, which is 0"
"""The name of the check; what it sees is the share of energy that a mean map would have to hold to be noticed."""


def correlation(lag: int, mean: dict[str, float]) -> float:
    """Return the correlation of entries at a lag."""
    return mean[f"product_{lag}"] / mean[f"power_{lag}"]


def decorrelation(lag: int, mean: dict[str, float]) -> float:
    """Return one minus the correlation of entries at a lag: 1 for white noise."""
    return 1 - correlation(lag, mean)


def zero_mean_check(bench: Bench, measured: Measurement, guided: float) -> Check:
    """Check that the mean map is zero: none of the energy is ``common`` to independent networks.

    `guided` is the cosine of a guided-backpropagation map of the same network to its own mean map, which is not zero.
    """
    return bench.ratio(
        ZERO_MEAN,
        measured,
        lambda mean: 1 - mean["common"] / mean["energy"],
        1.0,
        Wrong("as guided backpropagation's: its share of the mean", 1 - guided**2),
    )


def unseen(check: Check) -> str:
    """Say how large a mean map the check of a zero mean would have seen."""
    return f"a mean map of {100 * check.detectable_effect:.2g} % of the energy would have been seen"
