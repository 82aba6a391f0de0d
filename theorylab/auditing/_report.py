"""The report of an audit: plain data, in words, as JSON and as a table."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from theorylab import _json
from theorylab._version import __version__
from theorylab.auditing._estimates import Estimate
from theorylab.auditing._measure import Measured
from theorylab.auditing._verdict import Verdict


@dataclasses.dataclass(frozen=True)
class Randomized:
    """Maps after some layers' weights were drawn anew, against the map before.

    Attributes
    ----------
    layer : str
        The layer, or the last one of a cascade from the top.
    cascading : bool
        Whether all layers above it were drawn anew too.
    similarity, rank_correlation, cosine : Estimate
        Over pictures.
    """

    layer: str
    cascading: bool
    similarity: Estimate
    rank_correlation: Estimate
    cosine: Estimate


@dataclasses.dataclass(frozen=True)
class Findings:
    """What an audit found.

    Attributes
    ----------
    name : str
        Of the attribution.
    measured : Measured
    verdict : Verdict
    controls : dict of str to (Measured, Verdict)
        "white noise", and "plain gradient" where the attribution knows its own.
    predicted_distance : dict of str to float
        "independent noise": √2; "exact law", where there is one.
    randomization : tuple of Randomized
        Empty where the network is unknown.
    backward_cosines : dict of str to Estimate
        Below each ReLU: the cosine of two targets' modified gradients.  Empty where the network is unknown.
    pictures, targets : int
    seed : int
    maps : array, (T, C, H, W)
        Of the first picture.
    picture : array, (C, H, W)

    Examples
    --------
    See :func:`theorylab.audit`.
    """

    name: str
    measured: Measured
    verdict: Verdict
    controls: dict[str, tuple[Measured, Verdict]]
    predicted_distance: dict[str, float]
    randomization: tuple[Randomized, ...]
    backward_cosines: dict[str, Estimate]
    pictures: int
    targets: int
    seed: int
    maps: np.ndarray = dataclasses.field(repr=False)
    picture: np.ndarray = dataclasses.field(repr=False)

    def __str__(self) -> str:
        if not self.verdict.sure:
            return f"{self.name}: {self.verdict.words}"
        more = "; more pictures would tell" if "undecided" in self.verdict.words else ""
        return f"{self.name}: {self.verdict.words} (sure to {self.verdict.percent}{more})"

    def to_json(self) -> dict[str, Any]:
        """Return everything but the maps as plain data, with None for NaN and infinity."""
        content = {
            "theorylab": __version__,
            "attribution": self.name,
            "pictures": self.pictures,
            "targets": self.targets,
            "units": "pictures" if self.pictures > 1 else "targets",
            "seed": self.seed,
            "verdict": self.verdict,
            "measured": self.measured,
            "controls": {
                name: {"verdict": verdict.words, "measured": measured}
                for name, (measured, verdict) in self.controls.items()
            },
            "predicted_distance": self.predicted_distance,
            "randomization": self.randomization,
            "backward_cosines": self.backward_cosines,
        }
        plain: dict[str, Any] = _json.plain(content)
        return plain

    @property
    def columns(self) -> dict[str, Measured]:
        """What was measured of the attribution, and beside it of its controls."""
        return {self.name: self.measured, **{name: measured for name, (measured, _) in self.controls.items()}}

    def rows(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Return a header and rows of words: the attribution beside its controls."""
        columns = {name: _entries(measured) for name, measured in self.columns.items()}
        rows: list[tuple[str, ...]] = []
        for entry in columns[self.name]:
            rows.append((entry, *(str(entries[entry]) for entries in columns.values())))
            if entry == _DISTANCE:
                rows += [
                    (f"  {name} would have", f"{value:.3f}", *("" for _ in self.controls))
                    for name, value in self.predicted_distance.items()
                ]
        return ("", *columns), rows


_DISTANCE = "distance of two targets"


def _entries(measured: Measured) -> dict[str, Estimate]:
    """Return the estimates of one attribution by their words in the table."""
    return {
        **{
            "strength to edges, corr." if name == "edges" else f"cosine to the {name}": estimate
            for name, estimate in measured.recovery.items()
        },
        **{f"SSIM to the {name}": estimate for name, estimate in measured.similarity.items()},
        _DISTANCE: measured.distance,
        "rank correlation of two": measured.rank_correlation,
        "cosine, other picture": measured.across_pictures,
        "cosine, picture moved": measured.stability,
    }
