"""The trained network that a user gives: weights, or a PyTorch model."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from theorylab import _imports, _validation
from theorylab.networks import redrawn
from theorylab.networks.nodes import Conv, Dense
from theorylab.subjects._packaged import PACKAGED, SIDE, small, vgg16
from theorylab.subjects._subject import Subject, column


@_validation.checked
def given(
    weights: str | os.PathLike[str] | None = None,
    model: str | None = None,
    *,
    side: int | None = None,
    classes: Sequence[str] = (),
    seed: int = 0,
) -> Subject:
    """Return the trained network that a user gives: weights of VGG-16, a model, or neither for the small classifier.

    Parameters
    ----------
    weights : path or str, optional
        As :func:`theorylab.weights.load` takes it, or one of `PACKAGED`.
    model : str, optional
        ``module:function``; the function returns a ``torch.nn.Module``.  Beside it in the module may stand
        ``preprocess(batch)`` and ``SIZE``, see :func:`of_module`.
    side : int, optional
        Height and width of the pictures; none: the model's SIZE, or 224.
    classes : sequence of str
        Names of the model's logits.
    seed : int
        Of the random layers.

    Returns
    -------
    Subject

    Raises
    ------
    TypeError, ValueError, OSError, ModuleNotFoundError
        If both are given, or one cannot be read, imported or run; in one line that names it.

    Examples
    --------
    >>> given().source
    'small'
    """
    side = None if side is None else _validation.positive_integer(side, "size")
    if weights is not None and model is not None:
        raise ValueError("--weights and --model (weights= and model=): give one of the two")
    if classes and model is None:
        raise ValueError("classes: they name the logits of a model, and none is given")
    if weights is not None:
        source = os.fspath(weights)
        return small(side or 32, seed, source) if source in PACKAGED else vgg16(source, side or SIDE, seed)
    if model is None:
        return small(side or 32, seed)
    where = f"model {model!r}"
    function = _imports.named(model, where)
    if not callable(function) or (hasattr(function, "forward") and not isinstance(function, type)):
        kind = (
            _validation.shown(function) if not callable(function) else f"a {type(function).__name__} itself"
        )
        raise TypeError(f"{where}: expected a function that returns a torch.nn.Module, got {kind}")
    beside = vars(sys.modules[model.partition(":")[0]])
    try:
        module = function()
    except (Exception, SystemExit) as error:
        raise ValueError(f"{where}: {type(error).__name__}: {error}") from error
    side = side or _validation.positive_integer(beside.get("SIZE", SIDE), f"{where}: SIZE")
    return of_module(
        module, where, side=side, classes=classes, preprocess=beside.get("preprocess"), seed=seed
    )


@_validation.checked
def of_module(
    module: Any,
    name: str,
    *,
    side: int = SIDE,
    classes: Sequence[str] = (),
    preprocess: Callable[[Any], Any] | None = None,
    seed: int = 0,
) -> Subject:
    """Return a user's PyTorch classifier of pictures ``(B, 3, S, S)`` in [0, 1]; all of its layers count as trained.

    Parameters
    ----------
    module : torch.nn.Module
        As :func:`theorylab.torch_bridge.from_torch` takes it.
    name : str
        Names it in words.
    side : int
        S.
    classes : sequence of str
        Names of the logits; none, or one for each.
    preprocess : callable, optional
        From a batch of pictures to what the module reads: the same affine map of every pixel's colours.
    seed : int
        Of the random twin.

    Returns
    -------
    Subject

    Raises
    ------
    ModuleNotFoundError, TypeError, ValueError
        As ``from_torch``; also if `preprocess` is no such map, or `classes` are not as many as logits.
    """
    from theorylab import torch_bridge

    try:
        network = torch_bridge.from_torch(module, (3, side, side))
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}, at size {side}: {error}") from error
    if network.n_logits < 2:
        raise ValueError(f"{name}: expected a classifier of two or more logits, got {network.n_logits}")
    if classes and len(classes) != network.n_logits:
        raise ValueError(
            f"{name}: expected {network.n_logits} classes, one for each logit, got {len(classes)}"
        )
    mean, scale = column((0, 0, 0)), np.eye(3) / 255
    if preprocess is not None:
        mean, scale = _colours(preprocess, side, f"{name}: preprocess")
    kinds = [sum(isinstance(node, kind) for node in network.nodes) for kind in (Conv, Dense)]
    words = [
        f"{n} {word}{'' if n == 1 else 's'}"
        for n, word in zip(kinds, ("convolution", "dense layer"), strict=True)
    ]
    label = f"{name} ({', '.join(words)}, {network.n_logits} logits)"
    return Subject(label, name, network, redrawn, True, mean, scale, tuple(classes), seed)


def _colours(preprocess: Callable[[Any], Any], side: int, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and scale of the affine map of colours that `preprocess` is, or a ValueError."""
    import torch

    def read(batch: np.ndarray) -> np.ndarray:
        try:
            with torch.no_grad():
                given = preprocess(torch.from_numpy(batch.astype(np.float32)))
            array = _validation.as_array(given, "what it returns").astype(np.float64)
        except (Exception, SystemExit) as error:
            raise ValueError(f"{where}: {type(error).__name__}: {error}") from error
        if array.shape != batch.shape:
            raise ValueError(f"{where}: expected shape {batch.shape} as given, got {array.shape}")
        return array

    probes = np.concatenate([np.zeros((1, 3)), np.eye(3)])[:, :, None, None] * np.ones((side, side))
    offset, *primaries = read(probes)[:, :, 0, 0]
    scale = np.stack(primaries, axis=1) - offset[:, None]
    # Apart from the probes, so that a mean over the batch shows.
    batch = np.random.default_rng(0).random((1, 3, side, side))
    affine = np.einsum("ab,nbhw->nahw", scale, batch) + offset[:, None, None]
    if (
        not np.abs(read(batch) - affine).max() <= 1e-5 * np.abs(affine).max()
        or np.linalg.matrix_rank(scale) < 3
    ):
        raise ValueError(
            f"{where}: expected an affine map of each pixel's colours, the same for all pixels and pictures"
        )
    return column(-255 * np.linalg.solve(scale, offset)), scale / 255
