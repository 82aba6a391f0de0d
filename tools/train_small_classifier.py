"""Trains a small classifier and writes the file of weights that the package reads: ``make classifier``.

The chain takes half a minute, the residual classifier (``ARGS="--kind residual"``) two.  The run says whether its weights are
those of the package bit for bit, or how far off they are.  They are equal for any number of threads with the BLAS kernels that
the files were made with (OpenBLAS 0.3.31 of NumPy's wheels under ``OPENBLAS_CORETYPE=Haswell``).  Other kernels round
otherwise, and training enlarges the difference: those for AVX-512 give a chain whose weights are 3 % away in norm and that
classifies 96.2 % of the test crops right in place of 96.4 %, and a residual classifier 18 % away that is as often right.

A run whose weights differ replaces the file too, and prints the checksum that ``theorylab/training/_weights.py`` then has to
hold; ``--out`` writes elsewhere.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import io
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import threadpoolctl
from adam import Adam
from weight_gradients import loss_gradients

from theorylab import _files, _random, training
from theorylab.model.laws import Gaussian
from theorylab.networks._passes import ascent
from theorylab.networks.nodes import Add, Node
from theorylab.networks.parameters import draw_parameters
from theorylab.training import _weights

Batch = Callable[[int], tuple[np.ndarray, np.ndarray]]
"""``batch(step)``: images and labels of one minibatch."""

TEST_CROPS = 2000
"""That the accuracy is measured on."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How long and how fast to learn.

    Attributes
    ----------
    steps : int
        Minibatches.
    batch : int
        Images in a minibatch; a multiple of `shards`.
    shards : int
        Parts into which a minibatch is cut, whatever the number of threads: it fixes the order of every sum.
    rate : float
        Of Adam at the start; it falls to 0 along half a cosine.
    """

    steps: int
    batch: int
    shards: int
    rate: float


@dataclasses.dataclass(frozen=True)
class Kind:
    """A classifier of the package.

    Attributes
    ----------
    nodes, shipped : callable
        Return its layers and, with the weights of the package, itself.
    file : str
        Of its weights.
    recipe : Recipe
    """

    nodes: Callable[[], list[Node]]
    shipped: Callable[[], training.Classifier]
    file: str
    recipe: Recipe


KINDS = {
    "chain": Kind(
        training.small_nodes,
        training.small_classifier,
        "small_classifier.npz",
        Recipe(steps=300, batch=64, shards=4, rate=2e-3),
    ),
    "residual": Kind(
        training.small_residual_nodes,
        training.small_residual_classifier,
        "small_residual_classifier.npz",
        Recipe(steps=600, batch=64, shards=4, rate=2e-3),
    ),
}


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
        Where training starts; they stay as they are.
    batch : callable
    recipe : Recipe
    threads : int, optional
        One for each processor if not given.  Does not change a number.
    progress : callable, optional
        ``progress(done, total)`` in steps.

    Returns
    -------
    dict of str to array

    Notes
    -----
    BLAS rounds differently with another number of threads.  So it gets one; the threads are Python's, each takes whole
    shards, and gradients are added in the order of the shards.

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
            # Added one after the other, in the order of the shards.
            mean = {
                name: functools.reduce(np.add, [gradients[name] for gradients in shares]) / recipe.shards
                for name in weights
            }
            rate = recipe.rate * 0.5 * (1 + math.cos(math.pi * step / recipe.steps))
            weights = adam.step(weights, mean, rate)
            if progress is not None:
                progress(step + 1, recipe.steps)
    return weights


def train(
    nodes: Sequence[Node],
    parent: np.random.SeedSequence,
    *,
    recipe: Recipe,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, np.ndarray]:
    """Weights of the network trained on random training crops.

    Parameters
    ----------
    nodes : sequence of Node
        Of ten logits, for crops of 32×32.
    parent : SeedSequence
        Child 0 is for the initial weights, child (1, step) for the crops of a minibatch.
    recipe, threads
        As in :func:`fit`.
    progress : callable, optional
        ``progress(done, total)``.

    Returns
    -------
    dict of str to float32 array

    Notes
    -----
    Initial weights are Gaussian of variance 2 over the fan-in, biases 0.  The convolution that ends the branch of a block,
    the first that an ``Add`` reads, starts at 0: every block is its shortcut at first, however many there are (after Zhang,
    Dauphin and Ma, *Fixup initialization: residual learning without normalization*, 2019).

    Examples
    --------
    >>> few = Recipe(steps=1, batch=2, shards=1, rate=1e-3)
    >>> train(training.small_nodes(), np.random.SeedSequence(0), recipe=few)["classifier.2.bias"].shape
    (10,)
    """

    def batch(step: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(_random.child(parent, 1, step))
        return training.crops("train", recipe.batch, seed=rng)

    # Drawn by NumPy, as the start of the weights that the package ships was.
    start = draw_parameters(nodes, law=Gaussian(1.0), seed=0)
    for position, weights in enumerate(start.values()):
        if weights.ndim > 1:
            rng = np.random.default_rng(_random.child(parent, 0, 0, position))
            weights[:] = rng.standard_normal(weights.shape, np.float32)
            weights *= np.float32(math.sqrt(2 / math.prod(weights.shape[1:])))
    for node in nodes:
        if isinstance(node, Add):
            start[f"{node.sources[0]}.weight"][:] = 0
    return fit(nodes, start, batch, recipe, threads=threads, progress=progress)


def accuracy(
    nodes: Sequence[Node], parameters: Mapping[str, np.ndarray], images: np.ndarray, labels: np.ndarray
) -> float:
    """Share of images whose largest logit is that of their label.

    Examples
    --------
    >>> from theorylab.networks.nodes import Dense, Flatten, Input
    >>> nodes = [Input("x", (1, 1, 1)), Flatten("flat", "x"), Dense("fc", "flat", 2, bias=False)]
    >>> accuracy(nodes, {"fc.weight": np.array([[1.0], [-1.0]])}, np.ones((2, 1, 1, 1)), np.array([0, 1]))
    0.5
    """
    right = 0
    for start in range(0, len(images), 100):
        part = slice(start, start + 100)
        logits, _, _ = ascent(nodes, parameters, images[part])
        right += int((logits.argmax(axis=1) == labels[part]).sum())
    return right / len(images)


def compared(parameters: Mapping[str, np.ndarray], accuracy: float, kind: Kind) -> str:
    """How far trained weights are from those of the package, in words.

    Examples
    --------
    >>> small = training.small_classifier()
    >>> compared(small.network.parameters, small.accuracy, KINDS["chain"])
    'the weights of the package, bit for bit'
    """
    checksum = _weights.checksum(parameters, accuracy)
    if checksum == _weights.CHECKSUMS[kind.file]:
        return "the weights of the package, bit for bit"
    line = f'"{kind.file}": "{checksum}"'
    try:
        shipped = kind.shipped()
    except (FileNotFoundError, ValueError) as error:
        return f"nothing to compare with: {error}\n{line}"
    ours, theirs = (
        np.concatenate([array.ravel() for array in arrays.values()])
        for arrays in (parameters, shipped.network.parameters)
    )
    share = np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)
    return (
        f"not the weights of the package: {np.abs(ours - theirs).max():.2g} apart at most, {share:.2g} of their norm, "
        f"accuracy {accuracy} for {shipped.accuracy}\n{line}"
    )


def _report(done: int, total: int) -> None:
    print(f"\rminibatch {done} of {total}", end="" if done < total else "\n", file=sys.stderr, flush=True)


def main(words: Sequence[str] | None = None) -> None:
    """Train, compare, write."""
    parser = argparse.ArgumentParser(description="Train a small classifier and write its weights.")
    parser.add_argument("--kind", choices=KINDS, default="chain", help="which one [%(default)s]")
    parser.add_argument("--out", type=Path, help="the file to write [that of the package]")
    parser.add_argument("--seed", type=int, default=0, help="of weights, training and test crops [0]")
    options = parser.parse_args(words)
    kind = KINDS[options.kind]
    nodes, parent = kind.nodes(), _random.sequence(options.seed)
    weights = train(nodes, parent, recipe=kind.recipe, progress=_report)
    rng = np.random.default_rng(_random.child(parent, 2))
    share = accuracy(nodes, weights, *training.crops("test", TEST_CROPS, seed=rng))
    print(f"{share:.1%} of {TEST_CROPS} test crops are classified right")
    print(compared(weights, share, kind))
    out = options.out or Path(training.__file__).with_name(kind.file)
    content = io.BytesIO()
    arrays: dict[str, Any] = {"accuracy": np.float64(share), **weights}
    np.savez_compressed(content, **arrays)
    print(_files.write_atomically(out, content.getvalue()))


if __name__ == "__main__":
    main()
