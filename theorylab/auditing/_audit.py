"""The audit of one attribution."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence, Set
from contextlib import nullcontext
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from theorylab import _random, _thresholds, _validation
from theorylab.auditing._drawing import AuditReport
from theorylab.auditing._estimates import Estimate
from theorylab.auditing._maps import Attribute
from theorylab.auditing._measure import measured
from theorylab.auditing._null import PICTURES, null_of
from theorylab.auditing._report import Randomized
from theorylab.auditing._rows import ALIKE, Given, Rows, layers_seed
from theorylab.auditing._verdict import judge
from theorylab.auditing.adapters import Layered, OfNetwork
from theorylab.montecarlo.copies import without_copies
from theorylab.montecarlo.executors import Executor
from theorylab.montecarlo.pictures import Files, Kept, measure_all
from theorylab.progress import Progress


@_validation.checked
def audit(
    attribute: Attribute,
    x: Any,
    targets: Any,
    *,
    name: str | None = None,
    gradient: Attribute | None = None,
    randomize: bool = True,
    null: int | None = None,
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
        five decide nothing.  A sequence of your own (``len(x)``, ``x[0]``) is asked for a picture at a time; only the maps of
        three are in memory.
    targets : sequence of int, or an array or tensor of them
        At least two different ones; all pairs are compared.
    name : str, optional
        The attribution's name in the report.
    gradient : callable, optional
        The plain gradient, as a control; an adapter brings its own.
    randomize : bool, default True
        Draw the weights of the network's layers anew, one at a time and from the top down, if the attribution can:
        two more maps per layer and picture.
    null : int, optional
        How many networks that know nothing the attribution is compared with, of the same layers and sizes of weights, 0 or two or
        more: for the maps of the first four pictures, and as often again where there is no law.  By default 19, which makes
        intervals of 90 %, and 0 without `randomize`.
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
    # A sequence of the user's own stays one: as an array all pictures would be in memory.
    own = not hasattr(x, "__array__") and hasattr(x, "__getitem__") and hasattr(x, "__len__")
    if not own or isinstance(x, (str, bytes, Mapping)):
        x = _validation.as_array(x, "x")
    pictures: Any = x if not isinstance(x, np.ndarray) or x.ndim == 4 else x[None]
    return _audited(
        attribute,
        Given(pictures, tuple(range(len(pictures)))),
        targets,
        name=name,
        gradient=gradient,
        randomize=randomize,
        null=null,
        seed=seed,
        progress=progress,
    )


if audit.__doc__:  # there is none under python -OO
    audit.__doc__ = audit.__doc__.replace(
        "    {thresholds}\n", _thresholds.listed("    ").replace("|", r"\|") + "\n"
    )


def _targets(targets: Any) -> list[int]:
    """Return several different classes."""
    if hasattr(targets, "__array__"):
        targets = _validation.as_array(targets, "targets").tolist()
    if isinstance(targets, (str, bytes, Mapping, Set)) or not isinstance(targets, Iterable):
        what = "expected several classes of the network, which are integers"
        raise TypeError(f"targets: {what}, got {_validation.shown(targets)}")
    integers = []
    for target in targets:
        if isinstance(target, bool) or not isinstance(target, (int, np.integer)):
            what = "expected classes of the network, which are integers"
            raise TypeError(f"targets: {what}, got {_validation.shown(target)}")
        integers.append(int(target))
    if len(integers) < 2 or len(set(integers)) < len(integers):
        raise ValueError(f"targets: expected two or more, none of them twice, got {integers}")
    return integers


@_validation.checked
def audit_files(
    attribute: Attribute,
    files: Files,
    targets: Sequence[int],
    *,
    name: str,
    randomize: bool,
    null: int | None = None,
    seed: int,
    configuration: Mapping[str, Any] | None = None,
    kept: Kept | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> AuditReport:
    """Audit an attribution on the pictures of a folder, without those that cannot be read.

    Parameters
    ----------
    attribute, targets, name, randomize, null, seed, progress
        As :func:`audit` takes them.
    files : Files
    configuration, kept, executor
        As :func:`theorylab.montecarlo.pictures.measure_all` takes them; the configuration says what the attribution is.

    Returns
    -------
    AuditReport

    Raises
    ------
    TypeError, ValueError
        As :func:`audit`; if no picture can be read.

    Examples
    --------
    >>> from theorylab import images
    >>> from theorylab.montecarlo.pictures import Files
    >>> files = Files("photos", ("cat", "no picture"), lambda path: images.load(path, 16))
    >>> report = audit_files(lambda x, target: x, files, [0, 1], name="copy", randomize=False, seed=0)
    >>> report.pictures, [one["file"] for one in report.skipped]
    (1, ['no picture'])
    """
    return _audited(
        attribute,
        files,
        targets,
        name=name,
        randomize=randomize,
        null=null,
        seed=seed,
        progress=progress,
        configuration={
            **(configuration or {}),
            "targets": list(targets),
            "seed": seed,
            "randomize": randomize,
        },
        kept=kept,
        executor=executor,
    )


def _audited(
    attribute: Attribute,
    pictures: Files | Given,
    targets: Any,
    *,
    name: str | None,
    randomize: bool,
    null: int | None,
    seed: _random.Seed,
    progress: Progress | None,
    gradient: Attribute | None = None,
    executor: Executor | None = None,
    **keeping: Any,
) -> AuditReport:
    if not len(pictures):
        raise ValueError("x: expected at least one picture")
    targets, parent = _targets(targets), _random.sequence(seed)
    null = (19 if randomize else 0) if null is None else null
    if null < 0 or null == 1:
        raise ValueError(f"null: expected 0, or two networks or more, got {null}")
    pictures, copies = without_copies(pictures, executor, progress if isinstance(pictures, Files) else None)
    label = name or str(getattr(attribute, "__name__", type(attribute).__name__))
    layered = attribute if randomize and isinstance(attribute, Layered) and attribute.layers else None
    if layered is not None:
        layered.randomized(
            (), layers_seed(parent)
        )  # what cannot be copied is refused now, not after all maps
    if gradient is None:
        gradient = getattr(attribute, "gradient", None)
    judged = {label: attribute, **({} if gradient is None else {"plain gradient": gradient})}
    rows = Rows(judged, layered, pictures, targets, parent, progress if len(pictures) == 1 else None)
    table = measure_all(
        rows,
        len(pictures),
        label=f"audit of {label}",
        # A PyTorch module is copied for each layer, so several pictures share the copies.
        block=1 if layered is None or isinstance(attribute, OfNetwork) else 8,
        executor=executor,
        progress=progress,
        **keeping,
    )
    skipped = pictures.skipped(table.skipped) if isinstance(pictures, Files) else []
    columns = table.columns()
    found = {}
    for index, kind in enumerate(rows.kinds):
        numbers = measured(_part(columns, f"{index} "))
        found[kind] = numbers, judge(numbers)
    with nullcontext() if executor is None else threadpool_limits(1, user_api="blas"):
        picture, maps = rows.seen(table.places[0])
        shown = [rows.seen(place)[0] for place in table.places[: PICTURES if null else 0]]
        compared = null_of(attribute, shown, targets, null, parent, progress) if null else None
    law = getattr(attribute, "expected_distance", lambda picture: None)(picture)
    return AuditReport(
        label,
        *found[label],
        {kind: numbers for kind, numbers in found.items() if kind != label},
        {"independent noise": math.sqrt(2), **({} if law is None else {"exact law": law})},
        tuple(
            Randomized(layer, cascading, *(Estimate.of(columns[f"drawn {index} {alike}"]) for alike in ALIKE))
            for index, (layer, cascading, _) in enumerate(rows.cascades)
        ),
        {key: Estimate.of(column) for key, column in _part(columns, "cosine ").items()},
        len(table.places),
        tuple(targets),
        int(seed) if isinstance(seed, (int, np.integer)) else None,
        tuple(dict(table.about[place]["input"]) for place in table.places),
        maps[label],
        picture,
        tuple(skipped),
        compared,
        tuple(copies),
    )


def _part(columns: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {key.removeprefix(prefix): column for key, column in columns.items() if key.startswith(prefix)}
