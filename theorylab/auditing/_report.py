"""The report of an audit: numbers, words, JSON, a table and a picture."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from theorylab import _files
from theorylab.auditing._estimates import Estimate
from theorylab.auditing._measure import Measured
from theorylab.auditing._verdict import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
class AuditReport:
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
        return f"{self.name}: {self.verdict.words} (sure to {sure(self.verdict)}{more})"

    def to_json(self) -> dict[str, Any]:
        """Everything but the maps, as plain data; what is no number is None."""
        import theorylab

        return {
            "theorylab": theorylab.__version__,
            "attribution": self.name,
            "pictures": self.pictures,
            "targets": self.targets,
            "units": "pictures" if self.pictures > 1 else "targets",
            "seed": self.seed,
            "verdict": _plain(dataclasses.asdict(self.verdict)),
            "measured": _plain(dataclasses.asdict(self.measured)),
            "controls": {
                name: {"verdict": verdict.words, "measured": _plain(dataclasses.asdict(measured))}
                for name, (measured, verdict) in self.controls.items()
            },
            "predicted_distance": _plain(self.predicted_distance),
            "randomization": [_plain(dataclasses.asdict(one)) for one in self.randomization],
            "backward_cosines": {
                name: _plain(dataclasses.asdict(one)) for name, one in self.backward_cosines.items()
            },
        }

    def figure(self) -> Figure:
        """The picture, the maps of the first targets, and charts of what was measured."""
        from theorylab.auditing import _drawing

        return _drawing.draw(self)

    def save(self, folder: str | os.PathLike[str]) -> tuple[Path, Path]:
        """Write ``audit.png`` and ``audit.json``, each whole or not at all; the folder is made.

        Raises
        ------
        OSError
            If the folder cannot be made or written.
        """
        from theorylab.report import plots

        folder = Path(folder)
        text = json.dumps(self.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
        drawn = plots.encode(self.figure())
        folder.mkdir(parents=True, exist_ok=True)
        return (
            _files.write_atomically(folder / "audit.png", drawn),
            _files.write_atomically(folder / "audit.json", f"{text}\n"),
        )

    def rows(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """A header and rows of words: the attribution beside its controls."""
        columns = {self.name: self.measured, **{name: one for name, (one, _) in self.controls.items()}}
        header = ("", *columns)
        rows: list[tuple[str, ...]] = []
        for name in self.measured.recovery:
            what = "strength to edges, corr." if name == "edges" else f"cosine to the {name}"
            rows.append((what, *(words(one.recovery[name]) for one in columns.values())))
        rows += [
            (f"SSIM to the {name}", *(words(one.similarity[name]) for one in columns.values()))
            for name in self.measured.similarity
        ]
        rows.append(("distance of two targets", *(words(one.distance) for one in columns.values())))
        for name, value in self.predicted_distance.items():
            rows.append((f"  {name} would have", f"{value:.3f}", *("" for _ in self.controls)))
        rows.append(("rank correlation of two", *(words(one.rank_correlation) for one in columns.values())))
        rows.append(("cosine, other picture", *(words(one.across_pictures) for one in columns.values())))
        rows.append(("cosine, picture moved", *(words(one.stability) for one in columns.values())))
        return header, rows


def words(one: Estimate) -> str:
    """``0.37 ± 0.01``, half the width of the 95 % interval."""
    if math.isnan(one.mean):
        return "–"
    reach = one.high - one.mean
    mean = "0.00" if f"{one.mean:.2f}" == "-0.00" else f"{one.mean:.2f}"
    return f"{mean} ± {reach:.2f}" if math.isfinite(reach) else mean


def sure(verdict: Verdict) -> str:
    """In per cent, never rounded up to certainty."""
    return f"{min(math.floor(1000 * verdict.sure) / 10, 99.9):.1f} %"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
