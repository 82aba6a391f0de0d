"""From a design to its results: predictions, blocks, comparisons, files."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import threadpoolctl

from theorylab import _validation
from theorylab.convergence.design import Design
from theorylab.convergence.predictions import Prediction, Predictor
from theorylab.convergence.quantities import NO_LAW, QUANTITIES, Comparison, compare, narrow_enough
from theorylab.convergence.results import Convergence, Curve, PointResult
from theorylab.convergence.simulations import Maps
from theorylab.montecarlo import (
    CheckpointFolder,
    DaskExecutor,
    JoblibExecutor,
    Measurement,
    Study,
    replicate_all,
)
from theorylab.rules import PAPER, Rule

FEWEST = 30
"""Networks before a point may end early: of fewer, a standard error is itself a guess."""


def study(
    x: np.ndarray,
    picture: str = "",
    *,
    over: str = "n_filters",
    n_filters: int | Sequence[int] | None = None,
    kernel: int | Sequence[int] | None = None,
    stride: int | Sequence[int] | None = None,
    pool: int | Sequence[int] | None = None,
    depth: int | Sequence[int] | None = None,
    rules: Iterable[Rule | str] = PAPER,
    replicates: int = 200,
    block: int = 10,
    precision: float | None = None,
    seed: int = 0,
    jobs: int = 1,
    scheduler: str | None = None,
    out: str | os.PathLike[str] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    warn: Callable[[str], None] | None = None,
) -> Convergence:
    """Measured and predicted curves: cosines, class distance, variance and kurtosis of random networks' maps.

    Parameters
    ----------
    x : array, (C, H, W)
        The picture.
    picture : str
        Its name, for the files.
    over : {"n_filters", "kernel", "stride", "pool", "depth"}
        What the curves go over.
    n_filters, kernel, stride, pool, depth : int or sequence of int, optional
        Several values of what the study goes over, one of each other; see :class:`~theorylab.convergence.Point`.
    rules : iterable of Rule or str
    replicates : int
        Networks a point, rounded up to whole blocks; at least two.
    block : int
        Networks a block: what is lost of a run that is killed, at most, for each worker.
    precision : float, optional
        Draw no more networks at a point once every 95 % interval's half width is below this share of the estimate.
        Asked after each block in the order of blocks, from 30 networks on; not of the kurtosis, nor of what is 0.
    seed : int
    jobs : int
        Worker processes on this machine.
    scheduler : str, optional
        Address of a Dask scheduler whose workers run the blocks instead.
    out : str or os.PathLike, optional
        Folder for blocks and results.  What it holds of the same study is not computed again.
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
        For bad input; if `out` holds another study, or this one of another version: the message says what differs.
    OSError
        If `out` cannot be written, another process works in it or the cluster is lost; finished blocks are kept.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((1, 12, 12))
    >>> found = study(x, n_filters=[4, 16], kernel=3, rules=["guided"], replicates=40)
    >>> [result.replicates for result in found.points]
    [40, 40]
    >>> guided = found.points[1].rules[Rule.GUIDED]["cosine_input"]
    >>> abs(guided.measured - guided.law.value) < 4 * guided.standard_error
    True
    """
    design = Design.of(
        x,
        picture,
        over=over,
        n_filters=n_filters,
        kernel=kernel,
        stride=stride,
        pool=pool,
        depth=depth,
        rules=rules,
        replicates=replicates,
        block=block,
        precision=precision,
        seed=seed,
    )
    if -(-design.replicates // design.block) * design.block < 2:
        raise ValueError("replicates: expected at least 2, of one network no spread can be told")
    executor = (
        JoblibExecutor(_validation.positive_integer(jobs, "jobs"))
        if scheduler is None
        else DaskExecutor(scheduler, notify=warn)
    )
    x = np.asarray(x, dtype=np.float64)
    with contextlib.ExitStack() as stack:
        # One thread: products of the predictions, too, round the same everywhere.
        stack.enter_context(threadpoolctl.threadpool_limits(1, user_api="blas"))
        kept = (
            None if out is None else stack.enter_context(CheckpointFolder(out, design.to_json(), warn=warn))
        )
        predictor = Predictor(x, design.rules)
        predictions = []
        for done, point in enumerate(design.points, start=1):
            predictions.append(predictor.at(point))
            if progress is not None:
                progress("predicted curves", done, len(design.points))

        def comparisons(place: int, measured: Measurement) -> dict[Rule, dict[str, Comparison]]:
            return {
                rule: compare(measured, rule, predictions[place].laws[rule], x.size) for rule in design.rules
            }

        def precise(place: int, measured: Measurement) -> bool:
            if design.precision is None or measured.replicates < FEWEST:
                return False
            found = comparisons(place, measured)
            return all(narrow_enough(found[rule], design.precision) for rule in design.rules)

        studies = [
            Study(
                point.name,
                Maps(x, point, design.rules, predictions[place]),
                design.replicates,
                design.block,
                design.seed_of(point),
                stop=lambda measured, place=place: precise(place, measured),  # type: ignore[misc]
            )
            for place, point in enumerate(design.points)
        ]
        measured = replicate_all(studies, executor=executor, checkpoints=kept, progress=progress)
        found = Convergence(
            design,
            tuple(
                PointResult(point, one.replicates, precise(place, one), comparisons(place, one))
                for place, (point, one) in enumerate(zip(design.points, measured, strict=True))
            ),
            tuple(_curves(design, predictor, predictions)),
        )
        if out is not None:
            from theorylab.convergence import files

            files.save(found, out)
    return found


def _curves(design: Design, predictor: Predictor, predictions: list[Prediction]) -> Iterable[Curve]:
    """Over the number of filters a smooth curve, of one law; over anything else the laws at the points."""
    axis = [getattr(point, design.over) for point in design.points]
    laws = [prediction.laws for prediction in predictions]
    first = design.points[0]
    if design.over == "n_filters" and first.depth == 1:
        axis = np.unique(np.geomspace(max(1, axis[0] / 2), 2 * axis[-1], 40).round().astype(int)).tolist()
        laws = [{rule: predictor.rule_laws(first, rule).at(n) for rule in design.rules} for n in axis]
    for rule in design.rules:
        for quantity in QUANTITIES:
            found = [(value, law[rule].get(quantity, NO_LAW)) for value, law in zip(axis, laws, strict=True)]
            known = [(value, law.value, law.kind) for value, law in found if law.value is not None]
            if known:
                values, laws_there, kinds = zip(*known, strict=True)
                kind = next(kind for kind in ("limit", "estimate", "exact") if kind in kinds)
                yield Curve(rule, quantity, kind, np.array(values, dtype=float), np.array(laws_there))
