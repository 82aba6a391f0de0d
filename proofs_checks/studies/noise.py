"""Numbers of maps that are noise, and the check that their mean is zero."""

from __future__ import annotations

from proofs_checks.claim import Bench, Wrong
from proofs_checks.results import Check
from theorylab.montecarlo import Measurement


def correlation(lag: int, mean: dict[str, float]) -> float:
    """Return the correlation of entries at a lag."""
    return mean[f"product_{lag}"] / mean[f"power_{lag}"]


def decorrelation(lag: int, mean: dict[str, float]) -> float:
    """Return one minus the correlation of entries at a lag: 1 for white noise."""
    return 1 - correlation(lag, mean)


def zero_mean_check(bench: Bench, measured: Measurement, common: str = "networks") -> Check:
    """Check that the mean map is zero: none of the energy is `common` to two independent networks."""
    return bench.ratio(
        "share of energy that is noise (mean map 0)",
        measured,
        lambda mean: 1 - mean[common] / mean["energy"],
        1.0,
        Wrong("half of the energy is a common mean", 0.5),
    )
