"""The audit of one attribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from theorylab import _json, _random, _thresholds, _validation, measures
from theorylab.auditing._comparing import compare, directions, references, shuffled, similarities
from theorylab.auditing._drawing import AuditReport
from theorylab.auditing._estimates import Estimate
from theorylab.auditing._maps import Attribute, called, called_many
from theorylab.auditing._measure import MOVED, Tally
from theorylab.auditing._report import Randomized
from theorylab.auditing._verdict import judge
from theorylab.auditing.adapters import Layered
from theorylab.progress import Progress, stepper

_CONTROL = "white noise"


@_validation.checked
def audit(
    attribute: Attribute,
    x: np.ndarray | Sequence[np.ndarray],
    targets: Sequence[int] | np.ndarray,
    *,
    name: str | None = None,
    gradient: Attribute | None = None,
    randomize: bool = True,
    seed: _random.Seed = 0,
    progress: Progress | None = None,
) -> AuditReport:
    """Measure whether a saliency map says anything about the decision or is the image again.

    Parameters
    ----------
    attribute : callable
        ``attribute(x, target)`` gives the map of one target, of the picture's shape ``(C, H, W)`` or of its plane
        ``(H, W)``; raw, not normalised, an array or a PyTorch tensor.  Any library's will do; the adapters
        :class:`~theorylab.auditing.NetworkAttribution`, :class:`~theorylab.auditing.ModuleAttribution` and
        :class:`~theorylab.auditing.CaptumAttribution` know their networks and are examined further.
    x : array, (C, H, W) or (B, C, H, W), or a sequence of arrays (C, H, W), of real numbers
        Pictures as the network reads them, at least 7 × 7.  Give eight or more that do not depend on each other: fewer than
        five decide nothing.
    targets : sequence of int, or an array or tensor of them
        At least two different ones; all pairs are compared.
    name : str, optional
        The attribution's name in the report.
    gradient : callable, optional
        The plain gradient, as a control; an adapter brings its own.
    randomize : bool, default True
        Draw the weights of the network's layers anew, one at a time and from the top down, if the attribution can:
        two more maps per layer and picture.
    seed : int or numpy.random.Generator
    progress : callable, optional
        ``progress(label, done, total)``.

    Returns
    -------
    AuditReport
        ``str`` of it is the verdict in words; ``.recovers``, ``.class_sensitive``, ``.to_json()``, ``.figure()``,
        ``.save(folder)``.

    Raises
    ------
    TypeError, ValueError
        If a picture is not a finite real array, there are fewer than two different targets, or a map has another shape or
        is not finite.

    Notes
    -----
    All correlations are of maps without the mean of each channel.  *Recovery*: correlation of the map to the picture and to
    the picture over its local contrast, ``x ⊙ κ``, which is what guided backpropagation converges to (the corrected
    Theorem 1), and to their negatives; to the picture's strength, ``|x|`` and ``x²``; of the map's strength to a Sobel
    filter's.  A map of one channel is compared with means over channels.  *Class*: correlation of the values, and of the
    ranks, of two targets' maps.  *Stability*: the same map for a picture moved by a thousandth of its norm.  *Weights*:
    Adebayo et al. (2018), cascading and independent.  *Convergence*: cosine of two targets' backward signals at each ReLU,
    Sixt et al. (2020).  White noise, which is each map's own values at random pixels, and the plain gradient go the same way.
    Pictures are the units of every interval, never pixels or targets; ``to_json()["thresholds"]`` says where verdicts change:

    {thresholds}

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(8, 3, 16, 16))
    >>> print(audit(lambda picture, target: picture, x, [0, 1], name="the picture itself"))
    the picture itself: recovers the input, insensitive to class (sure to 99.6 %, from 8 pictures)
    >>> print(audit(lambda picture, target: -picture, x[:1], [0, 1], name="its negative"))
    its negative: undecided: one picture; more pictures would tell, 8 or more
    (of this one: recovers the input's negative, insensitive to class)
    """
    pictures, targets = _pictures(x), _targets(targets)
    parent = _random.sequence(seed)
    layered = attribute if isinstance(attribute, Layered) and attribute.layers else None
    label = name or str(getattr(attribute, "__name__", type(attribute).__name__))
    if layered and randomize:
        layered.randomized((), 0)  # what cannot be copied is refused now, not after all maps
    judged: dict[str, Attribute] = {label: attribute}
    if gradient is None:
        gradient = getattr(attribute, "gradient", None)
    if gradient is not None:
        judged["plain gradient"] = gradient
    tallies = {kind: Tally() for kind in (label, _CONTROL, *judged)}
    rng = np.random.default_rng(_random.child(parent, 1))
    step = stepper(progress, f"audit of {label}", len(judged) * len(pictures))
    first = np.empty(0)
    for index, picture in enumerate(pictures):
        change = rng.standard_normal(picture.shape)
        largest = float(np.abs(picture).max())  # squares stay in range
        unit = picture / largest
        moved = picture + change * (MOVED * np.linalg.norm(unit) / np.linalg.norm(change)) * largest
        for kind, attribution in judged.items():
            maps, again = (called_many(attribution, one, targets) for one in (picture, moved))
            copies = references(unit, maps.shape[1])
            toward = directions(copies)
            shown = {kind: (maps, again)}
            if kind == label:
                shown[_CONTROL] = shuffled(maps, rng), shuffled(again, rng)
                first = first if index else maps
            for what, (one, other) in shown.items():
                tallies[what].add(one, {**compare(toward, one, other), **similarities(copies, one)})
            step()
    found = {kind: (measured := tally.measured(), judge(measured)) for kind, tally in tallies.items()}
    law = getattr(attribute, "expected_distance", lambda picture: None)(pictures[0])
    return AuditReport(
        label,
        *found[label],
        {kind: numbers for kind, numbers in found.items() if kind != label},
        {"independent noise": math.sqrt(2), **({} if law is None else {"exact law": law})},
        _randomized(layered, attribute, pictures, targets[0], parent, progress)
        if layered and randomize
        else (),
        _convergence(attribute, pictures, targets),
        len(pictures),
        tuple(targets),
        int(seed) if isinstance(seed, (int, np.integer)) else None,
        tuple(map(_json.picture, pictures)),
        first,
        pictures[0],
    )


if audit.__doc__:  # there is none under python -OO
    audit.__doc__ = audit.__doc__.replace(
        "    {thresholds}\n", _thresholds.listed("    ").replace("|", r"\|") + "\n"
    )


def _pictures(x: Any) -> list[np.ndarray]:
    pictures = list(x) if not isinstance(x, np.ndarray) or x.ndim == 4 else [x]
    if not pictures:
        raise ValueError("x: expected at least one picture")
    checked = [_validation.real_array(picture, "x").astype(np.float64) for picture in pictures]
    for picture in checked:
        if picture.ndim != 3 or min(picture.shape[1:]) < 7:
            raise ValueError(f"x: expected pictures (C, H, W) of at least 7 × 7, got {picture.shape}")
        if not picture.any():
            raise ValueError("x: a picture is zero: nothing can be recovered")
    return checked


def _targets(targets: Sequence[int] | np.ndarray) -> list[int]:
    if isinstance(targets, np.ndarray):
        if targets.ndim != 1:
            raise ValueError(f"targets: expected several integers, got shape {targets.shape}")
        targets = targets.tolist()
    integers = []
    for target in targets:
        if isinstance(target, bool) or not isinstance(target, (int, np.integer)):
            raise TypeError(f"targets: expected integers, got {_validation.shown(target)}")
        integers.append(int(target))
    if len(integers) < 2 or len(set(integers)) < len(integers):
        raise ValueError(f"targets: expected two or more different ones, got {integers}")
    return integers


def _randomized(
    layered: Layered,
    attribute: Attribute,
    pictures: Sequence[np.ndarray],
    target: int,
    parent: np.random.SeedSequence,
    progress: Progress | None,
) -> tuple[Randomized, ...]:
    """Draw layers anew from the top down, then one at a time, all from one draw of the weights."""
    seed = int(np.random.default_rng(_random.child(parent, 100)).integers(2**31))
    before = [called(attribute, x, target) for x in pictures]
    names = layered.layers[::-1]
    step = stepper(progress, "layers drawn anew", 2 * len(names))
    rows = []
    for cascading in (True, False):
        for index, layer in enumerate(names):
            other = layered.randomized(names[: index + 1] if cascading else (layer,), seed)
            after = [called(other, x, target) for x in pictures]
            numbers = [
                Estimate.of(np.array([alike(a, b) for a, b in zip(before, after, strict=True)]))
                for alike in (measures.similarity, measures.rank_correlation, measures.cosine)
            ]
            rows.append(Randomized(layer, cascading, *numbers))
            step()
    return tuple(rows)


def _convergence(
    attribute: Any, pictures: Sequence[np.ndarray], targets: Sequence[int]
) -> dict[str, Estimate]:
    if not hasattr(attribute, "backward_cosines"):
        return {}
    pairs = list(zip(targets[::2], targets[1::2], strict=False))
    rows = [[attribute.backward_cosines(x, first, second) for first, second in pairs] for x in pictures]
    return {
        name: Estimate.of(np.array([np.mean([pair[name] for pair in row]) for row in rows]))
        for name in rows[0][0]
    }
