"""The report of an audit: plain data, in words, as JSON and as a table."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from theorylab import _json, _validation, drawing
from theorylab._thresholds import ALIKE, COPIES, ENOUGH, RECOVERS, SAME, STABLE, SURE, THRESHOLDS
from theorylab._version import __version__
from theorylab.auditing._comparing import ANY_SIGN
from theorylab.auditing._estimates import Estimate
from theorylab.auditing._measure import Measured
from theorylab.auditing._null import Null
from theorylab.auditing._verdict import Verdict
from theorylab.montecarlo.copies import told


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
        Over pictures, of raw maps.

    Examples
    --------
    >>> from theorylab import auditing, networks
    >>> net = networks.vgg16(input_shape=(3, 32, 32), n_logits=2, n_hidden=8)
    >>> attribute = auditing.NetworkAttribution(net, "saliency")
    >>> x = np.random.default_rng(0).normal(size=(1, 3, 32, 32))
    >>> report = auditing.audit(attribute, x, [0, 1], null=0)
    >>> report.randomization[0].layer, report.randomization[0].cascading
    ('classifier.6', True)
    """

    layer: str
    cascading: bool
    similarity: Estimate
    rank_correlation: Estimate
    cosine: Estimate


@_validation.checked
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
        "white noise": each map's own values at random pixels; "plain gradient" where the attribution knows its own.
    predicted_distance : dict of str to float
        "independent noise": √2, of mean zero; "exact law", where there is one.
    randomization : tuple of Randomized
        Empty where the network is unknown.
    backward_cosines : dict of str to Estimate
        Below each ReLU: the cosine of two targets' modified gradients.  Empty where the network is unknown.
    pictures, targets : int
    classes : tuple of int
        The targets.
    seed : int or None
        None if a generator was given.
    inputs : tuple of dict
        Digest and shape of each picture, as the attribution saw it.
    maps : array, (T, C, H, W)
        Of the first picture, raw.
    picture : array, (C, H, W)
    skipped : tuple of dict
        Of a folder: "file" and "reason" of each picture that could not be read.
    copies : tuple of dict
        "file" and "copy of" of each picture that repeats an earlier one bit for bit and is not counted.
    null : Null or None
        What the maps would be if the network knew nothing; None where the network is unknown.

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
    classes: tuple[int, ...]
    seed: int | None
    inputs: tuple[dict[str, Any], ...]
    maps: np.ndarray = dataclasses.field(repr=False)
    picture: np.ndarray = dataclasses.field(repr=False)
    skipped: tuple[dict[str, str], ...] = ()
    null: Null | None = None
    copies: tuple[dict[str, str], ...] = ()

    @property
    def targets(self) -> int:
        """How many classes were compared."""
        return len(self.classes)

    @property
    def recovers(self) -> str:
        """What the maps recover.

        "input", "minus the input", "normalised input", "absolute value" (or squares: the input's strength), "edges", "no" or
        "undecided".
        """
        return self.verdict.copy

    @property
    def class_sensitive(self) -> bool | None:
        """Whether the maps change with the class; None: undecided."""
        return self.verdict.sensitive

    def __str__(self) -> str:
        """Return the verdict, how sure it is and from how many pictures; then copies left out, and what the null explains."""
        lines = (self._verdict_in_words(), self.copies and told(self.copies), self.null)
        return "\n".join(str(line) for line in lines if line)

    def _verdict_in_words(self) -> str:
        verdict = self.verdict
        if not verdict.sure:
            return f"{self.name}: {verdict.words}"
        number = "one picture" if self.pictures == 1 else f"{self.pictures} pictures"
        dropped = self.measured.zero_maps + self.measured.constant_maps
        wanted = max(verdict.wanted, ENOUGH)
        more = f"more pictures would tell, {wanted} or more"
        if wanted <= self.pictures:
            more = "zero or constant maps tell nothing" if dropped else "more pictures would tell"
        if verdict.words.startswith("undecided: "):
            these = "this one" if verdict.words.endswith("one picture") else "these"
            return f"{self.name}: {verdict.words}; {more} (of {these}: {verdict.here})"
        skipped = f"; without {dropped} maps that are zero or constant" if dropped else ""
        tail = f"; {more}" if "undecided" in verdict.words else ""
        sure = f"sure to {verdict.percent}, " if verdict.sure >= SURE else ""
        return f"{self.name}: {verdict.words} ({sure}from {number}{skipped}{tail})"

    def to_json(self) -> dict[str, Any]:
        """Return everything but the maps as plain data, with None for NaN and infinity."""
        content = {
            "theorylab": __version__,
            "attribution": self.name,
            "sentence": str(self),
            "recovers": self.recovers,
            "class_sensitive": self.class_sensitive,
            "pictures": self.pictures,
            "inputs": self.inputs,
            "skipped": self.skipped,
            "copies": self.copies,
            "targets": self.targets,
            "classes": self.classes,
            "units": "pictures",
            "seed": self.seed,
            "verdict": self.verdict,
            "thresholds": {name: {"value": value, "of": of} for name, (value, of) in THRESHOLDS.items()},
            "measured": self.measured,
            "controls": {
                name: {"verdict": verdict.words, "measured": measured}
                for name, (measured, verdict) in self.controls.items()
            },
            "predicted_distance": self.predicted_distance,
            "randomization": self.randomization,
            "backward_cosines": self.backward_cosines,
            "null": self.null and self.null.to_json(),
        }
        plain: dict[str, Any] = _json.plain(content)
        return plain

    @property
    def columns(self) -> dict[str, Measured]:
        """What was measured of the attribution, and beside it of its controls."""
        return {self.name: self.measured, **{name: measured for name, (measured, _) in self.controls.items()}}

    def rows(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Return a header and rows of words: the attribution beside its controls, and where its verdict changes."""
        columns = {name: entries(measured) for name, measured in self.columns.items()}
        rows: list[tuple[str, ...]] = []
        for name, (_, *changes) in columns[self.name].items():
            signs = "±" * (len(changes) > 1)
            threshold = f"{signs}{drawing.fixed(changes[0])}" if changes else ""
            rows.append((name, *(str(column[name][0]) for column in columns.values()), threshold))
            if name == _DISTANCE:
                rows += [
                    (f"  {_PREDICTED[name]}", drawing.fixed(value), *("" for _ in self.controls), "")
                    for name, value in self.predicted_distance.items()
                ]
        blank = ("",) * len(self.controls)
        rows += [(name, value, *blank, span) for name, value, span in (self.null.rows() if self.null else ())]
        return ("", *columns, "threshold"), rows


_DISTANCE = "distance of two classes"
_PREDICTED = {"independent noise": "noise of mean 0 has", "exact law": "exact law"}


def entries(measured: Measured) -> dict[str, tuple[Estimate, *tuple[float, ...]]]:
    """Return the estimates of one attribution by their words in the table, each with where the verdict changes."""
    signed = COPIES if measured.one_sided else RECOVERS
    rows: dict[str, tuple[Estimate, *tuple[float, ...]]] = {}
    for name, estimate in measured.recovery.items():
        one = signed if name in ("input", "normalised input") else COPIES
        words = "edges, of strength" if name == "edges" else f"corr. to {name}"
        rows[words] = (estimate, one) if name == ANY_SIGN else (estimate, one, -one)
    rows |= {f"SSIM to {name}": (estimate,) for name, estimate in measured.similarity.items()}
    alike = ALIKE * measured.stability.mean
    return rows | {
        "corr. of two classes": (measured.class_correlation, alike),
        "rank corr. of two classes": (measured.rank_correlation, alike),
        _DISTANCE: (measured.distance,),
        "corr., other picture": (measured.across_pictures, SAME),
        "corr., picture moved": (measured.stability, STABLE),
    }
