"""The audit of one attribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from theorylab import _random, _validation, measures
from theorylab.auditing._drawing import AuditReport
from theorylab.auditing._estimates import Estimate
from theorylab.auditing._measure import Attribute, called, measure
from theorylab.auditing._report import Randomized
from theorylab.auditing._verdict import judge
from theorylab.auditing.adapters import Layered
from theorylab.progress import Progress, stepper


def audit(
    attribute: Attribute,
    x: np.ndarray | Sequence[np.ndarray],
    targets: Sequence[int],
    *,
    name: str | None = None,
    gradient: Attribute | None = None,
    randomize: bool = True,
    seed: int = 0,
    progress: Progress | None = None,
) -> AuditReport:
    """Measure whether a saliency map says anything about the decision or is the image again.

    Parameters
    ----------
    attribute : callable
        ``attribute(x, target)`` gives the map of one target, of the picture's shape ``(C, H, W)`` or of its plane
        ``(H, W)``; raw, not normalised.  Any library's will do; the adapters :class:`~theorylab.auditing.NetworkAttribution`,
        :class:`~theorylab.auditing.ModuleAttribution` and :class:`~theorylab.auditing.CaptumAttribution` know their networks
        and are examined further.
    x : array, (C, H, W) or (B, C, H, W), or a sequence of arrays (C, H, W)
        Pictures as the network reads them, at least 7 × 7.
    targets : sequence of int
        At least two; consecutive ones form the pairs that are compared.  With one picture intervals are over targets,
        so give four or more.
    name : str, optional
        The attribution's name in the report.
    gradient : callable, optional
        The plain gradient, as a control; an adapter brings its own.
    randomize : bool, default True
        Draw the weights of the network's layers anew, one at a time and from the top down, if the attribution can:
        two more maps per layer and picture.
    seed : int
    progress : callable, optional
        ``progress(label, done, total)``.

    Returns
    -------
    AuditReport
        ``str`` of it is the verdict in words; ``.to_json()``, ``.figure()``, ``.save(folder)``.

    Raises
    ------
    TypeError, ValueError
        If a picture is not a finite real array, there are fewer than two different targets, or a map has another shape or
        is not finite.

    Notes
    -----
    *Recovery*: cosine of the map to the picture and to the picture over its local contrast, ``x ⊙ κ``, which is what
    guided backpropagation converges to (the corrected Theorem 1); correlation of its strength with a Sobel filter's;
    structural similarities.  *Class*: distance of unit maps and rank correlation of two targets, against √2 for
    independent noise and the exact law where there is one.  *Stability*: the same map for a picture moved by a
    thousandth of its norm.  *Weights*: Adebayo et al. (2018), cascading and independent.  *Convergence*: cosine of two
    targets' backward signals at each ReLU, Sixt et al. (2020).  White noise and the plain gradient go the same way.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(6, 3, 16, 16))
    >>> print(audit(lambda picture, target: picture, x, [0, 1], name="the picture itself"))
    the picture itself: recovers the input, insensitive to class (sure to 99.9 %)
    """
    pictures, targets = _pictures(x), _targets(targets)
    parent = _random.sequence(seed)
    layered = attribute if isinstance(attribute, Layered) and attribute.layers else None
    label = name or str(getattr(attribute, "__name__", type(attribute).__name__))
    noise = np.random.default_rng(_random.child(parent, 0))
    channels = len(called(attribute, pictures[0], targets[0]))
    judged: dict[str, Attribute] = {
        label: attribute,
        "white noise": lambda picture, target: noise.standard_normal((channels, *picture.shape[1:])),
    }
    if gradient is None:
        gradient = getattr(attribute, "gradient", None)
    if gradient is not None:
        judged["plain gradient"] = gradient
    step = stepper(progress, f"audit of {label}", len(judged) * len(pictures))
    measured, maps = {}, {}
    for number, (kind, attribution) in enumerate(judged.items(), start=1):
        rng = np.random.default_rng(_random.child(parent, number))
        measured[kind], maps[kind] = measure(attribution, pictures, targets, rng=rng, step=step)
    verdicts = {kind: judge(numbers) for kind, numbers in measured.items()}
    law = getattr(attribute, "expected_distance", lambda picture: None)(pictures[0])
    return AuditReport(
        label,
        measured[label],
        verdicts[label],
        {kind: (measured[kind], verdicts[kind]) for kind in judged if kind != label},
        {"independent noise": math.sqrt(2), **({} if law is None else {"exact law": law})},
        _randomized(layered, attribute, pictures, targets[0], parent, progress)
        if layered and randomize
        else (),
        _convergence(attribute, pictures, targets),
        len(pictures),
        len(targets),
        int(seed),
        maps[label],
        pictures[0],
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


def _targets(targets: Sequence[int]) -> list[int]:
    if isinstance(targets, (int, str)):
        raise TypeError(f"targets: expected several, got {targets!r}")
    integers = []
    for target in targets:
        if isinstance(target, bool) or not isinstance(target, (int, np.integer)):
            raise TypeError(f"targets: expected integers, got {target!r}")
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
                Estimate.of(np.array([compare(a, b) for a, b in zip(before, after, strict=True)]))
                for compare in (measures.similarity, measures.rank_correlation, measures.cosine)
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
    # Units are pictures, or pairs of targets where there is one picture.
    units = rows if len(pictures) > 1 else [[pair] for pair in rows[0]]
    return {
        name: Estimate.of(np.array([np.mean([pair[name] for pair in unit]) for unit in units]))
        for name in rows[0][0]
    }
