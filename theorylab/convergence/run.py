"""From a design to its results: predictions, blocks, comparisons, files."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
from collections.abc import Callable, Iterable

import numpy as np
import threadpoolctl

from theorylab import _validation
from theorylab.convergence.design import Design, Point
from theorylab.convergence.predictions import Prediction, Predictor
from theorylab.convergence.results import NO_LAW, QUANTITIES, Convergence, Curve, PointResult
from theorylab.montecarlo import (
    CheckpointFolder,
    DaskExecutor,
    JoblibExecutor,
    Measurement,
    Study,
    measurement,
    replicate_all,
)
from theorylab.progress import Progress, stepper
from theorylab.sampling import sampler

FEWEST = 30
"""Networks before a point may end early: of fewer, a standard error is itself a guess."""


@dataclasses.dataclass(frozen=True)
class Maps:
    """Simulate fresh networks of one point: each replicate is a network, of which two logits are shown to every rule.

    Parameters
    ----------
    x : array, (C, H, W)
    point : Point
    prediction : Prediction
        The rules, which share filters and readouts, their directions and the entries that are looked at.
    """

    x: np.ndarray
    point: Point
    prediction: Prediction

    def __call__(self, rng: np.random.Generator, size: int) -> Measurement:
        """Measure `size` networks, one after the other, in single precision.

        For each rule ``toward`` ⟨S, x⟩, ``along`` ⟨S, t⟩ and ``energy`` ‖S‖², averaged over the two logits, ``classes``
        ⟨S, S'⟩, and, where their means are known exactly, ``second`` and ``fourth``: powers of the deviations of `entries`.
        """
        image = self.x / np.linalg.norm(self.x)
        drawer = sampler(self.point.stack(self.x.shape), self.x, dtype=np.float32)
        targets, centres, entries = self.prediction.targets, self.prediction.centres, self.prediction.entries
        rows = []
        for _ in range(size):
            numbers: dict[str, float] = {}
            drawn = drawer.draw(rng, tuple(targets), n_readouts=2)
            for (rule, target), pair in zip(targets.items(), drawn, strict=True):
                flat = pair.reshape(len(pair), -1).astype(np.float64)
                gram = flat @ flat.T
                numbers[f"{rule.value} toward"] = float((flat @ image.ravel()).mean())
                numbers[f"{rule.value} along"] = float((flat @ target.ravel()).mean())
                numbers[f"{rule.value} energy"] = float(np.trace(gram) / len(flat))
                numbers[f"{rule.value} classes"] = float(gram[0, 1])
                if rule in centres and entries.size:
                    squares = (flat[:, entries] - centres[rule]) ** 2
                    numbers[f"{rule.value} second"] = float(squares.mean())
                    numbers[f"{rule.value} fourth"] = float((squares**2).mean())
            rows.append(numbers)
        return measurement(rows)


@_validation.checked
def study(
    design: Design,
    x: np.ndarray,
    *,
    jobs: int = 1,
    scheduler: str | None = None,
    out: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    warn: Callable[[str], None] | None = None,
) -> Convergence:
    """Measured and predicted curves: cosines, class distance, variance and kurtosis of random networks' maps.

    Parameters
    ----------
    design : Design
        What is measured, and where; :meth:`Design.of` fills in this project's defaults.
    x : array, (C, H, W)
        The picture of the design.
    jobs : int
        Worker processes on this machine.
    scheduler : str, optional
        Address of a Dask scheduler whose workers run the blocks instead.
    out : str or os.PathLike, optional
        Folder for blocks and results.  What it holds of the same study is not computed again; a study with another number
        of replicates or another precision is the same one, continued.
    progress : callable, optional
        ``progress(label, done, total)``: predictions, then networks, point by point.
    warn : callable, optional
        ``warn(message)``: damaged blocks, a cluster without workers.

    Returns
    -------
    Convergence
        The same numbers for any `jobs`, `scheduler` and number of interruptions.  With `out` also ``results.json``,
        ``table.txt`` and ``figures/``.

    Raises
    ------
    TypeError, ValueError
        For bad input; if `x` is another picture than the design's; if `out` holds another study, or this one of another
        version: the message says what differs.
    OSError
        If `out` cannot be written, another process works in it or the cluster is lost; finished blocks are kept.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((1, 12, 12))
    >>> design = Design.of(x, n_filters=[4, 16], kernel=3, rules=["guided"], replicates=40)
    >>> curves = study(design, x)
    >>> [result.replicates for result in curves.points]
    [40, 40]
    >>> guided = curves.points[1].rules[design.rules[0]]["cosine_input"]
    >>> abs(guided.measured - guided.law.value) < 4 * guided.standard_error
    True
    """
    x = np.asarray(x, dtype=np.float64)
    design.check(x)
    executor: JoblibExecutor | DaskExecutor = JoblibExecutor(jobs)
    if scheduler is not None:
        executor = DaskExecutor(scheduler, notify=warn)
        executor.connect()  # before anything takes time
    kept = contextlib.nullcontext() if out is None else CheckpointFolder(out, design.blocks(), warn=warn)
    # One thread: products of the predictions, too, round the same everywhere.
    with threadpoolctl.threadpool_limits(1, user_api="blas"), kept as checkpoints:
        predictor = Predictor(x, design.rules)
        predictions, step = [], stepper(progress, "predicted curves", len(design.points))
        for point in design.points:
            predictions.append(predictor.at(point))
            step()
        studies = [
            Study(
                point.name,
                Maps(x, point, prediction),
                design.replicates,
                design.block,
                design.seed_of(point),
                stop=functools.partial(_precise, design, prediction),
            )
            for point, prediction in zip(design.points, predictions, strict=True)
        ]
        measured = replicate_all(studies, executor=executor, checkpoints=checkpoints, progress=progress)
        anytime = design.precision is not None
        results = tuple(
            PointResult(
                point,
                found.replicates,
                _precise(design, prediction, found),
                prediction.compared(found, anytime=anytime),
            )
            for point, prediction, found in zip(design.points, predictions, measured, strict=True)
        )
        convergence = Convergence(design, results, tuple(_curves(design, predictor, predictions)))
        if out is not None:
            from theorylab.convergence import files

            files.save(convergence, out)
    return convergence


def _precise(design: Design, prediction: Prediction, measured: Measurement) -> bool:
    """Whether the intervals of all rules are as narrow as the design asks."""
    if design.precision is None or measured.replicates < FEWEST:
        return False
    # What is 0 by an exact law has no relative width, and a fourth moment takes a hundred times the networks of a second:
    # neither is waited for.
    return all(
        comparison.narrow <= design.precision
        for comparisons in prediction.compared(measured, anytime=True).values()
        for quantity, comparison in comparisons.items()
        if quantity != "kurtosis" and comparison.law.value != 0
    )


def _curves(design: Design, predictor: Predictor, predictions: list[Prediction]) -> Iterable[Curve]:
    """Over the number of filters a smooth curve, of one law; over anything else the laws at the points."""
    axis = [getattr(point, design.over) for point in design.points]
    laws = [prediction.laws for prediction in predictions]
    first = design.points[0]
    if design.over == "n_filters" and first.depth == 1:
        axis = np.unique(np.geomspace(max(1, axis[0] / 2), 2 * axis[-1], 40).round().astype(int)).tolist()
        laws = [
            {rule: predictor.rule_laws(first, rule).at(n, predictor.x) for rule in design.rules} for n in axis
        ]
    for rule in design.rules:
        for quantity in QUANTITIES:
            along = [(value, law[rule].get(quantity, NO_LAW)) for value, law in zip(axis, laws, strict=True)]
            known = [(value, law.value, law.kind) for value, law in along if law.value is not None]
            if known:
                values, heights, kinds = zip(*known, strict=True)
                kind = next(kind for kind in ("limit", "estimate", "exact") if kind in kinds)
                yield Curve(rule, quantity, kind, np.array(values, dtype=float), np.array(heights))
