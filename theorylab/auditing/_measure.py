"""Measurements of an attribution over pictures: recovery of the picture, sensitivity to the class, stability."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import numpy as np

from theorylab import _validation
from theorylab.auditing import _comparing
from theorylab.auditing._estimates import Estimate

MOVED = 1e-3
"""Norm of the change, relative to the picture's, after which a map should still be the same."""


@_validation.checked
@dataclasses.dataclass(frozen=True)
class Measured:
    """Estimates over pictures; of each picture its mean over targets, or over all pairs of targets.

    All correlations are of centred maps: the mean of each channel is taken away from maps and from what they are compared
    with.

    Attributes
    ----------
    recovery : dict of str to Estimate
        Correlation of the map to the "input", to it without regard to the sign ("input, any sign"), to the "normalised
        input" (over its local contrast), to the picture's "absolute value" and "squares"; a map of one channel is compared
        with their means over channels.  "edges": of the map's strength to the Sobel strength of the picture.
    similarity : dict of str to Estimate
        Structural similarity to the input, the normalised input and the edges.
    distance : Estimate
        Euclidean distance of raw unit maps of two targets, not centred: √2 for independent noise of mean zero, 0 for one map
        for all.
    class_correlation, rank_correlation : Estimate
        Pearson's and Spearman's, between the maps of two targets: 0 for independent noise, 1 for one map for all.
    margin, rank_margin : Estimate
        The same, less three quarters of the correlation of a map with that of the slightly moved picture: positive where
        two classes' maps are alike.
    beyond_strength : Estimate
        The same of ranks without their part along the picture's strength; or, if that is more, the rank correlation less nine
        tenths.  Negative where two classes' maps are alike as noise behind one strength is.
    stability : Estimate
        Correlation of the map with that of the slightly moved picture.
    across_pictures : Estimate
        Correlation of the maps of one target for two pictures; empty with one picture, or pictures of two sizes.
    zero_maps, constant_maps : int
        Maps that are 0 everywhere, and others without any contrast; they have no direction and are not counted.
    one_sided : bool
        Whether the maps are of one sign: heat, absolute values.

    Examples
    --------
    >>> from theorylab.auditing import audit
    >>> x = np.random.default_rng(0).normal(size=(8, 1, 9, 9))
    >>> measured = audit(lambda picture, target: picture**2, x, [0, 1]).measured
    >>> print(measured.recovery["squares"], measured.class_correlation, measured.one_sided)
    1.00 ± 0.00 1.00 ± 0.00 True
    """

    recovery: dict[str, Estimate]
    similarity: dict[str, Estimate]
    distance: Estimate
    class_correlation: Estimate
    rank_correlation: Estimate
    margin: Estimate
    rank_margin: Estimate
    beyond_strength: Estimate
    stability: Estimate
    across_pictures: Estimate
    zero_maps: int
    constant_maps: int
    one_sided: bool


def counts(maps: np.ndarray) -> dict[str, int]:
    """Count the maps (T, C, H, W) that are zero, and those that are constant; say whether all are of one sign."""
    zero = int((~maps.any(axis=(1, 2, 3))).sum())
    constant = int((~_comparing.centred(maps).any(axis=1)).sum()) - zero
    return {"zero": zero, "constant": constant, "one-sided": int(_comparing.one_sided(maps))}


def across(maps: np.ndarray, others: np.ndarray) -> float:
    """Return the correlation of the maps (T, C, H, W) of two pictures, a mean over targets; NaN if there is none."""
    if maps.shape != others.shape:
        return math.nan
    before, after = _comparing.centred(maps), _comparing.centred(others)
    kept = before.any(axis=1) & after.any(axis=1)
    values = (before * after).sum(axis=1)[kept]
    return float(values.mean()) if len(values) else math.nan


def measured(columns: Mapping[str, np.ndarray]) -> Measured:
    """Return the estimates of one attribution.

    Parameters
    ----------
    columns : dict of str to array, (B,)
        Of each picture: :func:`compare`, :func:`similarities`, :func:`counts`, and "across pictures", :func:`across` of its
        maps and the next picture's, in a ring.
    """
    estimates = {key: Estimate.of(column) for key, column in columns.items()}

    def part(kind: str, names: tuple[str, ...]) -> dict[str, Estimate]:
        return {name: estimates[key] for name in names if (key := f"{kind} {name}") in estimates}

    return Measured(
        recovery=part("recovery", _comparing.RECOVERY),
        similarity=part("similarity", _comparing.SIMILARITY),
        distance=estimates["distance"],
        class_correlation=estimates["class"],
        rank_correlation=estimates["rank"],
        margin=estimates["margin"],
        rank_margin=estimates["rank margin"],
        beyond_strength=estimates["beyond strength"],
        stability=estimates["stability"],
        # In the ring each picture is in two pairs.  For numbers that are sums of a part of each picture, neighbours are
        # correlated 1/2, which makes the error √2 as large.
        across_pictures=estimates["across pictures"].widened(math.sqrt(2)),
        zero_maps=int(columns["zero"].sum()),
        constant_maps=int(columns["constant"].sum()),
        one_sided=bool(2 * columns["one-sided"].sum() > len(columns["one-sided"])),
    )
