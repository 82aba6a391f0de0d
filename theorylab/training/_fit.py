"""The training loop: the same weights for any number of threads."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from theorylab.networks.nodes import Node
from theorylab.training._adam import Adam
from theorylab.training._gradients import check_trainable, loss_gradients

Batch = Callable[[int], tuple[np.ndarray, np.ndarray]]
"""``batch(step)``: images and labels of one minibatch."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Length and speed of the training.

    Attributes
    ----------
    steps : int
        Number of minibatches.
    batch : int
        Number of images in a minibatch; a multiple of `shards`.
    shards : int
        Number of parts of a minibatch.  It does not depend on the number of threads, so the order of every sum is fixed.
    rate : float
        Rate of Adam at the start; it falls to 0 along half a cosine.
    """

    steps: int
    batch: int
    shards: int
    rate: float

    def __post_init__(self) -> None:
        """Check that the shards divide a minibatch."""
        if self.batch % self.shards:
            raise ValueError(f"batch: expected a multiple of {self.shards} shards, got {self.batch}")


def fit(
    nodes: Sequence[Node],
    parameters: Mapping[str, np.ndarray],
    batch: Batch,
    recipe: Recipe,
    *,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, np.ndarray]:
    """Train a network on minibatches by Adam and cross-entropy.

    Parameters
    ----------
    nodes : sequence of Node
    parameters : mapping of str to array
        The start of the training; the arrays stay unchanged.
    batch : callable
    recipe : Recipe
    threads : int, optional
        One for each processor if not given.  The weights do not depend on it.
    progress : callable, optional
        ``progress(done, total)`` in steps.

    Returns
    -------
    dict of str to array

    Raises
    ------
    TypeError, ValueError
        If the network cannot be trained (see :func:`theorylab.training._gradients.check_trainable`), or its activations
        leave the range of the dtype; the message names the layer.

    Notes
    -----
    The rounding of BLAS depends on its number of threads, so BLAS gets one.  Python threads take whole shards instead, and
    gradients are added in the order of the shards.

    Examples
    --------
    >>> from theorylab.networks.nodes import Dense, Flatten, Input
    >>> nodes = [Input("x", (1, 1, 1)), Flatten("flat", "x"), Dense("fc", "flat", 2)]
    >>> start = {"fc.weight": np.zeros((2, 1)), "fc.bias": np.zeros(2)}
    >>> data = np.array([-1.0, 1.0]).reshape(2, 1, 1, 1), np.array([0, 1])
    >>> learnt = fit(nodes, start, lambda step: data, Recipe(steps=9, batch=2, shards=1, rate=0.1))
    >>> bool(learnt["fc.weight"][1, 0] > 0.3)
    True
    """
    import threadpoolctl

    check_trainable(nodes)
    weights = dict(parameters)
    adam = Adam(weights)
    workers = min(recipe.shards, threads or os.cpu_count() or 1)

    def part(images: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
        return loss_gradients(nodes, weights, images, labels)[1]

    with threadpoolctl.threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(workers) as pool:
        for step in range(recipe.steps):
            images, labels = batch(step)
            cut = np.split(images, recipe.shards), np.split(labels, recipe.shards)
            shares = list(pool.map(part, *cut))
            mean = {name: _mean([gradients[name] for gradients in shares]) for name in weights}
            rate = recipe.rate * 0.5 * (1 + math.cos(math.pi * step / recipe.steps))
            weights = adam.step(weights, mean, rate)
            if progress is not None:
                progress(step + 1, recipe.steps)
    return weights


def _mean(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Average gradients, adding them in the order of the shards."""
    total = arrays[0].copy()
    for array in arrays[1:]:
        total += array
    return total / len(arrays)
